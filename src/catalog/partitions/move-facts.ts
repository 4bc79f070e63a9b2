import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** What decides whether partitions of a table can be foreign tables on a server. Nothing is asked of that server itself. */
export interface MoveFacts {
  /** The foreign data wrapper of the server; null where there is no such server. */
  readonly wrapper: string | null
  /** The names of those that there are, of postgres_fdw. */
  readonly servers: readonly string[]
  /** Whether a connection to the server that is not answered is given up, by `connect_timeout`. */
  readonly isBounded: boolean
  /** Whether this role, and the owner of the table, may make foreign tables there. */
  readonly usage: boolean
  /** Whether this role has a user mapping: it reads through it. */
  readonly isMapped: boolean
  /** Roles that may log in and use the table, and have no user mapping. */
  readonly unmapped: readonly string[]
  /** Of the table itself, which make PostgreSQL refuse foreign partitions. */
  readonly uniqueIndexes: readonly UniqueIndex[]
  readonly constraintTriggers: readonly string[]
}

export interface UniqueIndex {
  readonly name: string
  /** `PRIMARY KEY (id, at)`, where a constraint owns it; null where it is an index alone. */
  readonly constraint: string | null
  /** What follows the table in the definition of the index: `USING btree (id, at)`. */
  readonly tail: string
}

export function readMoveFacts(client: ClientBase, table: TableName, server: string): Promise<MoveFacts> {
  return readOne<MoveFacts>(
    client,
    sql`
    with place as (
      select c.oid, c.relowner from pg_class c where c.oid = to_regclass(${quoted(table).text})
    ), server as (
      select s.oid, s.srvoptions, w.fdwname from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw where s.srvname = ${server}
    ), mapped as (
      select m.umuser from pg_user_mappings m where m.srvid = (select oid from server)
    )
    select (select fdwname::text from server) as wrapper,
      array(select s.srvname::text from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw
        where w.fdwname = 'postgres_fdw' order by 1) as servers,
      exists (select from server s, pg_options_to_table(s.srvoptions) where option_name = 'connect_timeout' and option_value <> '0') as "isBounded",
      coalesce((select has_server_privilege(s.oid, 'usage') from server s), false) as usage,
      exists (select from mapped m join pg_roles r on r.rolname = current_user and m.umuser in (0, r.oid)) as "isMapped",
      array(select r.rolname::text from pg_roles r, place p
        where r.rolcanlogin and (not r.rolsuper or r.oid = p.relowner)
          and has_any_column_privilege(r.oid, p.oid, 'select, insert, update')
          and not exists (select from mapped m where m.umuser in (0, r.oid)) order by 1) as unmapped,
      (select coalesce(json_agg(json_build_object('name', i.relname, 'constraint', pg_get_constraintdef(k.oid),
          'tail', substring(pg_get_indexdef(i.oid) from ' (USING .*)$')) order by i.relname), '[]')
        from pg_index x join pg_class i on i.oid = x.indexrelid left join pg_constraint k on k.conindid = i.oid and k.conrelid = x.indrelid
        where x.indrelid = (select oid from place) and (x.indisunique or x.indisexclusion)) as "uniqueIndexes",
      array(select g.tgname::text from pg_trigger g
        where g.tgrelid = (select oid from place) and g.tgconstraint <> 0 and not g.tgisinternal order by 1) as "constraintTriggers"`,
  )
}
