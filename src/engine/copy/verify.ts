import { inOneGo } from '../../db/in-one-go.ts'
import { readAll, readOne, readOnePrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { askUnder, putSession } from '../../db/settings.ts'
import { workClock } from '../../db/work-clock.ts'
import { EbbError } from '../../errors.ts'
import {
  comparedSoFar,
  forgetRanges,
  foundDifferences,
  recordRange,
  type ComparedRange,
} from '../../journal/comparisons.ts'
import { assertLease } from '../../journal/lease.ts'
import type { Batch } from '../../pacing/batch-size.ts'
import { Gain } from '../../pacing/gain.ts'
import type { Pace } from '../../pacing/throttle.ts'
import {
  compareStatement,
  endStatement,
  FAULTS,
  faultsStatement,
  keysStatement,
  loggedStatement,
  type Comparison,
  type Differences,
  type Fault,
  type KeySpan,
  type KeyText,
  type RowFault,
  type SeenSpan,
} from '../../plan/copy/comparison.ts'
import type { CopyWork, Jobs } from '../../plan/copy/work.ts'
import type { VerifyStep } from '../../plan/language/step.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import { withPace } from '../pace.ts'
import type { RunContext, TableContext } from '../table-context.ts'
import { assertCaptured } from './captured.ts'
import { comparedColumns, hasUniqueKey } from './compared-columns.ts'
import { ComparedRanges, type FindEnd } from './compared-ranges.ts'
import { describeDifferences, keysOfDifferences } from './differences.ts'
import { workTogether } from './jobs.ts'
import { nextSize } from './sizes.ts'

// Compares both sides of a copy, range by range of the key. Invariants:
//
//   - The first and the last range are unbounded, and each starts where the previous one ends: every key is in
//     exactly one.
//   - A range is compared in one snapshot, which ends with it.
//   - A range is so small that a hash table of its rows fits in memory, unless the physical order differs from the
//     key order: see `sizesOf`.

/** The maximum size of a range: 32 MB. */
const MOST_BLOCKS = 4_096
/**
 * If the physical order differs from the key order: about this many ranges, of at least 128 MB and at most 1 GB. The
 * hash tables go to temporary files, and a full disk would stop every session.
 */
const SCATTERED_RANGES = 8
const LEAST_SCATTERED = 4
const MOST_SCATTERED = 32
const FIRST_ROWS = 25_600
/** Keys recorded per kind of difference. */
const TOLD_KEYS = 10

/** @throws {EbbError} when the sides differ */
export async function verify(step: VerifyStep, context: RunContext): Promise<void> {
  const { session, journalSchema } = context
  const { work, shared = null } = step
  const [, , columns, unique] = await inOneGo(session, () => [
    assertCaptured(session, journalSchema, work),
    assertSameColumns(work, session),
    comparedColumns(session, work.target),
    hasUniqueKey(session, work.target, work.capture.key),
  ])
  await compareAll({ work, shared, columns, unique }, step.jobs, context)
  const { rows, differences } = await foundDifferences(session, journalSchema, context.runId)
  if (differences.length === 0) return
  await forgetRanges(session, journalSchema, context.runId)
  await assertCaptured(session, journalSchema, work)
  await assertSameColumns(work, session)
  throw new EbbError(
    `the copy of ${display(work.source)} differs from it: of ${rows.toLocaleString('en-US')} rows in ${display(work.target)} ${describeDifferences(differences)}`,
    {
      state: 'The swap has not happened; the table itself is unchanged.',
      next: 'Run the same command again to repeat the comparison; --show-values shows keys. If it fails again, please report it, and undo the run with ebb abandon.',
    },
    'failed',
    undefined,
    keysOfDifferences(differences),
  )
}

/** A failure ends the comparison and all pauses. It is thrown when no job is comparing any more. */
async function compareAll(comparison: Comparison, jobs: Jobs, context: RunContext): Promise<void> {
  const { session, journalSchema } = context
  const sizes = await sizesOf(session, comparison.work, Math.min(MOST_BLOCKS, context.copySizes.chunkBlocks))
  const soFar = await comparedSoFar(session, journalSchema, context.runId)
  const ranges = rangesBehind(soFar, comparison)
  const failed = new AbortController()
  const fail = (error: unknown) => {
    ranges.close()
    failed.abort(error)
  }
  const report = reporter(soFar?.rows ?? 0, sizes.rows, context)
  const signal = AbortSignal.any([context.signal, failed.signal])
  await withPace({ ...context, signal }, [comparison.work.source], (pace) => {
    const gain = new Gain()
    const comparing = { comparison, context, ranges, sizes, pace, gain, report }
    const first = () => compareRanges(comparing, session, () => true)
    const further = ([another]: readonly Session[], goesOn: () => boolean) => compareRanges(comparing, another!, goesOn)
    // Several such ranges at once would need as many times the temporary files.
    return workTogether({ jobs: sizes.scattered ? 1 : jobs, sessions: 1, gain, first, further, fail }, context)
  })
  failed.signal.throwIfAborted()
}

function rangesBehind(
  last: { readonly number: number; readonly upto: KeyText | null } | undefined,
  comparison: Comparison,
): ComparedRanges<ComparedRange> {
  const findEnd: FindEnd = (session, after, rows) => endOfRange(session, comparison, after, rows)
  if (last === undefined) return new ComparedRanges({ number: 0, after: null }, findEnd)
  return new ComparedRanges(last.upto === null ? null : { number: last.number + 1, after: last.upto }, findEnd)
}

/** Shared by all jobs of a comparison. */
interface Comparing {
  readonly comparison: Comparison
  readonly context: RunContext
  readonly ranges: ComparedRanges<ComparedRange>
  readonly sizes: Sizes
  readonly pace: Pace
  readonly gain: Gain
  readonly report: (rows: number) => void
}

/** Compares range after range, until none is left or `goesOn` is false. */
async function compareRanges(
  { comparison, context, ranges, sizes, pace, gain, report }: Comparing,
  session: Session,
  goesOn: () => boolean,
): Promise<void> {
  const { journalSchema, runId, lease } = context
  let rows = Math.max(sizes.least, Math.min(FIRST_ROWS, sizes.most))
  let last: Batch | null = null
  while (goesOn()) {
    await pace.turn(last, last?.rows)
    const clock = workClock(session)
    const taken = gain.piece()
    const asked = Math.max(sizes.least, pace.fit(rows))
    const range = await ranges.take(session, asked)
    if (range === undefined) return
    const { number, span } = range
    const found = await compareRange(session, comparison, span)
    const milliseconds = clock()
    taken(asked, milliseconds)
    await ranges.record(range, { number, upto: span.upto, ...found, milliseconds }, async (compared) => {
      // After a crash of the server the last ranges are compared again.
      await inTransaction(session, { local: ['synchronous_commit = off'] }, () =>
        inOneGo(session, () => [
          assertLease(session, journalSchema, lease),
          ...compared.map((one) => recordRange(session, journalSchema, runId, one)),
        ]),
      )
      for (const one of compared) report(one.rows)
    })
    last = { rows: asked, milliseconds }
    rows = Math.max(sizes.least, Math.min(sizes.most, nextSize(asked, milliseconds)))
  }
}

interface Sizes {
  /** Rows of the target, by the last vacuum. */
  readonly rows: number
  /** Of a range. */
  readonly least: number
  readonly most: number
  /** If the physical order differs from the key order. */
  readonly scattered: boolean
}

/**
 * If the physical order differs from the key order (random UUIDs), an index scan fetches the rows of a range from all
 * over the table. So there are few ranges then, each large enough to scan both tables, which the planner decides. The
 * hash tables go to temporary files, so not if those are limited to less.
 */
async function sizesOf(session: Session, { source, target, capture }: CopyWork, blocks: number): Promise<Sizes> {
  const column = capture.key.columns[0]?.name ?? ''
  const found = await readOnePrepared<{ rows: number; pages: number; scattered: boolean; room: number }>(
    session,
    sql`
    select ${sumOver(target, 'greatest(c.reltuples, 0)')} as rows, ${sumOver(target, 'c.relpages')} as pages,
      ${isScattered(source, column)} or ${isScattered(target, column)} as scattered,
      (select case when setting = '-1' then 'infinity' else setting::float8 * 1024 / current_setting('block_size')::int end
        from pg_settings where name = 'temp_file_limit')::float8 as room`,
  )
  const { rows, pages, scattered, room } = found
  const rowsIn = (count: number) => Math.max(1, Math.floor((rows / Math.max(pages, 1)) * count))
  const most = rowsIn(blocks)
  const scatteredBlocks = Math.min(
    Math.max(Math.ceil(pages / SCATTERED_RANGES), LEAST_SCATTERED * blocks),
    MOST_SCATTERED * blocks,
  )
  if (!scattered || 2 * scatteredBlocks > room) return { rows, least: 1, most, scattered: false }
  const least = rowsIn(scatteredBlocks)
  return { rows, least, most: least, scattered: true }
}

/** The table or partitions with the rows. */
function filesOf(table: TableName): Sql {
  return sql`pg_class c where c.relkind = 'r' and c.oid in (
      select ${quoted(table).text}::regclass union select relid from pg_partition_tree(${quoted(table).text}::regclass))`
}

function sumOver(table: TableName, what: string): Sql {
  return sql`(select coalesce(sum(${raw(what)}), 0)::float8 from ${filesOf(table)})`
}

/** An absolute correlation below this counts as unordered. */
const CORRELATED = 0.5

/** Whether most rows of a table are known to be in another physical order than the values of this column. */
function isScattered(table: TableName, column: string): Sql {
  const correlation = sql`(select abs(s.correlation) from pg_stats s join pg_namespace n on n.nspname = s.schemaname
    where n.oid = c.relnamespace and s.tablename = c.relname and s.attname = ${column} and not s.inherited)`
  return sql`(select coalesce(sum(c.reltuples) filter (where ${correlation} < ${CORRELATED}) > sum(c.reltuples) / 2, false)
    from ${filesOf(table)} and c.reltuples > 0)`
}

/** By the index of the target, which is compact and whose visibility map is set: few heap fetches. */
async function endOfRange(
  session: Session,
  comparison: Comparison,
  after: KeyText | null,
  rows: number,
): Promise<KeyText | null> {
  // Keys are transferred as text, and must be read under the settings they were written under.
  const [end] = await askUnder(session, comparison.work.settings, () =>
    readAll<{ key: string[] }>(session, endStatement(comparison, after, rows)),
  )
  return end?.key ?? null
}

async function compareRange(session: Session, comparison: Comparison, span: KeySpan) {
  return inTransaction(session, { isolation: 'repeatable read', readOnly: true, local: PLANNING }, async () => {
    const [, { logged }] = await inOneGo(session, () => [
      putSession(session, comparison.work.settings),
      readOne<{ logged: boolean }>(session, loggedStatement(comparison, span)),
    ])
    const seen = { ...span, logged }
    const { rows, different, repeated } = await readOne<{ rows: number; different: number; repeated: number }>(
      session,
      compareStatement(comparison, seen),
    )
    if (different === 0 && repeated === 0) return { rows, differences: null }
    const faults = await readOne<Record<RowFault, number>>(session, faultsStatement(comparison, seen))
    return { rows, differences: await withKeys(session, comparison, seen, { ...faults, repeated }) }
  })
}

// The log has no index and may have the statistics of an empty table: a nested loop would scan it for each row. This
// memory is enough for the hash table of a range.
const PLANNING = ['enable_nestloop = off', "work_mem = '64MB'", 'max_parallel_workers_per_gather = 0']

async function withKeys(
  session: Session,
  comparison: Comparison,
  span: SeenSpan,
  faults: Readonly<Record<Fault, number>>,
): Promise<Differences | null> {
  const entries: [Fault, { rows: number; keys: KeyText[] }][] = []
  for (const fault of FAULTS.filter((one) => faults[one] > 0)) {
    const keys = await readAll<{ key: string[] }>(session, keysStatement(comparison, span, fault, TOLD_KEYS))
    entries.push([fault, { rows: faults[fault], keys: keys.map(({ key }) => key) }])
  }
  return entries.length === 0 ? null : Object.fromEntries(entries)
}

function reporter(before: number, expected: number, { observer }: TableContext): (rows: number) => void {
  const began = performance.now()
  let done = before
  return (rows) => {
    done += rows
    const seconds = (performance.now() - began) / 1000
    const perSecond = (done - before) / Math.max(seconds, 0.001)
    const total = Math.max(expected, done)
    const remainingSeconds = seconds < 1 ? null : (total - done) / perSecond
    observer({
      type: 'progress',
      progress: { what: 'comparing', done, total, unit: 'rows', perSecond, remainingSeconds },
    })
  }
}

/**
 * Checked before, because a new column makes no row differ, and after a difference, which may be due to a changed type. A
 * column added later is detected under the lock of the swap.
 */
async function assertSameColumns({ source, target }: CopyWork, session: Session): Promise<void> {
  const { same } = await readOnePrepared<{ same: boolean }>(
    session,
    sql`select ${columnsOf(source)} = ${columnsOf(target)} as same`,
  )
  if (same) return
  throw new EbbError(`the columns of ${display(source)} have changed since the plan was made`, {
    state: 'The swap has not happened; the table itself is unchanged.',
    next: 'Undo the run with ebb abandon, and start again: the new plan includes the change.',
  })
}

function columnsOf(table: TableName): Sql {
  return sql`array(select format('%s %s', attname, format_type(atttypid, atttypmod)) from pg_attribute
    where attrelid = ${quoted(table).text}::regclass and attnum > 0 and not attisdropped order by attnum)`
}
