import { quoted, type TableName } from '../../sql/names.ts'
import { dollarQuoted, literal, sql, type Sql } from '../../sql/sql.ts'

// Rules and triggers of the target: in a rollback it is a table of the user's, and rows they redirect, duplicate or
// refuse would be lost or doubled. They are disabled and restored within our transaction; so even after a crash no
// other session ever sees them disabled.

const SETTING = 'ebb.disturbers'

/** Disables the enabled ones, and remembers them until the end of the transaction. */
export function disturbersOff(target: TableName): Sql {
  const table = literal(quoted(target).text)
  return doing(sql`
    declare
      off text;
      back text;
    begin
      select pg_catalog.string_agg(pg_catalog.format('alter table %s disable %s %I', ${table}, d.kind, d.name), ';'),
        pg_catalog.string_agg(pg_catalog.format('alter table %s enable %s %s %I', ${table},
          case when d.state operator(pg_catalog.=) 'R' then 'replica' when d.state operator(pg_catalog.=) 'A' then 'always' end, d.kind, d.name), ';')
      into off, back
      from (
        select 'trigger' as kind, t.tgname as name, t.tgenabled as state from pg_catalog.pg_trigger t
        where t.tgrelid operator(pg_catalog.=) ${table}::pg_catalog.regclass and not t.tgisinternal
        union all
        select 'rule', r.rulename, r.ev_enabled from pg_catalog.pg_rewrite r
        where r.ev_class operator(pg_catalog.=) ${table}::pg_catalog.regclass
      ) d
      where d.state operator(pg_catalog.<>) 'D';
      perform pg_catalog.set_config(${literal(SETTING)}, coalesce(back, ''), true);
      if off is not null then
        execute off;
      end if;
    end`)
}

/** Restores them. Deferred constraints are checked first: a table with pending trigger events cannot be altered. */
export function disturbersBack(): Sql {
  const back = sql`pg_catalog.current_setting(${literal(SETTING)})`
  return doing(sql`
    begin
      if ${back} operator(pg_catalog.<>) '' then
        set constraints all immediate;
        execute ${back};
      end if;
    end`)
}

function doing(block: Sql): Sql {
  return sql`do ${dollarQuoted(block.text)}`
}
