import { expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { codes } from '../plan/support/gist.ts'
import { archiveTo } from '../support/archiving.ts'
import {
  partition,
  planPartitionCopyOf,
  planPurgeOf,
  planRebuildOf,
  planSplitOf,
  writeCandidates,
} from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { candidatesOf, purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { splitOrder } from './split-support.ts'

// Rows too wide for Parquet show in the plan of each command that would archive them, and rows that stay do not.

const TO = { noArchive: false, archive: archiveTo('file:///nowhere', { format: 'parquet' }) }
const AS_CSV = { noArchive: false, archive: archiveTo('file:///nowhere') }

/** 33 MiB of which some 400 kB are stored. */
const WIDE = raw("repeat('x', 33 << 20)")

async function orders(database: Database): Promise<TableName> {
  const table = database.table('orders')
  const place = quoted(table)
  const owner = await database.session('setup')
  await owner.query(
    sql`create table ${place} (id bigint, created_at timestamptz not null, note text, primary key (id, created_at))`
      .text,
  )
  await owner.query(
    sql`insert into ${place} select n, now() - n * interval '30 days', case when n = 7 then ${WIDE} end from generate_series(1, 10) n`
      .text,
  )
  await owner.query(sql`analyze ${place}`.text)
  return table
}

test('of rows that a purge or a copy would archive, one too wide for Parquet is a blocking issue', async ({
  database,
}) => {
  const table = await orders(database)
  const purging = async (rows: string | ReturnType<typeof candidatesOf>, to: Partial<typeof TO> = TO) =>
    codes(await planPurgeOf(database.url, written(table), purgeRequest(rows, to), quietly()))
  expect(await purging('id < 8')).toEqual(['parquet-wide-row'])
  expect(await purging('id < 7')).toEqual([])
  expect(await purging('id < 8', AS_CSV)).toEqual([])
  const set = async (where: string) => (await writeCandidates(database.url, written(table), { where }, quietly())).runId
  expect(await purging(candidatesOf(await set('id = 7')))).toEqual(['parquet-wide-row'])
  expect(await purging(candidatesOf(await set('id <> 7')))).toEqual([])

  const rebuilding = async (keep: string, to: Partial<typeof TO> = TO) =>
    codes(await planRebuildOf(database.url, written(table), rebuildRequest({ keep, ...to }), quietly()))
  expect(await rebuilding('id > 7')).toEqual(['parquet-wide-row'])
  expect(await rebuilding('id > 6')).toEqual([])
  expect(await rebuilding('id > 7', AS_CSV)).toEqual([])

  const days = (count: number) => ({ count, unit: 'day' }) as const
  const leaving = (count: number) =>
    ({ keep: days(count), transport: 'server', jobs: 1, retireAfter: null, ...TO }) as const
  const copying = async (count: number) =>
    codes(await planPartitionCopyOf(database.url, written(table), { ...monthly(), ...leaving(count) }, quietly()))
  expect(await copying(100)).toEqual(['parquet-wide-row'])
  expect(await copying(280)).toEqual([])

  await partition(database.url, written(table), monthly(), quietly())
  const splitting = async (count: number) =>
    codes(await planSplitOf(database.url, written(table), splitOrder(leaving(count)), quietly()))
  expect(await splitting(100)).toEqual(['parquet-wide-row'])
  expect(await splitting(280)).toEqual([])
})

test('of rows that depend on them, too, however far down', async ({ database }) => {
  const owner = await database.session('setup')
  await owner.query(
    sql`create table public.customers (id int primary key);
    create table public.orders (id int primary key, customer int not null references public.customers);
    create table public.notes (id int primary key, "order" int not null references public.orders, reply int references public.notes, note text);
    create index on public.orders (customer); create index on public.notes ("order"); create index on public.notes (reply);
    insert into public.customers select generate_series(1, 9);
    insert into public.orders select n, n from generate_series(1, 9) n;
    insert into public.notes select n, n, null, case when n = 7 then ${WIDE} end from generate_series(1, 9) n;
    analyze`.text,
  )
  const purging = async (rows: string | ReturnType<typeof candidatesOf>, to: Partial<typeof TO> = TO) => {
    const request = purgeRequest(rows, { cascade: true, ...to })
    return codes(await planPurgeOf(database.url, written(CUSTOMERS), request, quietly()))
  }
  expect(await purging('id < 8 -- all')).toEqual(['parquet-wide-row:public.notes'])
  expect(await purging('id < 7')).toEqual([])
  expect(await purging('id < 8', AS_CSV)).toEqual([])
  const { runId } = await writeCandidates(database.url, written(CUSTOMERS), { where: 'id = 7' }, quietly())
  expect(await purging(candidatesOf(runId))).toEqual(['parquet-wide-row:public.notes'])
})

const CUSTOMERS: TableName = { schema: 'public', name: 'customers' }
