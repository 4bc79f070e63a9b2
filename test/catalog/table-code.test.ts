import { describe, expect } from 'vitest'
import { readForeignCode } from '../../src/catalog/table/table-code.ts'
import { withSession } from '../../src/db/session.ts'
import { quoted } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'

// What of a table's code a superuser would run for others. `t` stands for the table's name.

/** The functions that are called, by what calls them. */
async function codeOf(database: Database, statements: readonly string[], url = database.adminUrl): Promise<string[]> {
  const table = database.table('t')
  const owner = await database.session('owner', { role: 'ebb_owner' })
  for (const statement of statements) await owner.query(statement.replaceAll(/\bt\b/g, quoted(table).text))
  const code = await withSession(url, 'look', (session) => readForeignCode(session, table))
  return code.map(
    ({ function: name, owner: whose, calledBy }) =>
      `${name} of ${whose} (${calledBy.replace(/ (on|of|for|column) .*/, '')})`,
  )
}

const CHECKS = `create function f(int) returns boolean language plpgsql immutable as 'begin return true; end'`
const VALUE = `create function f() returns int language plpgsql as 'begin return 1; end'`
const TRIGGER = `create function f() returns trigger language plpgsql as 'begin return new; end'`

describe('code of other roles', () => {
  test.for<[string, string[], string[]]>([
    [
      'a check',
      [CHECKS, 'create table t (a int check (f(a)))'],
      ['public.f(integer) of ebb_owner (constraint t_a_check)'],
    ],
    ['a default', [VALUE, 'create table t (a int default f())'], ['public.f() of ebb_owner (default value)']],
    [
      'a generated column',
      [CHECKS, 'create table t (a int, b boolean generated always as (f(a)) stored)'],
      ['public.f(integer) of ebb_owner (default value)'],
    ],
    [
      'a trigger',
      [TRIGGER, 'create table t (a int)', 'create trigger g after insert on t for each row execute function f()'],
      ['public.f() of ebb_owner (trigger g)'],
    ],
    [
      'when a trigger fires',
      [
        CHECKS,
        'create table t (a int)',
        `create trigger g before update on t for each row when (f(new.a)) execute function suppress_redundant_updates_trigger()`,
      ],
      ['public.f(integer) of ebb_owner (trigger g)'],
    ],
    [
      'an index',
      [CHECKS, 'create table t (a int)', 'create index i on t (f(a))'],
      ['public.f(integer) of ebb_owner (index public.i)'],
    ],
    [
      'the condition of an index',
      [CHECKS, 'create table t (a int)', 'create index i on t (a) where f(1)'],
      ['public.f(integer) of ebb_owner (index public.i)'],
    ],
    [
      'a rule',
      [CHECKS, 'create table t (a int)', 'create rule r as on insert to t do also select f(1)'],
      ['public.f(integer) of ebb_owner (rule r)'],
    ],
    [
      'a domain, in an array of a composite',
      [CHECKS, 'create domain d as int check (f(value))', 'create type c as (x d)', 'create table t (a c[])'],
      ['public.f(integer) of ebb_owner (constraint d_check)'],
    ],
    [
      'an operator',
      [
        "create function f(int, int) returns boolean language plpgsql immutable as 'begin return true; end'",
        'create operator === (function = f, leftarg = int, rightarg = int)',
        'create table t (a int check (a operator(public.===) 1))',
      ],
      ['public.f(integer,integer) of ebb_owner (operator public.===(integer,integer))'],
    ],
    [
      'how rows are partitioned',
      [
        `create function f(int) returns int language plpgsql immutable as 'begin return 1; end'`,
        'create table t (a int) partition by range (f(a))',
      ],
      ['public.f(integer) of ebb_owner (table public.t)'],
    ],
    [
      'a table that refers to it',
      [
        TRIGGER,
        'create table t (a int primary key)',
        'create table u (a int references t)',
        'create trigger g after insert on u for each row execute function f()',
      ],
      ['public.f() of ebb_owner (trigger g)'],
    ],
    [
      'a query in text',
      [`create table t (a int, constraint c check (query_to_xml('select 1', true, true, '') is not null))`],
      ['query_to_xml(text,boolean,boolean,text) of postgres (constraint c)'],
    ],
    [
      'what not everybody may call',
      [`create table t (a text default pg_read_file('x'))`],
      ['pg_read_file(text) of postgres (default value)'],
    ],
    [
      'nothing else',
      [
        'create table t (a serial primary key, b timestamptz default now(), c text check (length(c) > 1), d uuid default gen_random_uuid())',
        'create index i on t (lower(c))',
      ],
      [],
    ],
  ])('%s', async ([, statements, expected], { database }) => {
    if (database.table('t').schema !== 'public') return
    const found = (await codeOf(database, statements)).map((one) =>
      one.replace(/ of (?!ebb_owner)\w+ /, ' of postgres '),
    )
    expect(found).toEqual(expected)
  })

  test('excludes a superuser’s own, and is empty for other roles', async ({ database }) => {
    await database.admin(
      `create function public.f(int) returns boolean language plpgsql immutable as 'begin return true; end'`,
    )
    expect(await codeOf(database, ['create table t (a int check (public.f(a)))'])).toEqual([])
    const statements = [CHECKS.replace('f(int)', 'g(int)'), 'alter table t add check (g(a))']
    expect(await codeOf(database, statements, database.urlFor('ebb_owner'))).toEqual([])
  })
})
