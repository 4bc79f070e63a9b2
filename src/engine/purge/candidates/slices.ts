import { readAll, readOne } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { askUnder } from '../../../db/settings.ts'
import { driftStatement, sliceStatement, type RecordedWalk } from '../../../plan/purge/positions.ts'
import type { PurgeLeaf, PurgeWork } from '../../../plan/purge/work.ts'
import { sql } from '../../../sql/sql.ts'
import { rangeOf } from '../batch.ts'

/** Some candidates in the order of their keys, or addresses; `position` is that of the last one. */
export interface Slice {
  readonly position: string
  readonly rows: number
}

/** The next candidates behind a position, at most so many; null where there are none. */
export async function readSlice(
  session: Session,
  { settings }: Pick<PurgeWork, 'settings'>,
  leaf: PurgeLeaf,
  walk: RecordedWalk,
  after: string | null,
  rows: number,
): Promise<Slice | null> {
  const range = rangeOf({ leaf, after, upto: null })
  const [slice] = await askUnder(session, settings, () =>
    readAll<{ position: string; rows: number }>(session, sliceStatement(leaf, walk, range, sql`${rows}`)),
  )
  return slice ?? null
}

/** Candidates that a purge leaves alone. */
export interface Drift {
  /** Their rows have changed since. */
  readonly changed: number
  /** Their rows have been deleted, by any session. */
  readonly gone: number
}

const SLICE_ROWS = 20_000

/** Goes through the candidates of a leaf, slice by slice, so that no snapshot is held for long. */
export async function forEachSlice(
  session: Session,
  work: Pick<PurgeWork, 'settings'>,
  leaf: PurgeLeaf,
  walk: RecordedWalk,
  signal: AbortSignal,
  visit: (after: string | null, upto: string) => Promise<void>,
): Promise<void> {
  let after: string | null = null
  for (;;) {
    signal.throwIfAborted()
    const slice: Slice | null = await readSlice(session, work, leaf, walk, after, SLICE_ROWS)
    if (slice === null) return
    await visit(after, slice.position)
    after = slice.position
  }
}

export async function readDrift(
  session: Session,
  { settings }: Pick<PurgeWork, 'settings'>,
  leaf: PurgeLeaf,
  walk: RecordedWalk,
  after: string | null,
  upto: string,
): Promise<Drift> {
  const statement = driftStatement(leaf, walk, rangeOf({ leaf, after, upto }))
  return askUnder(session, settings, () => readOne<Drift>(session, statement))
}
