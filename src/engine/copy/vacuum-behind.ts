import { setTimeout as sleep } from 'node:timers/promises'
import { backendPid } from '../../db/pooler.ts'
import { withSession, type Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { cancelUntil, type TableContext } from '../table-context.ts'

/**
 * The minimum pause between two vacuums, and its multiple of the last one's duration: each reads the whole visibility
 * map.
 */
const REST_MS = 1300
const REST_TIMES = 4

/** The required part of a table context. */
export type VacuumPlace = Pick<TableContext, 'target' | 'holder' | 'control' | 'signal'>

/**
 * Vacuums the shadow in a separate session while `work` fills it: recent pages are still in memory, and the vacuum
 * before the swap only has the end of the table left. Best effort: without a session, or if a vacuum fails, the later
 * one does it all.
 *
 * @param filled its current size: while the work pauses there is nothing to vacuum
 */
export async function withVacuumBehind(
  place: VacuumPlace,
  shadow: TableName,
  filled: () => number,
  work: () => Promise<void>,
): Promise<void> {
  const done = new AbortController()
  const vacuuming = vacuumBehind(place, shadow, filled, AbortSignal.any([done.signal, place.signal])).catch(() => {})
  try {
    await work()
  } finally {
    done.abort()
    await vacuuming
  }
}

async function vacuumBehind(
  place: VacuumPlace,
  shadow: TableName,
  filled: () => number,
  ended: AbortSignal,
): Promise<void> {
  await sleep(REST_MS, undefined, { signal: ended })
  await withSession(place.target, place.holder, async (session) => {
    const pid = await backendPid(session)
    for (let before = 0, now = filled(); !ended.aborted; before = now, now = filled()) {
      const began = performance.now()
      if (now > before) await vacuum(shadow, session, pid, place.control, ended)
      await sleep(Math.max(REST_MS, REST_TIMES * (performance.now() - began)), undefined, { signal: ended })
    }
  })
}

/** A running one is cancelled at the end: it need not be waited for, and pages it has processed need no other. */
async function vacuum(
  shadow: TableName,
  session: Session,
  pid: number,
  control: Session,
  ended: AbortSignal,
): Promise<void> {
  const done = new AbortController()
  const cancel = () => void cancelUntil(done.signal, control, pid)
  ended.addEventListener('abort', cancel)
  try {
    await session.query(sql`vacuum (parallel 0, truncate false, skip_locked) ${quoted(shadow)}`)
  } finally {
    ended.removeEventListener('abort', cancel)
    done.abort()
  }
}
