import { readHolders, type Holder } from '../../db/holders.ts'
import type { Session } from '../../db/session.ts'
import type { Lock } from '../../plan/language/step.ts'
import { sameName } from '../../sql/names.ts'
import { readHoldersOnWorkers } from './on-workers.ts'

/** A lock held longer than this is waited for by polling instead of queueing. */
const OLD_MS = 200

/** Where to look, and for what. */
export interface Looking {
  readonly control: Session
  /** Of the session that is to take the locks. */
  readonly pid: number
  readonly locks: readonly Lock[]
  readonly onAllNodes: boolean
}

/**
 * The holders of locks that conflict with ours. `xact_start` of other roles is hidden, so how long they have been there is
 * also measured from the look that saw them first.
 */
export class InTheWay {
  private readonly looking: Looking
  private firstSeen: ReadonlyMap<string, number> = new Map()

  constructor(looking: Looking) {
    this.looking = looking
  }

  /** Those who are there now, the oldest first. */
  async read(): Promise<readonly Holder[]> {
    const { control, pid, locks, onAllNodes } = this.looking
    const tables = locks.map(({ table }) => table)
    const here = await readHolders(control, tables, pid)
    const everywhere = onAllNodes ? [...here, ...(await readHoldersOnWorkers(control, tables))] : here
    const holders = everywhere.filter((holder) =>
      locks.some(({ table, mode }) => sameName(table, holder.table) && conflict(mode, holder.mode)),
    )
    const now = performance.now()
    this.firstSeen = new Map(holders.map(({ transaction }) => [transaction, this.firstSeen.get(transaction) ?? now]))
    return holders.toSorted((one, other) => this.ageMs(other) - this.ageMs(one))
  }

  /** Those who have to be waited for. Short transactions are left to the lock timeout. */
  async readOld(): Promise<readonly Holder[]> {
    const holders = await this.read()
    return holders.filter((holder) => !leavesWhenAsked(holder) && this.ageMs(holder) > OLD_MS)
  }

  private ageMs({ transaction, seconds }: Holder): number {
    const now = performance.now()
    return Math.max((seconds ?? 0) * 1000, now - (this.firstSeen.get(transaction) ?? now))
  }
}

/**
 * An ordinary autovacuum can be cancelled; one to prevent wraparound, and all other sessions, have to be waited for.
 */
function leavesWhenAsked({ mode, backend, query }: Holder): boolean {
  if (mode !== 'ShareUpdateExclusiveLock') return false
  // Hidden from this role: it may be an autovacuum, so cancelling is tried.
  return backend === null || (backend === 'autovacuum worker' && !(query ?? '').includes('to prevent wraparound'))
}

const STRENGTH = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]

/** The weakest lock that conflicts with each of ours; all stronger ones do too. https://www.postgresql.org/docs/current/explicit-locking.html */
const CONFLICTS_FROM: Readonly<Record<Lock['mode'], string>> = {
  'ACCESS SHARE': 'AccessExclusiveLock',
  'ROW SHARE': 'ExclusiveLock',
  'ROW EXCLUSIVE': 'ShareLock',
  'SHARE UPDATE EXCLUSIVE': 'ShareUpdateExclusiveLock',
  'SHARE ROW EXCLUSIVE': 'RowExclusiveLock',
  'ACCESS EXCLUSIVE': 'AccessShareLock',
}

function conflict(ours: Lock['mode'], theirs: string): boolean {
  return STRENGTH.indexOf(theirs) >= STRENGTH.indexOf(CONFLICTS_FROM[ours])
}
