import { readPlanned } from '../../catalog/partitions/planned-leaves.ts'
import { readLeafFacts } from '../../catalog/partitions/purge-leaves.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { askUnder } from '../../db/settings.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { countStatement } from '../../plan/purge/batch.ts'
import { isRecorded, type RecordedWalk } from '../../plan/purge/positions.ts'
import type { ArchivedKeys } from '../../plan/purge/archive/work.ts'
import { entriesLeft, isArchived } from '../../plan/purge/stored-list.ts'
import { LIST_COLUMNS } from '../../plan/purge/version-list.ts'
import type { PurgeLeaf, PurgeWork } from '../../plan/purge/work.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'
import { rangeOf } from './batch.ts'
import { forEachSlice, readDrift, type Drift } from './candidates/slices.ts'
import { countArchived, countStored } from './stored/count.ts'
import { assertAllEnded } from './stored/ended.ts'
import { assertLeaf, LeafLostError, WalkAnewError } from './leaf-state.ts'

/** Rows that match now, as short snapshots saw them one after the other. */
export interface Remaining {
  readonly matching: number
  /** Of those, the ones that have to stay. */
  readonly held: number
  /** … and why, the first reason that holds; `what` follows `2 rows`. */
  readonly reasons: readonly { readonly what: string; readonly rows: number }[]
  /** Of a candidate set: what has become of those that do not match. */
  readonly drift?: Drift
  /** Of archived rows: what has become of those that were not deleted. */
  readonly left?: ArchivedLeft
}

/** Rows that were archived, and not deleted. */
export interface ArchivedLeft extends Drift {
  readonly rows: number
  /** Unchanged; those that have to stay, or could not be deleted, are among them. */
  readonly matching: number
  /** … and why they have to stay. */
  readonly reasons: Remaining['reasons']
  /** Of the tables whose rows depend on them, those where some are left; their rows stay with these, or have changed. */
  readonly dependents: readonly { readonly table: TableName; readonly rows: number }[]
}

/** The entries left in the sets of an archived purge. */
export async function countLeft(
  work: PurgeWork,
  context: TableContext,
  sets: readonly ArchivedKeys[],
): Promise<ArchivedLeft> {
  await assertAllEnded(context, sets)
  const { matching, reasons, drift = { changed: 0, gone: 0 } } = await countRemaining(work, context)
  const counts: { table: TableName; rows: number }[] = []
  for (const keys of sets) counts.push({ table: keys.table, rows: await countEntries(context.session, keys) })
  const [own, ...dependents] = counts
  return { rows: own?.rows ?? 0, matching, reasons, dependents: dependents.filter(({ rows }) => rows > 0), ...drift }
}

/** Of a set, or a list. */
export async function countEntries(session: Session, { set, listed, stored }: ArchivedKeys): Promise<number> {
  const entries = raw(listed === true ? `coalesce(sum(cardinality(${LIST_COLUMNS.addresses})), 0)` : 'count(*)')
  const from = stored === true ? entriesLeft(set) : quoted(set)
  return (await readOne<{ rows: number }>(session, sql`select ${entries}::float8 as rows from ${from}`)).rows
}

/** 64 MB: a snapshot of a fraction of a second. */
const CHUNK_BLOCKS = 8_192
/** An index that leads to few rows takes no time; where it does not, blocks are counted after all. */
const BY_INDEX_MS = 5_000

/** All that match, then those that stay, reason by reason. */
type Counts = readonly number[]

/** Counts, to the present end of each leaf: what came to match since the walk is there as well. */
export async function countRemaining(work: PurgeWork, context: TableContext): Promise<Remaining> {
  if (work.leaves.some(isArchived)) return { ...(await countArchived(context, work)), held: 0, reasons: [] }
  if (work.leaves.some(({ stored }) => stored !== undefined))
    return { matching: await countStored(context.session, work, context.signal), held: 0, reasons: [] }
  let counts: Counts = []
  const drifts: Drift[] = []
  for (const leaf of work.leaves) {
    context.signal.throwIfAborted()
    counts = sum(counts, await countPresent(work, leaf, context, drifts))
  }
  for (const leaf of await readLeavesSince(work, context.session))
    counts = sum(counts, await countBlocks(work, leaf, context))
  const [matching = 0, ...staying] = counts
  const reasons = work.dependents.reasons.map(({ what }, i) => ({ what, rows: staying[i] ?? 0 }))
  return {
    matching,
    held: staying.reduce((total, rows) => total + rows, 0),
    reasons: reasons.filter(({ rows }) => rows > 0),
    ...(work.leaves.some(({ walk }) => isRecorded(walk)) ? { drift: sumOfDrifts(drifts) } : {}),
  }
}

function sumOfDrifts(drifts: readonly Drift[]): Drift {
  return drifts.reduce((sum, { changed, gone }) => ({ changed: sum.changed + changed, gone: sum.gone + gone }), {
    changed: 0,
    gone: 0,
  })
}

/** Nothing, where the leaf is no longer there, or none of the table's. */
async function countPresent(work: PurgeWork, leaf: PurgeLeaf, context: TableContext, drifts: Drift[]): Promise<Counts> {
  try {
    await assertLeaf(context.session, work, leaf, new Map())
    return await countLeaf(work, leaf, context, drifts)
  } catch (error) {
    if (error instanceof WalkAnewError) return countBlocks(work, error.leaf, context)
    if (error instanceof LeafLostError) return []
    throw error
  }
}

/** Partitions that have come since the purge was planned, as far as they can hold such rows. */
async function readLeavesSince(work: PurgeWork, session: Session): Promise<PurgeLeaf[]> {
  if (work.leaves.some(({ walk }) => isRecorded(walk))) return []
  return inTransaction(session, { readOnly: true }, async () => {
    const [table] = await readAll<TableName>(
      session,
      sql`select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = ${work.oid}::oid`,
    )
    if (table === undefined) return []
    const reached = await readPlanned(session, table, work.where, work.settings)
    const facts = await readLeafFacts(
      session,
      reached.map(({ name }) => name),
    )
    return facts
      .filter(({ oid, kind }) => kind === 'table' && work.leaves.every((leaf) => leaf.oid !== oid))
      .map(({ name, oid, blocks }) => ({
        name,
        oid,
        walk: { kind: 'blocks' },
        blocks,
        rowsPerBlock: null,
        estimatedRows: 0,
      }))
  })
}

async function countLeaf(work: PurgeWork, leaf: PurgeLeaf, context: TableContext, drifts: Drift[]): Promise<Counts> {
  if (isRecorded(leaf.walk)) return countCandidates(work, leaf, leaf.walk, context, drifts)
  if (leaf.walk.kind === 'blocks') return countBlocks(work, leaf, context)
  const { session } = context
  await session.query(`set statement_timeout = ${BY_INDEX_MS}`)
  try {
    return await readCounts(session, work, countStatement(work, leaf, { after: null, upto: null }))
  } catch (error) {
    if (codeOf(error) !== SQLSTATE.queryCanceled || context.signal.aborted) throw error
  } finally {
    await session.query('set statement_timeout = 0').catch(() => {})
  }
  return countBlocks(work, { ...leaf, walk: { kind: 'blocks' } }, context)
}

async function countCandidates(
  work: PurgeWork,
  leaf: PurgeLeaf,
  walk: RecordedWalk,
  { session, signal }: TableContext,
  drifts: Drift[],
): Promise<Counts> {
  let counts: Counts = []
  await forEachSlice(session, work, leaf, walk, signal, async (after, upto) => {
    counts = sum(counts, await readCounts(session, work, countStatement(work, leaf, rangeOf({ leaf, after, upto }))))
    drifts.push(await readDrift(session, work, leaf, walk, after, upto))
  })
  return counts
}

async function countBlocks(work: PurgeWork, leaf: PurgeLeaf, { session, signal }: TableContext): Promise<Counts> {
  const { blocks } = await readOne<{ blocks: number }>(
    session,
    sql`
    select (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as blocks
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${leaf.name.schema} and c.relname = ${leaf.name.name}
    union all select 0 limit 1`,
  )
  let counts: Counts = []
  // From the end: those were gone through last, and are the ones that the server still has in memory.
  for (let end = blocks; end > 0; end -= CHUNK_BLOCKS) {
    signal.throwIfAborted()
    const range = rangeOf({ leaf, after: `(${Math.max(0, end - CHUNK_BLOCKS)},0)`, upto: `(${end},0)` })
    counts = sum(counts, await readCounts(session, work, countStatement(work, leaf, range)))
  }
  return counts
}

async function readCounts(session: Session, { settings }: PurgeWork, statement: Sql): Promise<Counts> {
  const { counts } = await askUnder(session, settings, () => readOne<{ counts: string[] }>(session, statement))
  return counts.map(Number)
}

function sum(a: Counts, b: Counts): Counts {
  return a.length === 0 ? b : a.map((count, i) => count + (b[i] ?? 0))
}
