import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { orderingOf, type Ordering } from '../../sql/operators.ts'
import { ident, join, raw, sql } from '../../sql/sql.ts'
import { DISABLED_CONSTRAINTS, FIRED_BY, type DisabledConstraint } from '../references/disabled-constraints.ts'
import { ESTIMATED_ROWS, NEVER_NULL, TELLABLE } from '../table/json-parts.ts'
import { readPlan, readPlanned } from './planned-leaves.ts'
import { PUBLISHED, type Published } from '../table/published.ts'

// The tables in which rows that match a condition can be: the table itself or,
// of a partitioned one, those partitions that the planner does not rule out.

/** A table without partitions, as far as deleting some of its rows depends on it. */
export interface LeafModel {
  readonly oid: string
  readonly name: TableName
  readonly kind: 'table' | 'foreign table' | 'other'
  /** By which its rows are stored; null where there are none. */
  readonly accessMethod: string | null
  readonly blocks: number
  /** As the planner believes; null when never analysed. */
  readonly rows: number | null
  /** Of those, the ones that match. */
  readonly matching: number
  /** The index by which the planner would reach them, if by one. */
  readonly plannedIndex: string | null
  /** What of select, update and delete the role may not do; deleting locks rows first, which is a kind of update. */
  readonly missingPrivileges: readonly string[]
  readonly mayVacuum: boolean
  readonly rowsHidden: boolean
  /** Rules that rewrite a delete. */
  readonly deleteRules: readonly string[]
  /** Triggers that fire for a deleted row. */
  readonly deleteTriggers: readonly string[]
  /** Triggers that fire once for a statement that deletes, from the table that it names. */
  readonly statementTriggers: readonly string[]
  /** Foreign keys that do not check a deleted row, because their triggers are disabled. */
  readonly disabledConstraints: readonly DisabledConstraint[]
  readonly published: Published
  readonly columns: readonly string[]
  readonly indexes: readonly LeafIndex[]
  /** Where Citus stores its rows: `blocks` are then those of the largest shard, `rows` those of all. */
  readonly stored?: 'shards' | 'copies'
}

/** An index that can be walked along: a btree over whole columns, all in one direction, in the order that their operators have. */
export interface LeafIndex {
  readonly name: string
  readonly columns: readonly LeafIndexColumn[]
  readonly unique: boolean
  /** Rows that share a key, as the statistics have it. */
  readonly rowsPerKey: number
  /** No row that matches has a NULL in its columns: in the order of keys it would be nowhere. */
  readonly coversMatches: boolean
}

export interface LeafIndexColumn {
  readonly name: string
  /** Qualified and quoted, without a length. */
  readonly type: string
  readonly operators: Ordering
  readonly notNull: boolean
}

/** The leaves in which rows that match can be, in the snapshot that is open. `orderBy` is the column whose indexes may be walked along. */
export async function readLeaves(
  session: Session,
  table: TableName,
  predicate: Predicate,
  settings: ConditionSettings,
  orderBy: string | null,
): Promise<LeafModel[]> {
  const planned = await readPlanned(session, table, predicate.text, settings)
  const facts = await readLeafFacts(
    session,
    planned.map(({ name }) => name),
  )
  const leaves: LeafModel[] = []
  for (const [i, fact] of facts.entries()) {
    const { matching, index } = planned[i] ?? { matching: 0, index: null }
    const indexes = await withCoverage(session, fact, predicate, settings, index, orderBy)
    leaves.push({ ...fact, indexes, matching, plannedIndex: index })
  }
  return leaves
}

/** What is true of a table whatever the condition. */
export type LeafFacts = Omit<LeafModel, 'matching' | 'plannedIndex'>

/** In the order of the names. */
export async function readLeafFacts(session: Session, names: readonly TableName[]): Promise<LeafFacts[]> {
  return readAll<LeafFacts>(
    session,
    sql`
    select c.oid::text as oid, json_build_object('schema', n.nspname, 'name', c.relname) as name,
      case c.relkind when 'r' then 'table' when 'f' then 'foreign table' else 'other' end as kind,
      (select amname::text from pg_am where oid = c.relam) as "accessMethod",
      (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as blocks, ${raw(ESTIMATED_ROWS('c'))} as rows,
      array(select p from unnest(array['select', 'update', 'delete']) p
            where not has_table_privilege(c.oid, p)) as "missingPrivileges",
      pg_has_role(c.relowner, 'usage') as "mayVacuum", row_security_active(c.oid) as "rowsHidden",
      array(select r.rulename::text from pg_rewrite r where r.ev_class = c.oid and r.ev_type = '4' and r.ev_enabled <> 'D') as "deleteRules",
      array(select t.tgname::text from pg_trigger t
            where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 8 <> 0 order by 1) as "deleteTriggers",
      array(select t.tgname::text from pg_trigger t
            where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 9 = 8 order by 1) as "statementTriggers",
      array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
      ${disabled} as "disabledConstraints", ${raw(PUBLISHED('c', 'n'))} as published, ${indexes} as indexes
    from unnest(${names.map(({ schema }) => schema)}::text[], ${names.map(({ name }) => name)}::text[]) with ordinality w (schema, name, place)
    join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name
    order by w.place`,
  )
}

const disabled = raw(DISABLED_CONSTRAINTS('t.tgrelid = c.oid', FIRED_BY.delete))

const indexes = raw(`coalesce((
  select json_agg(json_build_object('name', x.relname, 'unique', i.indisunique and not coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
      'columns', k.columns, 'coversMatches', false,
      'rowsPerKey', case when i.indisunique then 1 else greatest(c.reltuples, 1) / greatest(k.distinct_values, 1) end) order by x.relname)
  from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
  cross join lateral (
    select json_agg(json_build_object('name', a.attname, 'type', quote_ident(tn.nspname) || '.' || quote_ident(t.typname), 'operators', ${orderingOf('oc')}, 'notNull', ${NEVER_NULL}) order by o.place) as columns,
      count(a.attnum) = count(*) as plain, min(o.option) = max(o.option) and min(o.option) in (0, 3) as one_way,
      bool_and(oc.opcdefault and o.coll in (0, a.attcollation) and ${TELLABLE('a')}) as usual,
      max(case when s.n_distinct < 0 then -s.n_distinct * greatest(c.reltuples, 1) else coalesce(s.n_distinct, 0) end) as distinct_values
    from unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[], i.indoption::int2[]) with ordinality o (num, class, coll, option, place)
    join pg_opclass oc on oc.oid = o.class
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = o.num and a.attnum > 0
    left join pg_type t on t.oid = a.atttypid left join pg_namespace tn on tn.oid = t.typnamespace
    left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname and not s.inherited
    where o.place <= i.indnkeyatts) k
  where i.indrelid = c.oid and i.indisvalid and i.indpred is null and m.amname = 'btree' and k.plain and k.one_way and k.usual), '[]'::json)`)

/** Finds out, for the indexes that may be chosen, whether every row that matches is in their order. */
async function withCoverage(
  session: Session,
  facts: LeafFacts,
  predicate: Predicate,
  settings: ConditionSettings,
  planned: string | null,
  orderBy: string | null,
): Promise<LeafIndex[]> {
  const found: LeafIndex[] = []
  for (const index of facts.indexes) {
    const nullable = index.columns.filter(({ notNull }) => !notNull)
    const asked = index.name === planned || index.columns[0]?.name === orderBy
    const coversMatches =
      nullable.length === 0 || (asked && (await isImpossible(session, facts, predicate, nullable, settings)))
    found.push({ ...index, coversMatches })
  }
  return found
}

/**
 * Whether the planner can prove that no row matches which has a NULL in one of
 * these columns, as none does of which `seen_at < now()` is asked: with NULL in
 * the column's place, nothing but false is left of the condition.
 */
async function isImpossible(
  session: Session,
  { name, columns }: LeafFacts,
  predicate: Predicate,
  nullable: readonly LeafIndexColumn[],
  settings: ConditionSettings,
): Promise<boolean> {
  for (const column of nullable) {
    const shown = columns.map((other) =>
      other === column.name ? sql`null::${raw(column.type)} as ${ident(other)}` : sql`t.${ident(other)}`,
    )
    const query = sql`select from (select ${join(shown)} from only ${quoted(name)} t) t where (${raw(predicate.text)}\n)`
    const plan = await readPlan(session, query, settings)
    if (plan['One-Time Filter'] !== 'false') return false
  }
  return true
}
