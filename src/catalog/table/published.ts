// Which publications send on what is written to a table.

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

/**
 * Whether nothing tells subscribers which row of `c` is meant: PostgreSQL refuses updates or deletes that a
 * publication sends on. A primary key that is deferrable tells nothing.
 */
export const UNIDENTIFIED = (c: string) => `(case ${c}.relreplident
  when 'd' then not exists (select from pg_index i where i.indrelid = ${c}.oid and i.indisprimary and i.indimmediate)
  when 'i' then not exists (select from pg_index i where i.indrelid = ${c}.oid and i.indisreplident)
  else ${c}.relreplident = 'n' end)`

const AMONG = (relation: string, c: string) =>
  `(${relation} = ${c}.oid or ${relation} in (select relid from pg_partition_ancestors(${c}.oid)))`
