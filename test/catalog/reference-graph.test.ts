import type pg from 'pg'
import { refusals } from '../../src/plan/table/published.ts'
import { describe, expect } from 'vitest'
import {
  readReferenceGraph,
  type GraphReference,
  type ReferenceGraph,
} from '../../src/catalog/references/reference-graph.ts'
import { inSnapshot } from '../../src/db/transaction.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'

async function graphOf(database: Database, definition: string, name = 'a', as = {}): Promise<ReferenceGraph> {
  const owner = await database.session('owner')
  await owner.query(definition)
  const reader = await database.session('reader', as)
  return read(reader, name)
}

async function read(client: pg.Client, name: string): Promise<ReferenceGraph> {
  await client.query(`set search_path = ''`)
  return inSnapshot(client, () => readReferenceGraph(client, { schema: 'public', name }))
}

function one(graph: ReferenceGraph): GraphReference {
  const [reference] = graph.references
  if (reference === undefined) throw new Error('no reference')
  return reference
}

test('awkward names, and columns in the order of the constraint', async ({ database }) => {
  const [parent, child] = [database.table('orders'), database.table('lines')]
  const client = await database.session('owner')
  await client.query(
    sql`create table ${quoted(parent)} ("tenant.id" int, "Id" bigint, primary key ("tenant.id", "Id"))`.text,
  )
  await client.query(
    sql`create table ${quoted(child)} (n int, o bigint, t int, constraint "f ""k" foreign key (t, o) references ${quoted(parent)} on delete cascade)`
      .text,
  )
  await client.query(`set search_path = ''`)
  const graph = await inSnapshot(client, () => readReferenceGraph(client, parent))
  expect(graph.root.name).toEqual(parent)
  expect(graph.tables.map(({ name }) => name)).toEqual(expect.arrayContaining([parent, child]))
  expect(one(graph)).toMatchObject({
    name: 'f "k',
    onDelete: 'cascade',
    indexed: false,
    readable: true,
    ontoPartition: false,
    temporal: false,
    cannotSetNull: false,
    pairs: [
      { referring: 't', referred: 'tenant.id', operator: 'operator(pg_catalog.=)', collation: null },
      { referring: 'o', referred: 'Id', operator: 'operator(pg_catalog.=)', collation: null },
    ],
  })
})

const PAIR = 'create table a (id int primary key); create table b (id int, a_id int references a, other int);'

test.for([
  ['none', '', false],
  ['a whole one', 'create index on b (a_id, other)', true],
  ['a hash', 'create index on b using hash (a_id)', true],
  ['one that begins with another column', 'create index on b (other, a_id)', false],
  ['one that only includes it', 'create index on b (other) include (a_id)', false],
  ['a partial one', 'create index on b (a_id) where other > 0', false],
  ['one of blocks', 'create index on b using brin (a_id)', false],
] as const)('an index serves a foreign key: %s', async ([, index, indexed], { database }) => {
  expect(one(await graphOf(database, PAIR + index)).indexed).toBe(indexed)
})

test('privileges of a role, and rows hidden from it', async ({ database }) => {
  const role = await database.role('reader')
  const graph = await graphOf(
    database,
    `${PAIR} grant select on a, b to ${role}; grant delete on b to ${role};
     create table c (b_id int references a); grant delete on c to ${role};
     create table d (a_id int references a); alter table d enable row level security; grant select on d to ${role}`,
    'a',
    { role },
  )
  const table = (name: string) => graph.tables.find((found) => found.name.name === name)
  expect([table('b')?.mayDelete, table('c')?.mayDelete, table('d')?.mayDelete]).toEqual([true, true, false])
  expect([table('b')?.rowsHidden, table('d')?.rowsHidden]).toEqual([false, true])
  expect(graph.references.map(({ name, readable }) => [name, readable])).toEqual([
    ['b_a_id_fkey', true],
    ['c_b_id_fkey', false],
    ['d_a_id_fkey', true],
  ])
})

describe('partitions', () => {
  const SETS = `
    create table a (id int primary key) partition by range (id);
    create table a_1 partition of a for values from (0) to (10);
    create table a_2 partition of a for values from (10) to (20) partition by range (id);
    create table a_2_1 partition of a_2 for values from (10) to (15);
    create table b (a_id int references a) partition by range (a_id);
    create table b_1 partition of b for values from (0) to (20);`

  test('have no references of their own; those of the whole table apply', async ({ database }) => {
    const graph = await graphOf(database, SETS)
    expect(graph.references.map(({ name }) => name)).toEqual(['b_a_id_fkey'])
    expect(graph.tables.map(({ name, partitioned }) => [name.name, partitioned])).toEqual([
      ['a', true],
      ['b', true],
    ])
    const leaf = await read(await database.session('leaf'), 'a_2_1')
    expect(leaf.references.map(({ name, ontoPartition }) => [name, ontoPartition])).toEqual([['b_a_id_fkey', false]])
  })

  test('referenced directly are listed', async ({ database }) => {
    const graph = await graphOf(database, `${SETS} create table c (a_id int references a_1)`)
    expect(graph.references.map(({ name, ontoPartition }) => [name, ontoPartition])).toEqual([
      ['b_a_id_fkey', false],
      ['c_a_id_fkey', true],
    ])
  })
})

test('references are followed through all levels, and around cycles', async ({ database }) => {
  const graph = await graphOf(
    database,
    `create schema far; create table a (id int primary key, parent int references a);
     create table far.b (id int primary key, a_id int references a on delete restrict);
     create table c (id int primary key, b_id int not null references far.b on delete set null);
     alter table a add c_id int references c on delete set default; create table unrelated (id int primary key)`,
  )
  expect(graph.tables.map(({ name }) => `${name.schema}.${name.name}`)).toEqual(['far.b', 'public.a', 'public.c'])
  expect(graph.references.map(({ name, onDelete, cannotSetNull }) => [name, onDelete, cannotSetNull])).toEqual([
    ['b_a_id_fkey', 'restrict', false],
    ['a_c_id_fkey', 'set default', false],
    ['a_parent_fkey', 'no action', false],
    ['c_b_id_fkey', 'set null', true],
  ])
})

test('the columns changed by SET NULL are those listed in the constraint', async ({ database, skip }) => {
  if (database.version < 150000) skip('a list of columns exists from 15 on')
  const graph = await graphOf(
    database,
    `create table a (t int, id int, primary key (t, id));
     create table b (t int not null, a_id int, foreign key (t, a_id) references a on delete set null (a_id))`,
  )
  expect(one(graph).cannotSetNull).toBe(false)
})

test('a constraint that is not enforced is ignored, and a temporal one is reported', async ({ database, skip }) => {
  if (database.version < 180000) skip('both exist from 18 on')
  await database.admin('create extension btree_gist')
  const graph = await graphOf(
    database,
    `create table a (id int, at daterange, primary key (id, at without overlaps), unique (id));
     create table b (a_id int references a (id) not enforced);
     create table c (a_id int, at daterange, foreign key (a_id, period at) references a (id, period at))`,
  )
  expect(graph.references.map(({ name, temporal }) => [name, temporal])).toEqual([['c_a_id_at_fkey', true]])
})

test('a published table without a replica identity rejects deletes', async ({ database }) => {
  const graph = await graphOf(
    database,
    `${PAIR} create table c (id int primary key, a_id int references a); create publication p for table b, c`,
  )
  const refuses = graph.tables.map(({ name, published }) => [
    name.name,
    published !== null && refusals('deletes', published.sendings, published.identity).length > 0,
  ])
  expect(refuses).toEqual([
    ['a', false],
    ['b', true],
    ['c', false],
  ])
})

test('the equality operator of the constraint is used, even where the default one differs', async ({
  database,
  skip,
}) => {
  const available = await database.admin(`select from pg_available_extensions where name = 'citext'`)
  if (available.rowCount === 0) skip('citext is not there')
  await database.admin(
    'create schema types; grant usage on schema types to public; create extension citext schema types',
  )
  const graph = await graphOf(
    database,
    `create table a (id types.citext primary key, name text collate "C" unique);
     create table b (a_id types.citext references a, a_name text references a (name))`,
  )
  expect(graph.references.map(({ pairs }) => [pairs[0]?.operator, pairs[0]?.collation])).toEqual([
    ['operator(types.=)', null],
    ['operator(pg_catalog.=)', 'pg_catalog."C"'],
  ])
})
