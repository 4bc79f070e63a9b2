import { describe, expect } from 'vitest'
import { ObjectionsError } from '../../src/errors.ts'
import { ident } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { catalogueOf } from '../support/fidelity/catalogue.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly } from '../support/tool.ts'
import { planRebuildOf, rebuild } from '../support/commands.ts'

// What cannot be carried to a new table is an objection, and nothing has changed by then.

function wide(more: number): string {
  const columns = Array.from({ length: more }, (_, i) => `add c${i} int`)
  return `alter table t ${columns.join(', ')}`
}

const REFUSED: readonly [title: string, code: string, statements: string][] = [
  ['a check over whole rows', 'whole-row:check c', 'alter table t add constraint c check (t is not null)'],
  ['an index over whole rows', 'whole-row:index i', 'create index i on t ((t is null))'],
  ['an index where whole rows', 'whole-row:index i', 'create index i on t (a) where (t is not null)'],
  [
    'a default of its own name',
    'own-name:default of column o',
    `alter table t add o regclass default 'public.t'::regclass`,
  ],
  [
    'a check with its own name',
    'own-name:check c',
    `alter table t add constraint c check (a <> 't'::regclass::oid::bigint)`,
  ],
  [
    'an index with its own name',
    'own-name:index i',
    `create index i on t (a) where id > 0 and 't'::regclass::oid <> 0`,
  ],
  [
    'a default that draws from its identity',
    'identity-used:default value for column id of table public.o',
    `create table o (id bigint default nextval('t_id_seq'))`,
  ],
  ['a materialized view', 'materialized-view:public.m', 'create materialized view m as select a from t'],
  ['a view of whole rows', 'dependent:column t of view public.v', 'create view v as select t from t'],
  ['a column of its type', 'dependent:column x of table public.o', 'create table o (x t)'],
  [
    'a function of its type',
    'dependent:function public.f(public.t)',
    `create function f(t) returns int language sql as 'select 1'`,
  ],
  [
    'a constraint trigger of a partitioned table',
    'dependent:trigger w on table public.o',
    `create table o (x int) partition by range (x);
     create function f() returns trigger language plpgsql as 'begin return null; end';
     create constraint trigger w after insert on o from t for each row execute function f()`,
  ],
  ['a child', 'inherited', 'create table o () inherits (t)'],
  [
    'a partitioned table pointing at it',
    'inbound-partitioned:public.o.o_x_fkey',
    'create table o (x bigint references t) partition by range (x)',
  ],
  ['an index left invalid', 'invalid-index:i', ''],
  ['more columns than can be joined', 'too-wide', wide(830)],
  ['no key', 'no-key', 'alter table t drop constraint t_pkey'],
  ['a publication of all tables', 'publication:pub', ''],
]

describe('a rebuild is refused for', () => {
  test.for(REFUSED)('%s', async ([, code, statements], { database }) => {
    const table = { schema: 'public', name: 't' }
    const owner = await database.session('owner')
    await owner.query(
      'create table t (id bigint generated always as identity primary key, a int); insert into t (a) values (1), (1)',
    )
    if (statements !== '') await owner.query(statements)
    if (code === 'invalid-index:i') await owner.query('create unique index concurrently i on t (a)').catch(() => {})
    if (code === 'publication:pub') await database.admin(`create publication ${ident('pub').text} for all tables`)
    const before = await catalogueOf(database.adminUrl)

    const { objections } = await planRebuildOf(database.url, table, rebuildRequest(), quietly())
    expect(objections.map((objection) => objection.code)).toEqual([code])
    await expect(rebuild(database.url, table, rebuildRequest(), quietly())).rejects.toThrow(ObjectionsError)
    expect(await catalogueOf(database.adminUrl)).toEqual(before)
  })
})

test('a table as wide as can be is rebuilt, though each column has a default', async ({ database }) => {
  const owner = await database.session('owner')
  const columns = Array.from({ length: 829 }, (_, i) => `c${i} int default 1`)
  await owner.query(`create table t (id int primary key, a int generated always as (id * 2) stored, ${columns.join()})`)
  await owner.query('insert into t (id) values (1), (2)')
  await rebuild(database.url, { schema: 'public', name: 't' }, rebuildRequest(), quietly())
  await owner.query('insert into t (id) values (3)')
  expect((await owner.query('select id, a, c828 from t order by id')).rows).toEqual([
    { id: 1, a: 2, c828: 1 },
    { id: 2, a: 4, c828: 1 },
    { id: 3, a: 6, c828: 1 },
  ])
})
