import { putOnAllNodes, readShards } from '../../../catalog/partitions/stored-leaves.ts'
import { readAll, readOne } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { inTransaction } from '../../../db/transaction.ts'
import { inRange } from '../../../plan/purge/range.ts'
import { countListed, driftOfStored, isArchived } from '../../../plan/purge/stored-list.ts'
import type { PurgeLeaf, PurgeWork } from '../../../plan/purge/work.ts'
import { quoted, type TableName } from '../../../sql/names.ts'
import { raw, sql, type Sql } from '../../../sql/sql.ts'
import { rangeOf } from '../batch.ts'
import type { TableContext } from '../../table-context.ts'
import { assertLeaf, LeafLostError } from '../leaf-state.ts'
import type { Drift } from '../candidates/slices.ts'
import type { StoredRange } from './batch.ts'

/** Blocks of each shard: a snapshot of a fraction of a second on each node. */
const CHUNK_BLOCKS = 8_192

/** The rows that match now, on all nodes, in all partitions that there are now. */
export async function countStored(session: Session, work: PurgeWork, signal: AbortSignal): Promise<number> {
  const [leaf] = work.leaves
  if (leaf?.stored === 'copies') return countWhere(session, work, work.table, raw('true'))
  let rows = 0
  const blocks = await largestShard(session, work.table)
  for (let first = 0; first < blocks; first += CHUNK_BLOCKS) {
    signal.throwIfAborted()
    const part = {
      leaf: { walk: { kind: 'blocks' } } as PurgeLeaf,
      after: `(${first},0)`,
      upto: `(${first + CHUNK_BLOCKS},0)`,
    }
    rows += await countWhere(session, work, work.table, inRange(part.leaf, rangeOf(part)))
  }
  return rows
}

/** Those of a part of a leaf that are to be deleted. */
export function countRange(session: Session, work: PurgeWork, leaf: PurgeLeaf, range: StoredRange): Promise<number> {
  if (isArchived(leaf)) return readCount(session, work, countListed(work, leaf, rangeOf(range)))
  return countWhere(session, work, leaf.name, inRange(leaf, rangeOf(range)))
}

async function isPresent({ session }: TableContext, work: PurgeWork, leaf: PurgeLeaf): Promise<boolean> {
  try {
    await assertLeaf(session, work, leaf, new Map())
    return true
  } catch (error) {
    if (error instanceof LeafLostError) return false
    throw error
  }
}

/** Without `is true`: partitions that the condition rules out are not looked at, for columnar ones have no addresses. */
function countWhere(session: Session, work: PurgeWork, table: TableName, which: Sql): Promise<number> {
  const matching = sql`select pg_catalog.count(*)::pg_catalog.float8 as rows from ${quoted(table)} t where ${which} and (${raw(work.where)}\n)`
  return readCount(session, work, matching)
}

async function readCount(session: Session, work: PurgeWork, statement: Sql): Promise<number> {
  return (await onAllNodes(session, work, () => readOne<{ rows: number }>(session, statement))).rows
}

function onAllNodes<T>(session: Session, { settings }: PurgeWork, ask: () => Promise<T>): Promise<T> {
  return inTransaction(session, { readOnly: true }, async () => {
    await putOnAllNodes(session, settings)
    return ask()
  })
}

/** Archived rows that were not deleted: those that still could be, and what has become of the others. */
export async function countArchived(
  context: TableContext,
  work: PurgeWork,
): Promise<{ readonly matching: number; readonly drift: Drift }> {
  const left = { matching: 0, changed: 0, gone: 0 }
  const { session } = context
  for (const leaf of work.leaves.filter(isArchived)) {
    if (!(await isPresent(context, work, leaf))) continue
    const all = { after: null, upto: null }
    const matching = await readCount(session, work, countListed(work, leaf, all))
    const drift = driftOfStored(leaf)
    const { there, gone } = await onAllNodes(session, work, () =>
      readOne<{ there: number; gone: number }>(session, drift),
    )
    left.matching += matching
    left.changed += Math.max(0, there - matching)
    left.gone += gone
  }
  return { matching: left.matching, drift: { changed: left.changed, gone: left.gone } }
}

async function largestShard(session: Session, table: TableName): Promise<number> {
  const leaves = await readAll<TableName>(
    session,
    sql`
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and (c.oid = to_regclass(${quoted(table).text}) or c.oid in (select relid from pg_partition_tree(to_regclass(${quoted(table).text}))))`,
  )
  let most = 0
  for (const leaf of leaves) for (const { blocks } of await readShards(session, leaf)) most = Math.max(most, blocks)
  return most
}
