import type { Flag } from '../engine/commands/purge-stale.ts'
import type { Interval } from '../grid/interval.ts'
import type { ArchiveRequest } from '../plan/archive/request.ts'
import type { Retire } from '../plan/rotate/request.ts'
import type { HoldUntil } from '../requests/hold.ts'
import type { PurgeOrder } from '../requests/purge.ts'
import { taskOf, type Policy } from './policy.ts'

/** What a policy says about which rows are removed, and where they are archived: what is compared when it changes. */
export interface Terms {
  readonly keep: Interval | null
  /** Null where no partitions are retired. */
  readonly retire: Retire | null
  /** How long rows stay that were moved to another server. Missing where they stay for good. */
  readonly keepMoved?: Interval
  /** How long detached partitions stay before they are dropped. Missing in what earlier versions have recorded. */
  readonly grace?: Interval
  /** Until when nothing is removed. Missing where nothing says. */
  readonly hold?: HoldUntil
  /** `none`: rows are removed without an archive; null: nothing says. */
  readonly archive: ArchivedTo | 'none' | null
  readonly mark: RemovedRows | null
  readonly stale: RemovedRows | null
  readonly purge: RemovedRows | null
}

export interface ArchivedTo {
  readonly uri: string
  readonly encrypted: boolean
}

/** Rows that are removed, or marked. */
export interface RemovedRows {
  /** How long they are left: what a group must have been idle, and how long ago rows were marked. */
  readonly after: Interval | null
  /** Everything else that decides which rows they are. It can be told whether it is the same, and nothing else. */
  readonly chosen: unknown
}

export function termsOf(policy: Policy): Terms {
  const [rotation, mark, stale, purge] = [
    taskOf(policy, 'rotate')?.request,
    taskOf(policy, 'mark')?.request,
    taskOf(policy, 'stale'),
    taskOf(policy, 'purge')?.request,
  ]
  return {
    keep: rotation?.keep ?? null,
    retire: rotation?.retire ?? null,
    ...(rotation?.keepMoved === undefined ? {} : { keepMoved: rotation.keepMoved }),
    ...(rotation?.grace == null ? {} : { grace: rotation.grace }),
    ...(policy.hold === null ? {} : { hold: policy.hold }),
    archive: archiveOf([rotation, stale?.request, purge?.deletion].flatMap((request) => request ?? [])),
    mark:
      mark === undefined ? null : { after: null, chosen: { rows: mark.rows, column: mark.column, all: mark.allRows } },
    stale: stale === undefined ? null : staleRows(stale.request, stale.flag),
    purge: purge === undefined ? null : purgedRows(purge),
  }
}

interface Archiving {
  readonly archive?: ArchiveRequest | null
  readonly noArchive: boolean
}

/** The tasks of a policy say the same, or nothing. */
function archiveOf(requests: readonly Archiving[]): Terms['archive'] {
  if (requests.some(({ noArchive }) => noArchive)) return 'none'
  const [archive] = requests.flatMap((request) => request.archive ?? [])
  return archive === undefined ? null : { uri: archive.uri, encrypted: archive.encryptTo.length > 0 }
}

type Deletion = PurgeOrder['deletion']

function staleRows(
  { rows, ...deletion }: Deletion & { readonly rows: { group: string; activity: string; idle: Interval } },
  flag: Flag | null,
) {
  const { group, activity, idle: after } = rows
  return { after, chosen: { group, activity, flag, ...reachOf(deletion) } }
}

function purgedRows({ rows, deletion }: PurgeOrder): RemovedRows {
  const after = rows.kind === 'marked' ? rows.olderThan : null
  const chosen = rows.kind === 'marked' ? { marked: rows.column } : rows
  return { after, chosen: { ...chosen, ...reachOf(deletion) } }
}

function reachOf({ cascade, protect, allRows }: Deletion) {
  return { cascade, protect, allRows }
}
