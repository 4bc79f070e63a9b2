import { expect } from 'vitest'
import { readKey, sampleIds } from '../../src/catalog/table/key-model.ts'
import { readTable } from '../../src/catalog/table/read-table.ts'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { withSession, type Session } from '../../src/db/session.ts'
import { inSnapshot } from '../../src/db/transaction.ts'
import { quoted } from '../../src/sql/names.ts'
import { raw, sql, type Sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'

test('the greatest id is the greatest number, not the last text', async ({ database }) => {
  const key = await withTable(
    database,
    [sql`id bigint primary key`],
    sql`select generate_series(1, 10)`,
    (session, table) => readKey(session, table, 'id'),
  )

  expect(key).toMatchObject({ min: '1', max: '10', range: 'exact', indexed: true })
})

test('infinite values are detected', async ({ database }) => {
  const values = sql`values (now()), ('infinity'), ('-infinity')`
  const key = await withTable(database, [sql`at timestamptz`], values, (session, table) =>
    readKey(session, table, 'at'),
  )

  expect(key).toMatchObject({ min: '-infinity', max: 'infinity', indexed: false })
})

test('an empty table has no range', async ({ database }) => {
  const key = await withTable(database, [sql`at timestamptz`], sql`select now() where false`, (session, table) =>
    readKey(session, table, 'at'),
  )

  expect(key).toMatchObject({ min: null, max: null })
})

test('samples are in id order, each with its time', async ({ database }) => {
  const values = sql`select n, to_timestamp(n) from generate_series(1, 1000) n`
  const samples = await withTable(
    database,
    [sql`id bigint primary key, at timestamptz not null`],
    values,
    (session, table) => sampleIds(session, table, 'id', 'at'),
  )

  expect(samples).toHaveLength(25)
  expect(samples.at(0)).toEqual({ id: '1', at: '1000000' })
  expect(samples.at(-1)).toEqual({ id: '1000', at: '1000000000' })
})

test('samples are the same whatever other columns are called', async ({ database }) => {
  const names = ['n', 's', 't', 'e', 'p', 'low', 'high', 'place', 'ends']
  const others = sql`id bigint primary key, at timestamptz not null, ${raw(names.map((name) => `${name} int default 3`).join())}`
  const values = sql`select n, to_timestamp(n) from generate_series(1, 1000) n`
  const samples = await withTable(database, [others], values, (session, table) => sampleIds(session, table, 'id', 'at'))

  expect(samples).toHaveLength(25)
  expect(samples.at(-1)).toEqual({ id: '1000', at: '1000000000' })
})

async function withTable<T>(
  database: Database,
  [columns]: [Sql],
  rows: Sql,
  work: (session: Session, table: TableModel) => Promise<T>,
): Promise<T> {
  const name = database.table('keys')
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(name)} (${columns})`.text)
  await owner.query(sql`insert into ${quoted(name)} ${rows}`)
  return withSession(database.url, 'look', (session) =>
    inSnapshot(session, async () => work(session, (await readTable(session, name, database.version)) as TableModel)),
  )
}
