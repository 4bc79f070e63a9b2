import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { describe, expect } from 'vitest'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { splitOrder } from '../engine/split-support.ts'
import { test, type Database } from '../support/database.ts'
import { PartitioningByCopy, Rebuilding, RollingBack, Splitting, type UnderWay } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { isWaiting, until } from '../support/until.ts'
import { partition } from '../support/commands.ts'

// Whoever has a snapshot from before the last rows came into the copy, and reads the table for the first time after the
// swap, would read too little from it, without an error. Each swap with a copy behind it, one interleaving.

interface Swap {
  readonly name: string
  readonly begin: (database: Database, table: TableName) => Promise<UnderWay<unknown>>
}

const SWAPS: readonly Swap[] = [
  { name: 'a rebuild', begin: async (database, table) => new Rebuilding(database, table, {}, USUAL) },
  {
    name: 'a rebuild around some rows',
    begin: async (database, table) => new Rebuilding(database, table, { keep: 'id > 0' }, USUAL),
  },
  {
    name: 'the way back from a rebuild',
    async begin(database, table) {
      const { runId } = await new Rebuilding(database, table).end()
      return new RollingBack(database, runId, USUAL)
    },
  },
  { name: 'partitioning by copy', begin: async (database, table) => new PartitioningByCopy(database, table, USUAL) },
  {
    name: 'the way back from partitioning by copy',
    async begin(database, table) {
      const { runId } = await new PartitioningByCopy(database, table).end()
      return new RollingBack(database, runId, USUAL)
    },
  },
  {
    name: 'splitting a partition',
    async begin(database, table) {
      await partition(database.url, written(table), monthly({ by: 'at', keep: null }), quietly())
      return new Splitting(database, table, splitOrder({ noArchive: true }), USUAL)
    },
  },
  {
    name: 'the way back from a split',
    async begin(database, table) {
      await partition(database.url, written(table), monthly({ by: 'at', keep: null }), quietly())
      const { runId } = await new Splitting(database, table, splitOrder({ noArchive: true })).end()
      return new RollingBack(database, runId, USUAL)
    },
  },
]

/** As large as users have them. */
const USUAL = { copySizes: { chunkBlocks: 32_768, batchEntries: 5_000, shortLog: 500 } }

describe('a snapshot taken while the swap waits, after the last check of snapshots,', () => {
  test.for(SWAPS)('sees the rows written before it: $name', async ({ begin }, { database }) => {
    const { table, app } = await numbers(database)
    const swap = await begin(database, table)
    const reader = await database.session('somebody in the way')
    const witness = await database.session('witness')
    await reader.query('begin')
    await reader.query(sql`lock table ${quoted(table)} in access share mode`.text)
    await swap.waits(/somebody in the way/)

    await writeSome(app, table)
    await witness.query('begin isolation level repeatable read')
    await witness.query('select count(*) from pg_class')
    await reader.query('commit')
    await Promise.race([swap.end(), swap.waits(/witness/)])

    expect(await read(witness, table)).toEqual(AS_IT_WAS_WRITTEN)
    await witness.query('commit')
    await swap.end()
    expect(await read(app, table)).toEqual(AS_IT_WAS_WRITTEN)
  })
})

describe('a snapshot taken after the old ones have ended, while the swap requests its locks,', () => {
  test.for(SWAPS)('sees the rows written until then: $name', async ({ begin }, { database, skip }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser')
      skip('a superuser sees that it is no autovacuum, and would not ask for its lock')
    const { table, app } = await numbers(database)
    const witness = await database.session('witness')
    const seemsToVacuum = await database.session('stranger', { admin: true })
    const swap = await begin(database, table)
    await swap.began(/swap/)
    await seemsToVacuum.query('begin')
    await seemsToVacuum.query(sql`lock table ${quoted(table)} in share update exclusive mode`.text)
    const asked = sql`select from pg_locks where database = (select oid from pg_database where datname = current_database()) and relation = ${quoted(table).text}::regclass and mode = 'ShareUpdateExclusiveLock' and not granted`
    await until(async () => (await database.admin(asked)).rowCount !== 0)

    await writeSome(app, table)
    await witness.query('begin isolation level repeatable read')
    await witness.query('select count(*) from pg_class')
    await seemsToVacuum.query('commit')
    await Promise.race([swap.end(), swap.waits(/witness/)])

    expect(await read(witness, table)).toEqual(AS_IT_WAS_WRITTEN)
    await witness.query('commit')
    await swap.end()
    expect(await read(app, table)).toEqual(AS_IT_WAS_WRITTEN)
  })
})

describe('the swap of another table does not wait for', () => {
  test('an index that is built concurrently', async ({ database }) => {
    const { table, app } = await numbers(database)
    const writer = await database.session('long writer')
    const builder = await database.session('builder')
    await app.query('create table public.elsewhere (id int primary key)')
    await writer.query('begin; insert into public.elsewhere values (1)')
    const building = builder.query('create index concurrently on public.elsewhere (id)')
    building.catch(() => {})
    await until(async () => (await database.admin('select from pg_stat_progress_create_index')).rowCount !== 0)

    await new Rebuilding(database, table, {}, USUAL).end()

    await writer.query('commit')
    await building
  })
})

describe('an exported snapshot', () => {
  test('is waited for as long as the session that imported it', async ({ database }) => {
    const { table } = await numbers(database)
    const [exporter, importer] = [await database.session('exporter'), await database.session('importer')]
    await exporter.query('begin isolation level repeatable read')
    const { rows } = await exporter.query<{ id: string }>('select pg_export_snapshot() as id')
    const rebuilding = new Rebuilding(database, table, {}, USUAL)
    await rebuilding.waits(/exporter/)

    await importer.query(`begin isolation level repeatable read; set transaction snapshot '${rows[0]?.id}'`)
    await sleep(600)
    await exporter.query('commit')
    await sleep(1_000)
    expect((await importer.query(sql`select from ${quoted(table)}`)).rowCount).toBe(1_000)
    await importer.query('commit')
    await rebuilding.end()
  })
})

test('REPACK (CONCURRENTLY) of another table does not delay a swap', async ({ database, skip }) => {
  if (database.version < 190_000) skip('19 has it first')
  const { table, app } = await numbers(database)
  const other = database.table('other')
  await app.query(sql`create table ${quoted(other)} (id int primary key)`.text)
  const reader = await database.session('reader of the other table')
  const repacking = await database.session('somebody who repacks')
  await reader.query('begin')
  await reader.query(sql`lock table ${quoted(other)} in access share mode`.text)
  // At its end it waits for the reader, and its snapshots are from before.
  const repacked = repacking.query(sql`repack (concurrently) ${quoted(other)}`.text)
  await until(() => isWaiting(app, 'somebody who repacks'))

  await new Rebuilding(database, table, {}, { ...USUAL, lockLimits: { ...LOCK_LIMITS, deadlineMs: 3_000 } }).end()
  expect(await isWaiting(app, 'somebody who repacks')).toBe(true)
  await reader.query('commit')
  await repacked
})

test('what keeps deleted rows for subscriptions is no standby, and delays no swap', async ({
  database,
  ownServer,
  skip,
}) => {
  if (database.version < 190_000) skip('19 has it first')
  const own = (await ownServer()).database
  const { table, app } = await numbers(own)
  // A publisher that never answers: what it has not confirmed is kept as from this moment.
  await own.admin(
    `create subscription far connection 'host=192.0.2.1' publication far with (connect = false, retain_dead_tuples = true)`,
  )
  const keeps = async () => (await app.query('select from pg_replication_slots where xmin is not null')).rowCount === 1
  await until(keeps)

  await writeSome(app, table)
  await new Rebuilding(own, table, {}, { ...USUAL, lockLimits: { ...LOCK_LIMITS, deadlineMs: 3_000 } }).end()
  expect(await keeps()).toBe(true)
})

const AS_IT_WAS_WRITTEN = [
  { id: 1, v: 5 },
  { id: 5000, v: 7 },
]

async function writeSome(app: pg.Client, table: TableName): Promise<void> {
  await app.query(sql`update ${quoted(table)} set v = 5 where id = 1`)
  await app.query(sql`insert into ${quoted(table)} (id, v) values (5000, 7)`)
  await app.query(sql`delete from ${quoted(table)} where id = 2`)
}

async function read(client: pg.Client, table: TableName): Promise<unknown[]> {
  const { rows } = await client.query<{ id: number; v: number }>(
    sql`select id, v from ${quoted(table)} where id in (1, 2, 5000) order by id`,
  )
  return rows
}

async function numbers(database: Database): Promise<{ table: TableName; app: pg.Client }> {
  const table = database.table('numbers')
  const app = await database.session('app')
  await app.query(
    sql`create table ${quoted(table)} (id int primary key, v int, at timestamptz not null default now() - interval '1 day')`,
  )
  await app.query(
    sql`insert into ${quoted(table)} (id, v, at) select n, 0, now() - n * interval '2 hours' from generate_series(1, 1000) n`,
  )
  return { table, app }
}
