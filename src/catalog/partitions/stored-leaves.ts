import { takingBack, within } from '../../db/savepoint.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { messageOf } from '../../errors.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { putEverywhere } from '../../sql/condition-settings.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { Reach } from '../condition/selectivity.ts'
import type { CitusTable } from '../citus.ts'
import { explained } from '../explain.ts'
import { readLeafFacts, type LeafModel } from './purge-leaves.ts'
import { shardsOf, type ShardReading } from './shard-plan.ts'

// The leaves of a table that Citus stores. Sizes, statistics and rows are on the nodes; the catalogue, with indexes and
// privileges, is the coordinator's as for any table.

/** In the open transaction: a condition is evaluated on other nodes under its settings, too. */
export async function putOnAllNodes(session: Session, settings: ConditionSettings): Promise<void> {
  await session.query(`set local citus.propagate_set_commands = 'local'`)
  // One by one: Citus sends on the whole message.
  for (const statement of putEverywhere(settings)) await session.query(statement)
}

/** Why Citus does not send a delete with this condition to its nodes, in its words; null where it does. In the open transaction. */
export async function readRefusal(
  session: Session,
  table: TableName,
  predicate: Predicate,
  settings: ConditionSettings,
): Promise<string | null> {
  try {
    await takingBack(session, async () => {
      await putOnAllNodes(session, settings)
      await explained(session, sql`delete from ${quoted(table)} t where (${raw(predicate.text)}\n) is true`)
    })
    return null
  } catch (error) {
    // Another error is of the condition itself, which is shown better where that is read.
    return codeOf(error) === SQLSTATE.featureNotSupported ? messageOf(error) : null
  }
}

/** The leaves in which rows that match can be, and whether there are any and others; in the snapshot that is open. */
export async function readStoredLeaves(
  session: Session,
  table: TableName,
  { kind }: CitusTable,
  predicate: Predicate,
  settings: ConditionSettings,
): Promise<{ readonly leaves: LeafModel[]; readonly reach: Reach }> {
  await putOnAllNodes(session, settings)
  const matches = raw(`(${predicate.text}\n)`)
  const [plan] = await explained(session, sql`select from ${quoted(table)} t where ${matches}`)
  const reading = shardsOf(plan?.Plan)
  const reach = {
    selectsSome: await isAny(session, table, matches),
    sparesSome: await isAny(session, table, sql`${matches} is not true`),
  }
  await session.query(`set local search_path to ''`)
  const names = await readReached(session, table, reading)
  const facts = await readLeafFacts(
    session,
    names.map(({ name }) => name),
  )
  const leaves: LeafModel[] = []
  for (const fact of facts) {
    const shards = await readShards(session, fact.name)
    const share = names.find(({ name }) => name.name === fact.name.name && name.schema === fact.name.schema)?.matching
    const rows = shards.some((shard) => shard.rows === null) ? null : sum(shards.map((shard) => shard.rows ?? 0))
    leaves.push({
      ...fact,
      blocks: Math.max(0, ...shards.map(({ blocks }) => blocks)),
      rows,
      matching: Math.min(rows ?? Infinity, (share ?? 0) * (kind === 'reference' ? 1 : shards.length)),
      plannedIndex: null,
      indexes: fact.indexes.map((index) => ({ ...index, coversMatches: true })),
      stored: kind === 'reference' ? 'copies' : 'shards',
    })
  }
  return { leaves, reach }
}

const LOOK_MS = 5_000

// No `exists (…)`: workers cannot read what Citus makes of it.
async function isAny(session: Session, table: TableName, which: Sql): Promise<boolean | null> {
  const found = await within(session, LOOK_MS, () =>
    readAll(session, sql`select 1 as one from ${quoted(table)} t where ${which} limit 1`),
  )
  return found === 'unknown' ? null : found.length > 0
}

/** The leaves that the plan of one shard shows, with the rows that match there; all leaves, where it shows none that is known. */
async function readReached(
  session: Session,
  table: TableName,
  reading: readonly ShardReading[] | null,
): Promise<{ name: TableName; matching: number }[]> {
  const shards = reading ?? []
  return readAll(
    session,
    sql`
    with shown as (
      select s.logicalrelid::oid as oid, sum(r.matching) as matching
      from unnest(${shards.map(({ shard }) => shard)}::bigint[], ${shards.map(({ matching }) => matching)}::float8[]) r (shard, matching)
      join pg_dist_shard s on s.shardid = r.shard group by 1)
    select json_build_object('schema', n.nspname, 'name', c.relname) as name, coalesce(w.matching, 0)::float8 as matching
    from (select relid as oid from pg_partition_tree(${quoted(table).text}::regclass) where isleaf
        union select ${quoted(table).text}::regclass::oid where not exists (select from pg_partition_tree(${quoted(table).text}::regclass))) l
    join pg_class c on c.oid = l.oid join pg_namespace n on n.oid = c.relnamespace left join shown w on w.oid = l.oid
    where ${reading === null} or w.oid is not null order by pg_get_expr(c.relpartbound, c.oid), c.relname`,
  )
}

/** Of one shard: its size, and its rows as the planner of its node believes; null when never analysed. */
export interface Shard {
  readonly blocks: number
  readonly rows: number | null
}

/** Asked of the nodes. Of a reference table it is one of its copies. */
export async function readShards(session: Session, table: TableName): Promise<Shard[]> {
  const question = `select json_build_object('blocks', pg_relation_size(c.oid) / current_setting('block_size')::int, 'rows', nullif(c.reltuples, -1)) from pg_catalog.pg_class c where c.oid = '%s'::regclass`
  const { shards } = await readOne<{ shards: Shard[] }>(
    session,
    sql`select coalesce(json_agg(result::json), '[]') as shards from run_command_on_shards(${quoted(table).text}, ${raw(literal(question).text)}) where success`,
  )
  return shards
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
