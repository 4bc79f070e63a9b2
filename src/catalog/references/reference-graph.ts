import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { literal, raw, sql } from '../../sql/sql.ts'
import { ESTIMATED_ROWS } from '../table/json-parts.ts'
import { PUBLISHED, type Published } from '../table/published.ts'
import { COLUMN_PAIRS, IS_ENFORCED, IS_INDEXED, IS_KEY_ONTO, type ColumnPair } from './foreign-key.ts'
import { DISABLED_CONSTRAINTS, FIRED_BY, type DisabledConstraint } from './disabled-constraints.ts'

// The foreign keys that are followed downwards from one table: onto it, onto
// the tables that refer to it, and so on. A foreign key of or onto partitions
// that PostgreSQL made for one of the whole table is none of its own; one onto a
// table that the partition belongs to is one onto the partition as well.

/** The tables that reference the root, directly or through others. */
export interface ReferenceGraph {
  /** The table that the graph was read for. */
  readonly root: GraphTable
  /** The root and all tables that refer to it, directly or through others; by name. */
  readonly tables: readonly GraphTable[]
  /** By the names of tables and constraints. Those that PostgreSQL does not enforce are left out. */
  readonly references: readonly GraphReference[]
  /** PostgreSQL counts what a transaction deletes and updates, also where it does so by itself (track_counts). */
  readonly counts: boolean
}

/** A table of the graph, and what the connected role may do there. */
export interface GraphTable {
  readonly oid: string
  readonly name: TableName
  readonly owner: string
  readonly partitioned: boolean
  /** As the planner believes; null where it was never analysed. */
  readonly estimatedRows: number | null
  readonly mayDelete: boolean
  readonly mayVacuum: boolean
  /** Its indexes can be created and dropped; unknown in a plan of an earlier version. */
  readonly mayIndex?: boolean
  /** Rules that rewrite a delete; of a plan of an earlier version nothing is known of them. */
  readonly deleteRules?: readonly string[]
  /** Row-level security hides rows from this role: deleting there is an error then. */
  readonly rowsHidden: boolean
  /** Of a partitioned table nothing: its partitions are published each for itself. */
  readonly published: Published | null
  /** Constraints disabled there, or in its partitions. */
  readonly disabledConstraints: readonly DisabledConstraint[]
}

/** What a foreign key says is to happen when the row it points to is deleted. */
export type DeleteAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default'

/** One foreign key, as deleting a row of `to` sees it. */
export interface GraphReference {
  readonly name: string
  /** Oids of tables of the graph: the referring one and the one pointed to. */
  readonly from: string
  readonly to: string
  /** In the order of the constraint. */
  readonly pairs: readonly ColumnPair[]
  readonly onDelete: DeleteAction
  /** Set null would meet a column that may not be null, so the row cannot go while it is referred to. */
  readonly cannotSetNull: boolean
  /** It points at one partition of `to` only, or at a table that inherits from it, whose rows cannot be told from those of others by their key. */
  readonly ontoPartition: boolean
  /** For periods of time (PERIOD, from 18 on): equality of columns does not describe it. */
  readonly temporal: boolean
  /** A whole, valid index begins with the referring columns. A partial one may serve too: that is found out by trying. */
  readonly indexed: boolean
  /** Of the referring columns, about; unknown in a plan of an earlier version. */
  readonly keyBytes?: number
  /** The role may read the columns of both sides. */
  readonly readable: boolean
}

/** Reads the graph below a table, in one statement. */
export async function readReferenceGraph(client: ClientBase, root: TableName): Promise<ReferenceGraph> {
  const { oid, tables, references, counts } = await readOne<GraphRow>(
    client,
    sql`
    with recursive node (oid) as (
      select ${quoted(root).text}::regclass::oid
      union
      select f.conrelid from node n, ${raw(FAMILY(root))}, pg_constraint f where ${raw(FOLLOWED)}
    ),
    edge as (
      select f.oid, f.conrelid, f.confrelid, n.oid as target, m.part as onto_partition, f.conname, f.conkey, f.confkey, f.conpfeqop, f.confdeltype,
        coalesce((to_jsonb(f) ->> 'conperiod')::boolean, false) as temporal,
        (select array_agg(s::int2) from jsonb_array_elements_text(nullif(to_jsonb(f) -> 'confdelsetcols', 'null')) s) as set_columns
      from node n, ${raw(FAMILY(root))}, pg_constraint f where ${raw(FOLLOWED)}
    )
    select ${quoted(root).text}::regclass::oid::text as oid, current_setting('track_counts')::boolean as counts,
      (select json_agg(${raw(TABLE)} order by s.nspname, c.relname)
       from node n join pg_class c on c.oid = n.oid join pg_namespace s on s.oid = c.relnamespace) as tables,
      (select coalesce(json_agg(${raw(REFERENCE)} order by s.nspname, c.relname, e.conname, e.target), '[]')
       from edge e join pg_class c on c.oid = e.conrelid join pg_namespace s on s.oid = c.relnamespace) as references`,
  )
  const found = tables.find((table) => table.oid === oid)
  if (found === undefined) throw new Error('a graph without its root')
  return { root: found, tables, references, counts }
}

interface GraphRow extends Pick<ReferenceGraph, 'tables' | 'references' | 'counts'> {
  readonly oid: string
}

const FOLLOWED = `${IS_KEY_ONTO('m.relid', 'f')} and ${IS_ENFORCED('f')}`

/** The table n, the tables it is a partition of, and its partitions (`part`); of the root also what inherits from it. */
const FAMILY = (root: TableName) => `lateral (
  select n.oid as relid, false as part
  union select a.relid, false from pg_partition_ancestors(n.oid) a
  union select t.relid, true from pg_partition_tree(n.oid) t where t.relid <> n.oid
  union select h.oid, true from (with recursive heir (oid) as (
    select i.inhrelid from pg_inherits i where i.inhparent = n.oid and n.oid = ${literal(quoted(root).text).text}::regclass
    union select i.inhrelid from pg_inherits i join heir on i.inhparent = heir.oid) select oid from heir) h) m`

// Of a partitioned table never analysed itself, the partitions' rows are the best that is known.
const TABLE = `json_build_object(
  'oid', c.oid::text, 'name', json_build_object('schema', s.nspname, 'name', c.relname), 'owner', pg_get_userbyid(c.relowner),
  'partitioned', c.relkind = 'p',
  'estimatedRows', case when c.relkind = 'p'
    then (select case when count(r.rows) = count(*) then sum(r.rows) end from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid, lateral (select ${ESTIMATED_ROWS('l')} as rows) r where t.isleaf)
    else ${ESTIMATED_ROWS('c')} end,
  'mayDelete', has_schema_privilege(s.oid, 'usage') and has_table_privilege(c.oid, 'delete'),
  'deleteRules', array(select r.rulename::text from pg_rewrite r where r.ev_class = c.oid and r.ev_type = '4' and r.ev_enabled <> 'D' order by 1),
  'mayVacuum', pg_has_role(c.relowner, 'usage'),
  'mayIndex', pg_has_role(c.relowner, 'usage') and has_schema_privilege(s.oid, 'create'), 'rowsHidden', row_security_active(c.oid),
  'published', case when c.relkind = 'r' then ${PUBLISHED('c', 's')} end,
  'disabledConstraints', ${DISABLED_CONSTRAINTS(
    't.tgrelid = c.oid or t.tgrelid in (select relid from pg_partition_tree(c.oid))',
    FIRED_BY.delete | FIRED_BY.update,
  )})`

const REFERENCE = `json_build_object(
  'name', e.conname, 'from', e.conrelid::text, 'to', e.target::text, 'ontoPartition', e.onto_partition, 'temporal', e.temporal,
  'onDelete', case e.confdeltype when 'a' then 'no action' when 'r' then 'restrict' when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end,
  'pairs', ${COLUMN_PAIRS('e')},
  'cannotSetNull', e.confdeltype = 'n' and exists (select from pg_attribute x
    where x.attrelid = e.conrelid and x.attnum = any (coalesce(e.set_columns, e.conkey)) and x.attnotnull),
  'indexed', ${IS_INDEXED('e')},
  'keyBytes', (select sum(case when x.attlen > 0 then x.attlen else 32 end) from pg_attribute x
    where x.attrelid = e.conrelid and x.attnum = any (e.conkey)),
  'readable', has_schema_privilege(s.oid, 'usage')
    and (select bool_and(has_column_privilege(e.conrelid, k, 'select')) from unnest(e.conkey) k)
    and (select bool_and(has_column_privilege(e.target, y.attname::text, 'select')) from pg_constraint f, unnest(f.confkey) k,
           pg_attribute y where f.oid = e.oid and y.attrelid = f.confrelid and y.attnum = k))`
