import { describe, expect } from 'vitest'
import { withSession } from '../../src/db/session.ts'
import { status } from '../../src/engine/runs/runs.ts'
import { journalExists } from '../../src/journal/journal.ts'
import { migrateJournal } from '../../src/journal/migrate.ts'
import { JOURNAL_TABLES } from '../../src/journal/trust.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { quietly } from '../support/tool.ts'
import { until } from '../support/until.ts'

// Whoever can put something into the journal can do what those may who go on with its runs. So nobody else must be able to.

/** A function that would tell that it has been executed, as far as others may see it. */
const TRAP = `create schema trap; grant usage on schema trap to public; create table trap.sprung (by name); grant all on trap.sprung to public;
  create function trap.spring() returns text language plpgsql as 'begin insert into trap.sprung values (current_user); return null; end';
  create function trap.fire() returns trigger language plpgsql as 'begin insert into trap.sprung values (current_user); return new; end';`

describe('a journal is rejected if', () => {
  test.for<[what: string, statements: (stranger: string) => string, said: RegExp]>([
    [
      'its schema belongs to another role',
      (stranger) => `alter schema ebb owner to ${stranger}`,
      /schema ebb belongs to stranger/,
    ],
    [
      'a table belongs to another role',
      (stranger) => `alter table ebb.lease owner to ${stranger}`,
      /table ebb\.lease belongs to stranger/,
    ],
    [
      'there is a function of another role',
      (stranger) =>
        `create function ebb.now() returns timestamptz language sql as 'select null::timestamptz'; alter function ebb.now() owner to ${stranger}`,
      /function ebb\.now\(\) belongs to stranger/,
    ],
    [
      'there is a type of another role',
      (stranger) => `create domain ebb.text as int; alter domain ebb.text owner to ${stranger}`,
      /type ebb\.text belongs to stranger/,
    ],
    [
      'a table has a trigger',
      () => `create trigger t before insert on ebb.run for each row execute function trap.fire()`,
      /trigger t on table ebb\.run/,
    ],
    [
      'a table has a rule',
      () => `create rule r as on insert to ebb.step do also select trap.spring()`,
      /rule r on table ebb\.step/,
    ],
    [
      'a table has a default',
      () => `alter table ebb.lease alter holder set default trap.spring()`,
      /default value for column holder of table ebb\.lease: trap\.spring\(\)/,
    ],
    [
      'a table has a default that hides behind the server',
      () => `alter table ebb.lease alter holder set default query_to_xml('select trap.spring()', true, true, '')::text`,
      /default value for column holder/,
    ],
    [
      'a table has a policy',
      () => `create policy p on ebb.run using (trap.spring() is null)`,
      /policy p on table ebb\.run/,
    ],
    [
      'a table has a generated column',
      () =>
        `create function trap.pure(text) returns text immutable language sql as 'select $1'; alter table ebb.step add more text generated always as (trap.pure(key)) stored`,
      /default value for column more of table ebb\.step/,
    ],
    [
      'a table has a check',
      () => `alter table ebb.run add constraint k check (trap.spring() is null)`,
      /constraint k on table ebb\.run/,
    ],
    [
      'a table has an index with an expression',
      () =>
        `create function trap.pure(text) returns text immutable language sql as 'select $1'; create index i on ebb.run (trap.pure(command))`,
      /index ebb\.i/,
    ],
    [
      'a view stands in for a table',
      () =>
        `alter table ebb.step rename to steps; create view ebb.step as select *, trap.spring() as sprung from ebb.steps`,
      /view ebb\.step is not as/,
    ],
    ['a table has a child', () => `create table trap.child () inherits (ebb.run)`, /table ebb\.run is not as/],
    [
      'a column is of a type of somebody’s',
      () =>
        `create domain trap.words as text check (trap.spring() is null or value = 'x' or true); alter table ebb.run alter last_error type trap.words`,
      /column last_error of table ebb\.run is not as/,
    ],
    [
      'another role may write',
      (stranger) => `grant usage on schema ebb to ${stranger}; grant insert, delete on ebb.step to ${stranger}`,
      /stranger.* may delete, insert on table ebb\.step/,
    ],
    [
      'another role may write one column',
      (stranger) => `grant usage on schema ebb to ${stranger}; grant update (plan) on ebb.run to ${stranger}`,
      /stranger.* may update on table ebb\.run/,
    ],
    [
      'PUBLIC may write',
      () => `grant usage on schema ebb to public; grant update on ebb.run to public`,
      /PUBLIC may update on table ebb\.run/,
    ],
    [
      'another role may hang triggers on it',
      (stranger) => `grant usage on schema ebb to ${stranger}; grant trigger on ebb.step to ${stranger}`,
      /stranger.* may trigger on table ebb\.step/,
    ],
    [
      'another role may create something there',
      (stranger) => `grant usage, create on schema ebb to ${stranger}`,
      /stranger.* may create on schema ebb/,
    ],
  ])('%s', async ([, statements, said], { database, skip }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser') skip('what is the administrator’s is the superuser’s own')
    await journal(database)
    const stranger = ident(await database.role('stranger')).text
    await database.admin(TRAP)
    await database.admin(statements(stranger))

    const refusal = { message: expect.stringMatching(said) as string, kind: 'objections' }
    await expect(open(database)).rejects.toMatchObject(refusal)
    await expect(withSession(database.url, 'm', (session) => migrateJournal(session, 'ebb'))).rejects.toMatchObject(
      refusal,
    )
    expect(await sprung(database)).toBe(0)
  })

  test('another role created the schema in advance', async ({ database }) => {
    const stranger = ident(await database.role('stranger')).text
    await database.admin(`create schema ebb authorization ${stranger}; grant usage on schema ebb to public`)
    await expect(withSession(database.url, 'm', (session) => migrateJournal(session, 'ebb'))).rejects.toMatchObject({
      message: expect.stringMatching(/schema ebb belongs to stranger/) as string,
      advice: { next: expect.stringMatching(/grant stranger.* to ebb_owner; .*--journal-schema/) as string },
    })
  })

  test('a superuser would have to trust another role', async ({ database, skip }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser') skip('it is the superuser’s own')
    await journal(database)
    await expect(open(database, database.adminUrl)).rejects.toThrow(/schema ebb belongs to ebb_owner/)
  })
})

describe('a journal is accepted if', () => {
  test('only migrations have changed it, and all tables are known', async ({ database }) => {
    await journal(database)
    expect(await open(database)).toBe(true)
    const { rows } = await database.admin<{ name: string }>(
      `select relname::text as name from pg_class where relnamespace = 'ebb'::regnamespace and relkind = 'r' order by relname collate "C"`,
    )
    expect(rows.map(({ name }) => name)).toEqual([...JOURNAL_TABLES].sort())
  })

  test('it belongs to a role of which the connecting one is a member', async ({ database }) => {
    await journal(database)
    const member = await database.role('member')
    await database.admin(sql`grant ebb_owner to ${ident(member)}`.text)
    expect(await open(database, database.urlFor(member))).toBe(true)
    await database.admin(
      `grant insert on ebb.run to ${ident(member).text}; grant usage on schema ebb to ${ident(member).text}`,
    )
    expect(await open(database), 'whoever may act for the owner may write anyway').toBe(true)
    await database.admin(sql`revoke ebb_owner from ${ident(member)}`.text)
  })

  test('other roles may read it', async ({ database }) => {
    await journal(database)
    await database.admin(
      `grant usage on schema ebb to public; grant select, references on all tables in schema ebb to public`,
    )
    expect(await open(database)).toBe(true)
  })

  test('default privileges would have granted access to it', async ({ database }) => {
    const stranger = ident(await database.role('stranger')).text
    const owner = await database.session('owner')
    await owner.query(
      `alter default privileges grant all on tables to ${stranger}; alter default privileges grant all on schemas to ${stranger}`,
    )
    await journal(database)
    expect(await open(database)).toBe(true)
  })

  test('a privilege on a table is useless without access to the schema', async ({ database }) => {
    await journal(database)
    await database.admin(`grant insert on ebb.run to public`)
    expect(await open(database)).toBe(true)
  })
})

describe('status', () => {
  test('is read by a role without other privileges', async ({ database }) => {
    await journal(database)
    const reader = await database.role('reader')
    await database.admin(
      `grant usage on schema ebb to ${ident(reader).text}; grant select on all tables in schema ebb to ${ident(reader).text}`,
    )
    expect(await status(database.urlFor(reader), quietly())).toEqual({
      runs: [],
      sets: [],
      holds: [],
      detached: [],
      leftovers: [],
      archives: [],
    })
  })

  test('does not advise to become the owner where it may not read', async ({ database }) => {
    await journal(database)
    const reader = await database.role('reader')
    const refused: unknown = await status(database.urlFor(reader), quietly()).catch((error: unknown) => error)
    expect(refused).toMatchObject({ advice: { next: expect.stringMatching(/^To read it: [^:]*;$/) as string } })
  })

  test('executes no code of other roles', async ({ database }) => {
    await journal(database)
    await database.admin(TRAP)
    await database.admin(`alter table ebb.partition_set rename to sets; create view ebb.partition_set as select *, trap.spring() as sprung from ebb.sets;
      insert into ebb.sets values ('public', 't', '{}'); alter view ebb.partition_set owner to ebb_owner; grant execute on function trap.spring() to public`)
    await expect(status(database.url, quietly())).rejects.toThrow(/view ebb\.partition_set is not as Ebb created it/)
    expect(await sprung(database)).toBe(0)
  })
})

test('a journal that others may write to is noticed within a second or two by a session that has trusted it', async ({
  database,
  skip,
}) => {
  if (process.env.EBB_TEST_ROLE === 'superuser') skip('what is the administrator’s is the superuser’s own')
  await journal(database)
  await withSession(database.url, 'open', async (session) => {
    expect(await journalExists(session, 'ebb')).toBe(true)
    await database.admin(`grant usage on schema ebb to public; grant insert on ebb.run to public`)
    const looks = () => journalExists(session, 'ebb').then(() => null, String)
    expect(await until(looks)).toMatch(/PUBLIC may insert on table ebb\.run/)
    // And whatever writes to it, in that session or another.
    await expect(migrateJournal(session, 'ebb')).rejects.toThrow(/PUBLIC may insert/)
  })
})

test('a journal of a newer version is rejected, by its migrations', async ({ database }) => {
  await journal(database)
  await database.admin(`insert into ebb.migration (name) values ('999-to-come.sql')`)
  // It has a default that this version does not know.
  await database.admin(`alter table ebb.lease add later text default upper('x')`)
  const refusal = /newer version of Ebb \(999-to-come\.sql\)/
  await expect(open(database)).rejects.toThrow(refusal)
  await expect(status(database.url, quietly())).rejects.toThrow(refusal)
  await expect(withSession(database.url, 'm', (session) => migrateJournal(session, 'ebb'))).rejects.toThrow(refusal)
})

async function journal(database: Database): Promise<void> {
  await withSession(database.url, 'migrate', (session) => migrateJournal(session, 'ebb'))
}

async function open(database: Database, url = database.url): Promise<boolean> {
  return withSession(url, 'open', (session) => journalExists(session, 'ebb'))
}

async function sprung(database: Database): Promise<number> {
  const { rows } = await database.admin<{ n: number }>('select count(*)::int as n from trap.sprung')
  return rows[0]?.n ?? -1
}
