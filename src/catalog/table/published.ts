import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import type { TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { LIST } from './json-parts.ts'

// Which publications send on what is written to a table, and what tells subscribers which row is meant.

/** One publication that sends on what is written to a table. */
export interface Sending {
  readonly publication: string
  readonly inserts: boolean
  readonly updates: boolean
  readonly deletes: boolean
  readonly truncates: boolean
  /** Under the name of the root, where the table is a partition. */
  readonly viaRoot: boolean
  /** The columns that are sent; null for all. */
  readonly columns: readonly string[] | null
  /** The columns by which it is decided which rows are sent; null among them stands for a row as a whole. */
  readonly filterColumns: readonly (string | null)[]
}

/** What is sent of a row that goes or changes, so that subscribers find it. */
export interface ReplicaIdentity {
  readonly kind: 'default' | 'nothing' | 'full' | 'index'
  /** None where there is nothing by which a row could be told. Of `full` all. */
  readonly columns: readonly string[]
}

/** From 19 on an entry of a publication of all tables may name a table that it leaves out. */
export const EXCEPTED = (entry: string) => `coalesce((to_jsonb(${entry}) ->> 'prexcept')::bool, false)`

/**
 * Whether publication `p` sends on the relation `c` of namespace `n`: named itself or through an ancestor, with its
 * schema (from 15 on), or with all tables but those that it leaves out, their partitions included.
 */
export const PUBLISHES = (p: string, c: string, n: string) => `(
  exists (select from pg_publication_rel r where r.prpubid = ${p}.oid and not ${EXCEPTED('r')} and ${AMONG('r.prrelid', c)})
  or ${p}.puballtables and not exists (select from pg_publication_rel r where r.prpubid = ${p}.oid and ${EXCEPTED('r')} and ${AMONG('r.prrelid', c)})
  or exists (select from pg_publication_tables v where v.pubname = ${p}.pubname and v.schemaname = ${n}.nspname and v.tablename = ${c}.relname))`

const AMONG = (relation: string, c: string) =>
  `(${relation} = ${c}.oid or ${relation} in (select relid from pg_partition_ancestors(${c}.oid)))`

/** As a `ReplicaIdentity`. The index may be gone, and a primary key that is deferrable tells nothing. */
export const REPLICA_IDENTITY = (c: string) => `json_build_object(
  'kind', case ${c}.relreplident when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full' else 'index' end,
  'columns', case ${c}.relreplident when 'n' then '[]' else ${LIST(`select json_agg(a.attname order by a.attnum) from pg_attribute a
    where a.attrelid = ${c}.oid and a.attnum > 0 and not a.attisdropped and (${c}.relreplident = 'f'
      or a.attnum = any ((select i.indkey::int2[] from pg_index i where i.indrelid = ${c}.oid and i.indimmediate
        and case ${c}.relreplident when 'd' then i.indisprimary else i.indisreplident end)::int2[]))`)} end)`

/** A list of `Sending`. A publication that goes by the root has its columns and its filter from the topmost table that it names. */
export const SENDINGS = (c: string, n: string) =>
  LIST(`select json_agg(json_build_object('publication', p.pubname, 'inserts', p.pubinsert, 'updates', p.pubupdate,
    'deletes', p.pubdelete, 'truncates', p.pubtruncate, 'viaRoot', p.pubviaroot,
    'columns', case when e.entry ->> 'prattrs' is not null
      then (select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = e.prrelid and e.entry -> 'prattrs' @> to_jsonb(a.attnum))
      else ${UNLESS_GENERATED('p', c)} end,
    'filterColumns', ${LIST(`select json_agg(distinct a.attname) from regexp_matches(e.entry ->> 'prqual', ':varattno (\\d+) ', 'g') m
      left join pg_attribute a on a.attrelid = e.prrelid and a.attnum = m[1]::int and a.attnum > 0`)}) order by p.pubname)
  from pg_publication p left join lateral (
    select r.prrelid, to_jsonb(r) as entry from pg_publication_rel r
      left join pg_partition_ancestors(${c}.oid) with ordinality a (relid, position) on a.relid = r.prrelid
    where r.prpubid = p.oid and not p.puballtables and (r.prrelid = ${c}.oid or p.pubviaroot and a.relid is not null)
    order by a.position desc nulls last limit 1) e on true
  where ${PUBLISHES('p', c, n)}`)

/** From 18 on a publication says whether generated columns are sent; those of which nothing is stored never are. */
function UNLESS_GENERATED(p: string, c: string): string {
  return `case when to_jsonb(${p}) ? 'pubgencols' and exists (select from pg_attribute g where g.attrelid = ${c}.oid and g.attgenerated <> '' and not g.attisdropped)
    then (select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = ${c}.oid and a.attnum > 0 and not a.attisdropped
      and (a.attgenerated = '' or a.attgenerated = to_jsonb(${p}) ->> 'pubgencols')) end`
}

/** How writes to a table are sent on. */
export interface Published {
  readonly sendings: readonly Sending[]
  readonly identity: ReplicaIdentity
}

/** As a `Published`. */
export const PUBLISHED = (c: string, n: string) =>
  `json_build_object('sendings', ${SENDINGS(c, n)}, 'identity', ${REPLICA_IDENTITY(c)})`

/** The publications that send on what is written to a table. */
export async function readSendings(client: ClientBase, { schema, name }: TableName): Promise<readonly Sending[]> {
  const { sendings } = await readOne<{ sendings: readonly Sending[] }>(
    client,
    sql`select ${raw(SENDINGS('c', 'n'))} as sendings from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema} and c.relname = ${name}`,
  )
  return sendings
}
