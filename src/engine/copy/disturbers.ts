import { quoted, type TableName } from '../../sql/names.ts'
import { dollarQuoted, literal, sql, type Sql } from '../../sql/sql.ts'

// Rules and triggers of the table that is written to: on the way back it is one
// of the user's, and what they divert, double or refuse would be lost or there
// twice. They are off for the time of our transaction, in which they are put
// back as they were; so whatever happens to us, nobody ever sees them otherwise.

const SETTING = 'ebb.disturbers'

/** Switches off what is on, and remembers it until the end of the transaction. */
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

/** As they were. Checks that wait for the end of the transaction are made before: a table that has any cannot be altered. */
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
