import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect } from 'vitest'
import type { ServerModel } from '../../src/catalog/server-model.ts'
import { status } from '../../src/engine/runs/runs.ts'
import { EbbError } from '../../src/errors.ts'
import type { PartitionRequest } from '../../src/plan/language/policy.ts'
import { serverNotes, serverObjections } from '../../src/plan/table/objections/server.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { startStandby } from '../support/standby.ts'
import { once } from '../support/template.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { partition, planPartitionOf } from '../support/commands.ts'

// Whatever stands against a conversion is said before anything has changed, with the way
// out; where that is SQL, it is executed here, and the conversion then goes through.

/** Names to write into a case's SQL, quoted. */
interface Names {
  readonly log: string
  readonly other: string
  readonly schema: string
  readonly owner: string
  /** A role that this test has made. */
  readonly stranger: string
}

interface Case {
  readonly what: string
  /** As the owner, after `log` has been made. */
  readonly given?: (names: Names) => string
  /** As the administrator. */
  readonly admin?: (names: Names) => string
  /** Instead of the table that there usually is. */
  readonly instead?: (names: Names) => string
  readonly request?: Partial<PartitionRequest>
  /** Of the objection. */
  readonly code: string | RegExp
  readonly fix: RegExp
  /** Who carries out the SQL of the way out, if that is what it is. */
  readonly cure?: 'owner' | 'administrator'
  /** It is about what a role may do. */
  readonly rights?: true
  /** The first version that has it. */
  readonly since?: number
  /** The last one that has it. */
  readonly until?: number
  /** What has to be done besides. */
  readonly then?: (names: Names) => string
}

const USUAL = ({ log }: Names) => `
  create table ${log} (id bigint primary key, at timestamptz not null default now(), small int, note text);
  insert into ${log} select n, now() - interval '1 hour' * (100 - n), n, 'n' from generate_series(1, 100) n`

const byIds = { by: 'id', every: { kind: 'ids', ids: 1000n }, expireBy: 'at' } as const

const CASES: readonly Case[] = [
  // What it is
  {
    what: 'a view',
    instead: ({ log }) => `create view ${log} as select now() as at`,
    code: 'view',
    fix: /Pass the underlying table/,
  },
  {
    what: 'a materialized view',
    instead: ({ log }) => `create materialized view ${log} as select now() as at`,
    code: 'view',
    fix: /Pass the underlying table/,
  },
  { what: 'a sequence', instead: ({ log }) => `create sequence ${log}`, code: 'not-a-table', fix: /Pass a table/ },
  {
    what: 'a type',
    instead: ({ log }) => `create type ${log} as (at timestamptz)`,
    code: 'not-a-table',
    fix: /Pass a table/,
  },
  {
    what: 'partitioned already',
    instead: ({ log }) => `create table ${log} (at timestamptz not null) partition by range (at)`,
    code: 'partitioned',
    fix: /ebb rotate/,
  },
  {
    what: 'unlogged',
    given: ({ log }) => `alter table ${log} set unlogged`,
    code: 'unlogged',
    fix: /set logged/,
    cure: 'owner',
  },
  {
    what: 'a partition',
    given: ({ log, other }) =>
      `create table ${other} (like ${log}) partition by range (at); alter table ${other} attach partition ${log} for values from (minvalue) to (maxvalue)`,
    code: 'partition-of',
    fix: /ebb split/,
  },
  {
    what: 'a child by inheritance',
    given: ({ log, other }) => `create table ${other} (at timestamptz not null); alter table ${log} inherit ${other}`,
    code: 'inherits',
    fix: /no inherit/,
    cure: 'owner',
  },
  {
    what: 'a parent by inheritance',
    given: ({ log, other }) => `create table ${other} () inherits (${log})`,
    code: 'inherited',
    fix: /no inherit/,
  },
  {
    what: 'typed',
    instead: ({ log, other }) =>
      `create type ${other} as (id bigint, at timestamptz); create table ${log} of ${other} (at not null)`,
    code: 'typed',
    fix: /not of/,
    cure: 'owner',
  },
  // The key
  {
    what: 'a key that is no column',
    request: { by: 'nonsense' },
    code: 'no-column',
    fix: /Its columns are id, at, small, note/,
  },
  {
    what: 'a key of text',
    request: { by: 'note' },
    given: ({ log }) => `update ${log} set note = 'x'; alter table ${log} alter note set not null`,
    code: 'key-type',
    fix: /timestamptz, timestamp, date/,
  },
  {
    what: 'a nullable key',
    given: ({ log }) => `alter table ${log} alter at drop not null`,
    code: 'key-nullable',
    fix: /validate constraint/,
    cure: 'owner',
  },
  {
    what: 'a generated key',
    given: ({ log }) => `alter table ${log} add late bigint generated always as (id * 2) stored not null`,
    request: { by: 'late', every: { kind: 'ids', ids: 1000n }, keep: null },
    code: 'key-generated',
    fix: /made from/,
  },
  {
    what: 'infinity in the key',
    given: ({ log }) => `insert into ${log} values (1000, 'infinity')`,
    code: 'key-infinity',
    fix: /update/,
  },
  {
    what: 'minus infinity in the key',
    given: ({ log }) => `insert into ${log} values (1000, '-infinity')`,
    code: 'key-infinity',
    fix: /update/,
  },
  {
    what: 'a key far in the future',
    given: ({ log }) => `insert into ${log} values (1000, now() + interval '10 years')`,
    code: 'key-in-future',
    fix: /select … where .*--premake/,
  },
  {
    what: 'a key just beyond the runway',
    given: ({ log }) => `insert into ${log} values (1000, date_trunc('day', now()) + interval '5 days 12 hours')`,
    request: { every: { kind: 'interval', interval: { count: 1, unit: 'day' } }, premake: 3 },
    code: 'key-in-future',
    fix: /--premake/,
  },
  {
    what: 'a key in the year 20000',
    given: ({ log }) => `insert into ${log} values (1000, '20000-01-01')`,
    code: 'key-off-calendar',
    fix: /set them to a real time or to null/,
  },
  {
    what: 'a key before Christ',
    given: ({ log }) => `insert into ${log} values (1000, '0044-03-15 BC')`,
    code: 'key-off-calendar',
    fix: /set them to a real time or to null/,
  },
  {
    what: 'an integer that is no time',
    request: { by: 'id' },
    code: 'key-not-epoch',
    fix: /--by id --every 10000000 --expire-by/,
  },
  {
    what: 'random UUIDs',
    given: ({ log }) => `alter table ${log} add token uuid not null default gen_random_uuid()`,
    request: { by: 'token' },
    code: 'key-not-uuidv7',
    fix: /time column/,
  },
  {
    what: 'a number of ids on a time',
    request: { every: { kind: 'ids', ids: 1000n }, keep: null },
    code: 'key-not-integer',
    fix: /--by at --every month/,
  },
  {
    what: 'an expiry by no column',
    request: { ...byIds, expireBy: 'nonsense' },
    code: 'no-column',
    fix: /Its columns are/,
  },
  { what: 'an expiry by text', request: { ...byIds, expireBy: 'note' }, code: 'expire-by-type', fix: /--expire-by/ },
  {
    what: 'an expiry by a range of dates',
    given: ({ log }) => `alter table ${log} add days daterange default '[2026-01-01,2026-01-02)'`,
    request: { ...byIds, expireBy: 'days' },
    code: 'expire-by-type',
    fix: /--expire-by/,
  },
  {
    what: 'ids to be kept for some time that nothing tells',
    request: { ...byIds, expireBy: null },
    code: 'expire-by',
    fix: /--expire-by created_at/,
  },
  {
    what: 'ids that do not grow with time',
    given: ({ log }) => `update ${log} set at = now() - interval '1 hour' * ((id * 37) % 100)`,
    request: byIds,
    code: 'id-not-growing',
    fix: /--by at --every month/,
  },
  {
    what: 'an integer id near its end',
    given: ({ log }) => `alter table ${log} alter small set not null; update ${log} set small = 2147483000 + small`,
    request: { by: 'small', every: { kind: 'ids', ids: 1_000_000n }, keep: null },
    code: 'ids-run-out',
    fix: /smaller --every|widen the column/,
  },
  {
    what: 'epoch seconds in an integer, beyond 2038',
    given: ({ log }) =>
      `alter table ${log} alter small set not null; update ${log} set small = extract(epoch from at)::int`,
    request: { by: 'small', every: { kind: 'interval', interval: { count: 1, unit: 'year' } }, premake: 20 },
    code: 'ids-run-out',
    fix: /--premake|widen the column/,
  },
  {
    what: 'too few ids to tell how many make a month',
    given: ({ log }) => `truncate ${log}`,
    request: { ...byIds, every: { kind: 'interval', interval: { count: 1, unit: 'month' } } },
    code: 'id-rate-unknown',
    fix: /--every 10000000/,
  },
  // Keys and constraints
  {
    what: 'a foreign key on the primary key, which lacks the key',
    given: ({ log, other }) => `create table ${other} (log_id bigint constraint "to log" references ${log} (id))`,
    code: /^inbound:/,
    fix: /drop constraint .*--by id --every <ids> --expire-by at/,
    cure: 'owner',
  },
  {
    what: 'a unique index without the key',
    given: ({ log }) => `create unique index "only one" on ${log} (small)`,
    code: 'unique:only one',
    fix: /replace it by one that contains at/,
  },
  {
    what: 'an exclusion constraint',
    given: ({ log }) => `alter table ${log} add constraint apart exclude using gist (tstzrange(at, at) with &&)`,
    code: 'exclusion:apart',
    fix: /drop constraint/,
    cure: 'owner',
  },
  {
    what: 'an invalid index',
    given: ({ log }) => `create index "B.y note" on ${log} (note)`,
    admin: () =>
      `update pg_index set indisvalid = false where indexrelid = (select oid from pg_class where relname = 'B.y note')`,
    code: 'invalid-index:B.y note',
    fix: /reindex index concurrently/,
    cure: 'owner',
  },
  {
    what: 'a check that is not valid',
    given: ({ log }) => `alter table ${log} add constraint "no ""n""" check (note <> '') not valid`,
    code: 'not-valid:no "n"',
    fix: /validate constraint/,
    cure: 'owner',
  },
  {
    what: 'a foreign key that is not valid',
    given: ({
      log,
      other,
    }) => `create table ${other} (id int primary key); insert into ${other} select generate_series(1, 100);
      alter table ${log} add constraint to_other foreign key (small) references ${other} not valid`,
    code: 'not-valid:to_other',
    fix: /validate constraint/,
    cure: 'owner',
  },
  {
    since: 18,
    what: 'a check that is declared NOT ENFORCED',
    given: ({ log }) => `alter table ${log} add constraint "loose ""n""" check (note = '') not enforced`,
    code: 'not-enforced:loose "n"',
    fix: /drop constraint/,
    cure: 'owner',
  },
  {
    since: 18,
    what: 'a foreign key that is declared NOT ENFORCED',
    given: ({ log, other }) => `create table ${other} (id int primary key);
      alter table ${log} add constraint to_other foreign key (small) references ${other} not enforced`,
    code: 'not-enforced:to_other',
    fix: /drop constraint/,
    cure: 'owner',
  },
  {
    what: 'a check that is not inherited',
    given: ({ log }) => `alter table ${log} add constraint mine check (note <> '') no inherit`,
    code: 'no-inherit:mine',
    fix: /ordinary check/,
  },
  {
    what: 'a foreign key to itself',
    given: ({ log }) => `alter table ${log} add parent_id bigint constraint tree references ${log} (id)`,
    request: byIds,
    code: 'self-reference:tree',
    fix: /drop constraint/,
    cure: 'owner',
  },
  {
    until: 17,
    what: 'two foreign keys of others over one column, both named by PostgreSQL',
    given: ({ log, other }) =>
      `create table ${other} (x bigint references ${log} (id), foreign key (x) references ${log} (id) on delete cascade)`,
    request: byIds,
    code: /^inbound-names:/,
    fix: /rename constraint/,
    cure: 'owner',
  },
  {
    since: 18,
    what: 'a foreign key of others that is named like a part of another one',
    given: ({ log, other }) =>
      `create table ${other} (x bigint constraint to_log_fkey references ${log} (id) constraint to_log_fkey_1 references ${log} (id))`,
    request: byIds,
    code: /^inbound-names:.*to_log_fkey_1$/,
    fix: /rename constraint/,
    cure: 'owner',
  },
  {
    what: 'foreign keys that are switched off',
    given: ({
      log,
      other,
    }) => `create table ${other} (id int primary key); insert into ${other} select generate_series(1, 100);
      alter table ${log} add constraint to_other foreign key (small) references ${other}`,
    admin: ({ log }) => `alter table ${log} disable trigger all`,
    code: 'disabled-foreign-keys',
    fix: /enable trigger all/,
    cure: 'administrator',
  },
  // What hangs on it
  {
    what: 'a row trigger with transition tables',
    given: ({ log, other }) => `create function ${other}() returns trigger language plpgsql as 'begin return null; end';
      create trigger changes after update on ${log} referencing old table as old for each row execute function ${other}()`,
    code: 'transition-tables:changes',
    fix: /statement trigger/,
  },
  {
    what: 'a materialized view on it',
    given: ({ log, other }) => `create materialized view ${other} as select at from ${log}`,
    code: /^materialized-view:/,
    fix: /read a view/,
  },
  {
    what: 'a function that takes its rows',
    given: ({ log, other }) => `create function ${other}(${log}) returns int language sql as 'select 1'`,
    code: /^dependent:function/,
    fix: /create it again/,
  },
  {
    what: 'a column of its row type',
    given: ({ log, other }) => `create table ${other} (was ${log})`,
    code: /^dependent:/,
    fix: /create it again/,
  },
  {
    what: 'a view that returns its rows whole',
    given: ({ log, other }) => `create view ${other} as select l from ${log} l`,
    code: /^(row-type-view|dependent):/,
    fix: /create it again/,
  },
  {
    what: 'a publication that would show the partitions',
    given: ({ log }) => `create publication "to. them" for table ${log}`,
    code: 'publication:to. them',
    fix: /publish_via_partition_root/,
    cure: 'owner',
  },
  {
    what: 'a publication of all tables',
    admin: () => `create publication everything for all tables`,
    code: 'publication:everything',
    fix: /publish_via_partition_root/,
    cure: 'administrator',
  },
  // Rights
  {
    rights: true,
    what: 'a table of somebody else',
    admin: ({ log, stranger }) => `alter table ${log} owner to ${stranger}`,
    code: 'not-owner',
    fix: /grant .* to /,
    cure: 'administrator',
    then: ({ schema, stranger }) => `grant usage, create on schema ${schema} to ${stranger}`,
  },
  {
    rights: true,
    what: 'a schema where nothing may be created',
    admin: ({ schema, owner }) =>
      `alter schema ${schema} owner to postgres; revoke all on schema ${schema} from ${owner}, public; grant usage on schema ${schema} to public`,
    code: 'no-create',
    fix: /grant create on schema/,
    cure: 'administrator',
  },
  {
    rights: true,
    what: 'a database where no schema may be created',
    admin: ({ owner }) => `do $$ begin execute format('alter database %I owner to postgres', current_database());
      execute format('revoke create on database %I from public, ${owner}', current_database()); end $$`,
    code: 'journal-schema',
    fix: /create schema/,
    cure: 'administrator',
  },
  {
    rights: true,
    what: 'a database where nothing temporary may be created',
    admin: ({ owner }) => `do $$ begin execute format('alter database %I owner to postgres', current_database());
      execute format('revoke temporary on database %I from public', current_database());
      execute format('grant create on database %I to ${owner}', current_database()); end $$`,
    code: 'no-temporary',
    fix: /grant temporary on database/,
    cure: 'administrator',
  },
  {
    rights: true,
    what: 'a view of somebody else on it',
    given: ({ log, other }) => `create view ${other} as select at from ${log}`,
    admin: ({ other, stranger }) => `alter view ${other} owner to ${stranger}`,
    code: /^not-ours:view/,
    fix: /owner granted to/,
  },
  {
    rights: true,
    what: 'a referenced table that may not be referenced again',
    given: ({
      log,
      other,
    }) => `create table ${other} (id int primary key); insert into ${other} select generate_series(1, 100);
      alter table ${log} add constraint to_other foreign key (small) references ${other}`,
    admin: ({ owner, other, stranger }) =>
      `alter table ${other} owner to ${stranger}; revoke all on ${other} from ${owner}`,
    code: /^no-references:/,
    fix: /grant references, update on/,
    cure: 'administrator',
  },
  {
    rights: true,
    what: 'a journal of somebody else',
    admin: ({ stranger }) =>
      `create schema ebb authorization ${stranger}; create table ebb.run (id int); alter table ebb.run owner to ${stranger}`,
    code: 'journal-rights',
    fix: /grant .* on schema ebb|--journal-schema/,
  },
  {
    rights: true,
    what: 'row-level security that hides rows from its owner',
    given: ({ log }) =>
      `alter table ${log} enable row level security; alter table ${log} force row level security; create policy few on ${log} using (id < 10)`,
    code: 'row-security',
    fix: /no force row level security/,
    cure: 'owner',
  },
]

describe('objections to', () => {
  test.for(CASES)('$what', async (given, { database, skip }) => {
    const table = database.table('log')
    const names = await namesIn(database, table)
    if (database.version < (given.since ?? 14) * 10_000) skip(`came with PostgreSQL ${given.since}`)
    if (database.version >= ((given.until ?? 99) + 1) * 10_000) skip(`went with PostgreSQL ${given.until}`)
    if (given.rights && process.env.EBB_TEST_ROLE === 'superuser') skip('a superuser lacks no right')
    const owner = await database.session('owner')
    await owner.query((given.instead ?? USUAL)(names))
    if (given.given) await owner.query(given.given(names))
    if (given.admin) await database.admin(given.admin(names))
    const request = monthly({ by: 'at', ...given.request })
    const before = await fingerprint(database)

    const plan = await planPartitionOf(database.url, written(table), request, quietly())
    const failure = await partition(database.url, written(table), request, quietly()).catch((error: unknown) => error)

    const objection = plan.objections.find(({ code }) => matches(given.code, code))
    expect(plan.objections.map(({ code }) => code)).toEqual([objection?.code])
    expect(objection?.fix).toMatch(given.fix)
    expect(plan.steps).toEqual([])
    expect(failure).toMatchObject({ kind: 'objections', advice: { state: 'Nothing has been changed.' } })
    expect(await fingerprint(database)).toEqual(before)

    if (given.cure === undefined) return
    const statements = sqlIn(objection?.fix ?? '')
    for (const statement of statements) {
      if (given.cure === 'owner') await owner.query(statement)
      else await database.admin(statement)
    }
    if (given.then) await database.admin(given.then(names))
    expect((await partition(database.url, written(table), request, quietly())).nothingToDo).toBe(false)
  })

  test('a temporary table of another session', async ({ database }) => {
    const owner = await database.session('owner')
    await owner.query('create temporary table log (at timestamptz not null)')
    const { rows } = await owner.query<{ schema: string }>(
      'select nspname as schema from pg_namespace where oid = pg_my_temp_schema()',
    )

    const plan = await planPartitionOf(
      database.url,
      { schema: rows[0]!.schema, name: 'log' },
      monthly({ by: 'at' }),
      quietly(),
    )

    expect(plan.objections.map(({ code }) => code)).toEqual(['temporary'])
    await expect(
      planPartitionOf(database.url, { schema: null, name: 'log' }, monthly({ by: 'at' }), quietly()),
    ).rejects.toMatchObject({
      kind: 'usage',
    })
  })

  test('a foreign table', async ({ database }) => {
    await database.admin(`create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
      create foreign table public.log (at timestamptz not null) server nowhere`)

    const plan = await planPartitionOf(
      database.url,
      { schema: 'public', name: 'log' },
      monthly({ by: 'at' }),
      quietly(),
    )

    expect(plan.objections).toMatchObject([{ code: 'foreign-table', fix: 'Do it where its rows are.' }])
  })

  test('a system table', async ({ database }) => {
    const plan = await planPartitionOf(
      database.url,
      { schema: 'pg_catalog', name: 'pg_class' },
      monthly({ by: 'oid' }),
      quietly(),
    )

    expect(plan.objections.map(({ code }) => code)).toEqual(['system-table'])
  })

  test('all objections at once', async ({ database }) => {
    const names = await namesIn(database, database.table('log'))
    const owner = await database.session('owner')
    await owner.query(USUAL(names))
    await owner.query(
      `alter table ${names.log} alter at drop not null, add constraint a check (note <> '') not valid, add constraint b check (id > 0) no inherit`,
    )
    await owner.query(`create unique index c on ${names.log} (small)`)

    const plan = await planPartitionOf(database.url, written(database.table('log')), monthly({ by: 'at' }), quietly())

    expect(plan.objections.map(({ code }) => code).toSorted()).toEqual(['key-nullable', 'no-inherit:b', 'not-valid:a'])
  })
})

describe('options that cannot be applied', () => {
  test.for([
    ['log', /there is no table "?log"? on the search path/, /Check the spelling/],
    ['LOG', /there is no table/, /There is public\."?Log/],
  ] as const)('a table that is not there: %s', async ([name, message, next], { database }) => {
    if (name === 'LOG') await (await database.session('owner')).query('create table public."Log" (at timestamptz)')
    const failure = await planPartitionOf(database.url, { schema: null, name }, monthly(), quietly()).catch(
      (error: unknown) => error,
    )

    expect(failure).toBeInstanceOf(EbbError)
    expect((failure as EbbError).message).toMatch(message)
    expect((failure as EbbError).advice.next).toMatch(next)
    expect((failure as EbbError).kind).toBe('usage')
  })

  test('a time zone unknown to the server', async ({ database }) => {
    const owner = await database.session('owner')
    await owner.query(USUAL(await namesIn(database, database.table('log'))))

    await expect(
      planPartitionOf(
        database.url,
        written(database.table('log')),
        monthly({ by: 'at', timezone: 'Mars/Olympus' }),
        quietly(),
      ),
    ).rejects.toMatchObject({ kind: 'usage', message: /no time zone "Mars\/Olympus"/ as never })
  })
})

describe('unusable servers', () => {
  test('read-only for this role', async ({ database }) => {
    const owner = await database.session('owner')
    const names = await namesIn(database, database.table('log'))
    await owner.query(USUAL(names))
    const role = await database.role('careful')
    await database.admin(`alter table ${names.log} owner to ${ident(role).text}; grant usage, create on schema ${names.schema} to ${ident(role).text};
      alter role ${ident(role).text} set default_transaction_read_only = on;
      do $$ begin execute format('grant create, temporary on database %I to ${ident(role).text}', current_database()); end $$`)

    const failure = await partition(
      database.urlFor(role),
      written(database.table('log')),
      monthly({ by: 'at' }),
      quietly(),
    ).catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: 'objections' })
    const { next } = (failure as EbbError).advice
    expect(next).toMatch(/alter role .* set default_transaction_read_only = off/)
    await database.admin(/alter role .* = off/.exec(next)?.[0] ?? '')
    await partition(database.urlFor(role), written(database.table('log')), monthly({ by: 'at' }), quietly())
  })

  test('a standby', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const owner = await database.session('owner')
    const table = database.table('log')
    await owner.query(USUAL(await namesIn(database, table)))
    const standby = await startStandby(server)
    const url = new URL(database.url)
    url.port = String(standby.port)
    await until(() =>
      once(url.href, (client) => client.query('select from pg_class where relname = $1', [table.name])).then(
        ({ rowCount }) => rowCount === 1,
      ),
    )

    const plan = await planPartitionOf(url.href, written(table), monthly({ by: 'at' }), quietly())

    expect(plan.objections.map(({ code }) => code)).toEqual(['replica'])
    await expect(partition(url.href, written(table), monthly({ by: 'at' }), quietly())).rejects.toMatchObject({
      kind: 'objections',
    })
  })

  test('unreachable', async () => {
    await expect(
      planPartitionOf(
        'postgres://nobody:secret@127.0.0.1:1/nowhere',
        { schema: null, name: 'log' },
        monthly(),
        quietly(),
      ),
    ).rejects.toSatisfy(
      (error: EbbError) =>
        /cannot connect/.test(error.message) && /server runs/.test(error.advice.next) && !/secret/.test(error.message),
    )
  })

  test('rejecting the password', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    await asksForPasswords(server.dataFolder)
    await database.admin('select pg_reload_conf()')
    const url = new URL(database.urlFor('ebb_owner'))
    url.password = 'wrong'
    await until(() => isRefused(url.href))

    const failure = await planPartitionOf(url.href, { schema: null, name: 'log' }, monthly(), quietly()).catch(
      (error: unknown) => error,
    )

    expect(failure).toBeInstanceOf(EbbError)
    expect((failure as EbbError).advice.next).toMatch(/Check user and password/)
    expect((failure as EbbError).message).not.toMatch(/wrong/)
  })

  test.for([
    [130014, ['server-version']],
    [140000, []],
    [180004, []],
    [200000, []],
  ] as const)('of version %s', ([version, codes]) => {
    const server = {
      version,
      versionText: String(version),
      inRecovery: false,
      readOnly: false,
      firesTriggers: true,
      journalExists: true,
      journalUsable: true,
      role: 'somebody',
    } as ServerModel
    expect(serverObjections(server, 'ebb').map(({ code }) => code)).toEqual(codes)
  })

  test.for([
    [140003, 1],
    [140013, 1],
    [140014, 0],
    [170000, 1],
    [170001, 0],
    [190004, 0],
    [200000, 1],
  ] as const)('of version %s, with that much in the message', ([version, notes]) => {
    const server = { version, versionText: String(version), publishingAll: [] as const } as unknown as ServerModel
    expect(serverNotes(server)).toHaveLength(notes)
  })
})

describe('PgBouncer', () => {
  test.for(['transaction', 'statement'] as const)(
    'in %s mode is refused, and its connections are unchanged',
    async (mode, { database, needs }) => {
      const url = await startPgBouncer(needs('pgbouncer'), database, mode)
      const owner = await database.session('owner')
      await owner.query(USUAL(await namesIn(database, database.table('log'))))

      const failure = await partition(url, written(database.table('log')), monthly({ by: 'at' }), quietly()).catch(
        (error: unknown) => error,
      )

      expect(failure).toBeInstanceOf(EbbError)
      expect((failure as EbbError).message).toMatch(/pooler in transaction mode/)
      expect((failure as EbbError).advice.next).toMatch(/directly/)
      // Nor do those get through who only want to look.
      await expect(status(url, quietly())).rejects.toThrow(/pooler in transaction mode/)
      const { rows } = await once(url, (client) => client.query('show search_path'))
      expect(rows).toEqual([{ search_path: '"$user", public' }])
    },
  )

  test('with too small a pool is distinguished from another mode', async ({ database, needs }) => {
    const url = await startPgBouncer(needs('pgbouncer'), database, 'session', 1)

    await expect(status(url, quietly())).rejects.toMatchObject({
      message: expect.stringMatching(/connection pooler had no free connection/) as string,
      kind: 'try later',
    })
  })

  test('in session mode works', async ({ database, needs }) => {
    const url = await startPgBouncer(needs('pgbouncer'), database, 'session')
    const owner = await database.session('owner')
    await owner.query(USUAL(await namesIn(database, database.table('log'))))

    await partition(url, written(database.table('log')), monthly({ by: 'at' }), quietly())

    expect((await partition(url, written(database.table('log')), monthly({ by: 'at' }), quietly())).nothingToDo).toBe(
      true,
    )
  })
})

async function namesIn(database: Database, table: TableName): Promise<Names> {
  const stranger = await database.role('stranger')
  return {
    log: quoted(table).text,
    other: quoted(database.table('other')).text,
    schema: ident(table.schema).text,
    owner: 'ebb_owner',
    stranger: ident(stranger).text,
  }
}

function matches(wanted: string | RegExp, code: string): boolean {
  return typeof wanted === 'string' ? code === wanted : wanted.test(code)
}

/** The statements in a way out: what follows a colon, up to the last semicolon. */
function sqlIn(fix: string): string[] {
  const text = /(?:^|: )((?:alter|create|drop|grant|reindex|update) .*);/s.exec(fix)?.[1]
  if (text === undefined) throw new Error(`no SQL in: ${fix}`)
  return text.split(/; (?=alter|create|drop|grant|reindex|update)/)
}

/** All that a conversion could have changed: relations, constraints, schemas and rights, as PostgreSQL has numbered them. */
async function fingerprint(database: Database): Promise<unknown> {
  const { rows } = await database.admin(`
    select 'class' as kind, oid::text, relname::text as name, relacl::text as acl from pg_class where relnamespace <> 'pg_toast'::regnamespace
    union all select 'constraint', oid::text, conname::text || convalidated, null from pg_constraint
    union all select 'namespace', oid::text, nspname::text, nspacl::text from pg_namespace where nspname !~ '^pg_(toast_)?temp'
    order by 1, 2`)
  return rows
}

async function asksForPasswords(dataFolder: string): Promise<void> {
  const file = join(dataFolder, 'pg_hba.conf')
  const trusting = await readFile(file, 'utf8')
  await writeFile(file, 'host all ebb_owner 127.0.0.1/32 scram-sha-256\n')
  await appendFile(file, trusting)
}

async function isRefused(url: string): Promise<boolean> {
  const client = new pg.Client(url)
  return client
    .connect()
    .then(() => client.end())
    .then(
      () => false,
      () => true,
    )
}
