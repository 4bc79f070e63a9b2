import { quoted, type TableName } from '../../src/sql/names.ts'
import { literal, raw, sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'

/** A table of events of the fourteen months before now, with what hangs on such tables; the newest written last. */
export async function manyEvents(
  database: Database,
  rows: number,
): Promise<{ events: TableName; view: TableName; counter: TableName }> {
  const [events, users, view, counter, touch] = ['events', 'users', 'recent', 'count_recent', 'touch'].map((name) =>
    database.table(name),
  ) as [TableName, TableName, TableName, TableName, TableName]
  const owner = await database.session('setup')
  const statements = [
    sql`create table ${quoted(users)} (id bigint primary key)`,
    sql`insert into ${quoted(users)} select generate_series(1, 1000)`,
    sql`create table ${quoted(events)} (id bigint generated always as identity, user_id bigint not null, created_at timestamptz not null default now(), kind text not null, token text)`,
    sql`insert into ${quoted(events)} (user_id, created_at, kind)
        select 1 + n % 1000, now() - interval '420 days' * (1 - n::float8 / ${raw(String(rows))}), 'click' from generate_series(1, ${raw(String(rows))}) n`,
    sql`alter table ${quoted(events)} add primary key (id), add foreign key (user_id) references ${quoted(users)}`,
    sql`create index on ${quoted(events)} (created_at)`,
    sql`create view ${quoted(view)} as select id, kind, created_at from ${quoted(events)}`,
    sql`create function ${quoted(counter)}() returns bigint language plpgsql as ${literal(`declare n bigint; begin select count(*) into n from ${quoted(events).text} where created_at > now() - interval '1 minute'; return n; end`)}`,
    sql`create function ${quoted(touch)}() returns trigger language plpgsql as 'begin return new; end'`,
    sql`create trigger touch before insert on ${quoted(events)} for each row execute function ${quoted(touch)}()`,
    sql`analyze ${quoted(events)}`,
  ]
  for (const statement of statements) await owner.query(statement.text)
  return { events, view, counter }
}

/** An insert as an application makes it, found again by its token. */
export function insertClick(events: TableName) {
  return (token: string) => ({
    text: `insert into ${quoted(events).text} (user_id, kind, token) values ($1, 'click', $2)`,
    values: [1 + Math.floor(Math.random() * 1000), token],
  })
}
