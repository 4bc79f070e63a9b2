import type pg from 'pg'
import { describe, expect } from 'vitest'
import { REPLICA_IDENTITY, SENDINGS, type ReplicaIdentity, type Sending } from '../../src/catalog/table/published.ts'
import { readOne } from '../../src/db/query.ts'
import { refusals } from '../../src/plan/table/published.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'

// What is said of a statement is compared with what PostgreSQL says to it.

describe('updates and deletes rejected because of a publication', () => {
  const table = 'create table t (id int primary key, at int not null, b text)'
  const partitioned = [
    'create table t (id int not null, at int not null, b text, primary key (id, at)) partition by range (at)',
    'create table t1 partition of t for values from (0) to (100)',
  ]
  const cases: [string, { statements: string[]; leaf?: string; since?: number; refuses: string[] }][] = [
    ['a key is enough', { statements: [table, 'create publication p for table t'], refuses: [] }],
    [
      'without a key',
      {
        statements: ['create table t (id int, b text)', 'create publication p for table t'],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'only what is published',
      {
        statements: [
          'create table t (id int, b text)',
          `create publication p for table t with (publish = 'insert, update')`,
        ],
        refuses: ['update'],
      },
    ],
    [
      'a key that is deferrable',
      {
        statements: ['create table t (id int primary key deferrable)', 'create publication p for all tables'],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'full',
      {
        statements: [
          'create table t (id int, b text)',
          'alter table t replica identity full',
          'create publication p for table t',
        ],
        refuses: [],
      },
    ],
    [
      'an index that is gone',
      {
        statements: [
          'create table t (id int not null, b text)',
          'create unique index u on t (id)',
          'alter table t replica identity using index u',
          'drop index u',
          'create publication p for table t',
        ],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'full, and not all columns',
      {
        since: 15,
        statements: [table, 'alter table t replica identity full', 'create publication p for table t (id, b)'],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'columns with the key',
      { since: 15, statements: [table, 'create publication p for table t (id, b)'], refuses: [] },
    ],
    [
      'columns without the key',
      { since: 15, statements: [table, 'create publication p for table t (b)'], refuses: ['update', 'delete'] },
    ],
    [
      'rows chosen by another column',
      {
        since: 15,
        statements: [table, `create publication p for table t where (b = 'x') with (publish = 'insert, delete')`],
        refuses: ['delete'],
      },
    ],
    [
      'rows chosen by the key',
      { since: 15, statements: [table, 'create publication p for table t where (id > 1)'], refuses: [] },
    ],
    [
      'the root’s columns, by the root',
      {
        since: 15,
        leaf: 't1',
        statements: [...partitioned, 'create publication p for table t (id, b) with (publish_via_partition_root)'],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'the root’s filter, by the root',
      {
        since: 15,
        leaf: 't1',
        statements: [
          ...partitioned,
          `create publication p for table t where (b = 'x') with (publish_via_partition_root)`,
        ],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'a partition’s own identity',
      {
        leaf: 't1',
        statements: [
          ...partitioned,
          'alter table t1 replica identity nothing',
          'create publication p for table t with (publish_via_partition_root)',
        ],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'in a schema',
      {
        since: 15,
        statements: ['create table t (id int, b text)', 'create publication p for tables in schema public'],
        refuses: ['update', 'delete'],
      },
    ],
    [
      'a generated column in the key that is not sent',
      {
        since: 18,
        statements: [
          'create table t (id int, at int generated always as (id + 1) stored not null, b text)',
          'create unique index u on t (at)',
          'alter table t replica identity using index u',
          'create publication p for table t',
        ],
        refuses: ['update', 'delete'],
      },
    ],
  ]

  test('match those that PostgreSQL rejects', async ({ database }) => {
    const session = await database.session('owner', { admin: true })
    for (const [name, { statements, leaf = 't', since = 14, refuses }] of cases) {
      if (database.version < since * 10_000) continue
      await session.query('begin')
      for (const statement of statements) await session.query(statement)
      expect.soft({ [name]: await said(session, leaf) }).toEqual({ [name]: refuses })
      expect.soft({ [name]: await seen(session, leaf) }).toEqual({ [name]: refuses })
      await session.query('rollback')
    }
  })
})

async function said(session: pg.Client, table: string): Promise<string[]> {
  const read = await readOne<{ identity: ReplicaIdentity; sendings: Sending[] }>(
    session,
    sql`select ${raw(REPLICA_IDENTITY('c'))} as identity, ${raw(SENDINGS('c', 'n'))} as sendings
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname = ${table}`,
  )
  const refused = (what: 'updates' | 'deletes') => refusals(what, read.sendings, read.identity).length > 0
  return [...(refused('updates') ? ['update'] : []), ...(refused('deletes') ? ['delete'] : [])]
}

async function seen(session: pg.Client, table: string): Promise<string[]> {
  const refused: string[] = []
  for (const statement of [`update ${table} set b = 'y'`, `delete from ${table}`]) {
    await session.query('savepoint s')
    await session.query(statement).catch(() => refused.push(statement.split(' ')[0] as string))
    await session.query('rollback to s')
  }
  return refused
}
