import type pg from 'pg'
import { describe, expect } from 'vitest'
import { partition } from '../../src/engine/partition.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { splitOrder } from '../engine/split-support.ts'
import { test, type Database } from '../support/database.ts'
import { PartitioningByCopy, Rebuilding, RollingBack, Splitting, type UnderWay } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'

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

describe('a snapshot that is taken while the swap waits, after the last look at snapshots,', () => {
  test.for(SWAPS)('reads what was written before it: $name', { timeout: 60_000 }, async ({ begin }, { database }) => {
    const { table, app } = await numbers(database)
    const swap = await begin(database, table)
    const reader = await database.session('somebody in the way')
    const witness = await database.session('witness')
    await reader.query('begin')
    await reader.query(sql`lock table ${quoted(table)} in access share mode`.text)
    await swap.waits(/somebody in the way/)

    await app.query(sql`update ${quoted(table)} set v = 5 where id = 1`)
    await app.query(sql`insert into ${quoted(table)} (id, v) values (5000, 7)`)
    await app.query(sql`delete from ${quoted(table)} where id = 2`)
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

const AS_IT_WAS_WRITTEN = [
  { id: 1, v: 5 },
  { id: 5000, v: 7 },
]

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
