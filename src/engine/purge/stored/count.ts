import { putOnAllNodes, readShards } from '../../../catalog/partitions/stored-leaves.ts'
import { readAll, readOne } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { inTransaction } from '../../../db/transaction.ts'
import { inRange } from '../../../plan/purge/range.ts'
import type { PurgeLeaf, PurgeWork } from '../../../plan/purge/work.ts'
import { quoted, type TableName } from '../../../sql/names.ts'
import { raw, sql, type Sql } from '../../../sql/sql.ts'
import { rangeOf } from '../batch.ts'
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

/** Those of a part of a leaf. */
export function countRange(session: Session, work: PurgeWork, leaf: PurgeLeaf, range: StoredRange): Promise<number> {
  return countWhere(session, work, leaf.name, inRange(leaf, rangeOf(range)))
}

/** Without `is true`: partitions that the condition rules out are not looked at, for columnar ones have no addresses. */
function countWhere(session: Session, work: PurgeWork, table: TableName, which: Sql): Promise<number> {
  return inTransaction(session, { readOnly: true }, async () => {
    await putOnAllNodes(session, work.settings)
    const matching = sql`select pg_catalog.count(*)::pg_catalog.float8 as rows from ${quoted(table)} t where ${which} and (${raw(work.where)}\n)`
    return (await readOne<{ rows: number }>(session, matching)).rows
  })
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
