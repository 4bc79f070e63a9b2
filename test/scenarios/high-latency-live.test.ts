import { expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { slowLine } from '../support/line.ts'
import { purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { purge, rebuild } from '../support/commands.ts'

// A server that is far away: each message takes a while, in which the server does nothing for us, and has not to be spared.

const ONE_WAY_MS = 25
const ROWS = 60_000

async function visits(database: Database): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('owner')
  await owner.query(
    sql`create table ${quoted(table)} (id int primary key, note text not null);
        insert into ${quoted(table)} select n, repeat('.', 100) from generate_series(1, ${raw(String(ROWS))}) n;
        analyze ${quoted(table)}`.text,
  )
  return table
}

// Nearly all of it is waiting, so they may wait together.
test.concurrent('batches are as large as over a fast network', async ({ database, judgeTimes }) => {
  const table = await visits(database)
  const url = await slowLine(database, ONE_WAY_MS)
  const { figures } = await purge(url, written(table), purgeRequest('id % 2 = 0'), quietly())
  expect(figures).toMatchObject({ rows: ROWS / 2 })
  await judgeTimes(() => expect(figures?.batches).toBeLessThan(30))
})

test.concurrent(
  'chunks are as large as over a fast network, and a swap holds its locks for two round trips',
  async ({ database, judgeTimes }) => {
    const table = await visits(database)
    const { swap, runId } = await rebuild(
      await slowLine(database, ONE_WAY_MS),
      written(table),
      rebuildRequest(),
      quietly(),
    )
    const { rowCount: chunks } = await database.admin(`select from ebb.chunk where run_id = ${runId}`)
    await judgeTimes(() => {
      expect(swap?.heldMs).toBeLessThan(4 * 2 * ONE_WAY_MS)
      // The first ones are small, because others are at work; were the way taken for a slow disk, all would be, more than 30.
      expect(chunks).toBeLessThan(12)
    })
  },
)
