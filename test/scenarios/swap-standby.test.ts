import pg from 'pg'
import { describe, expect, onTestFinished } from 'vitest'
import type { EmbeddedServer } from '../../src/embedded/server.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { Rebuilding, rebuildRequest, RollingBack } from '../support/rebuilding.ts'
import { startStandby } from '../support/standby.ts'
import { at } from '../support/template.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { planRebuildOf } from '../support/commands.ts'

// Whoever reads on a standby replays the swap when it does, and sees it with the snapshot it has.

const ROWS = 10_000
const FEEDBACK = { hot_standby_feedback: 'on', wal_receiver_status_interval: '1s', max_standby_streaming_delay: '-1' }

describe('a reader on a standby with an older snapshot', () => {
  test.for([true, false])(
    'is waited for if the standby reports it (by its slot: %s), and reads the correct rows',
    async (followsBySlot, { ownServer }) => {
      const { server, database } = await ownServer()
      const table = await numbers(database)
      const standby = await startStandby(server, { settings: FEEDBACK, followsBySlot })
      const reader = await connected(standby, database, table)
      await until(() => isTold(database))
      await reader.query('begin isolation level repeatable read')
      await reader.query('select from pg_class limit 1')

      const rebuilding = new Rebuilding(database, table, {}, USUAL)
      await rebuilding.waits(/a reader on (?:the )?standby/)
      expect(await count(reader, table)).toBe(ROWS)
      await reader.query('commit')
      const { runId } = await rebuilding.end()

      await reader.query('begin isolation level repeatable read')
      await reader.query('select from pg_class limit 1')
      const back = new RollingBack(database, runId, USUAL)
      await back.waits(/a reader on (?:the )?standby/)
      expect(await count(reader, table)).toBe(ROWS)
      await reader.query('commit')
      await back.end()
    },
  )

  test('is mentioned beforehand if the standby does not report it', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const table = await numbers(database)
    const standby = await startStandby(server, { settings: { hot_standby_feedback: 'off' } })
    await connected(standby, database, table)
    const notes = async () => {
      const plan = await planRebuildOf(database.url, written(table), rebuildRequest(), quietly())
      return plan.notes.filter((note) => /standbys/.test(note)).join()
    }
    expect(await notes()).toMatch(/do not report whether.*standby_\d+\. A transaction there/)

    await standby.remove()
    await until(async () => /replication slot standby_\d+, not connected/.test(await notes()))
  })
})

/** Whether the standby has told of its readers for the first time, which it does some time after it has connected. */
async function isTold(database: Database): Promise<boolean> {
  const { rowCount } = await database.admin(
    `select xmin from pg_replication_slots where xmin is not null union all select backend_xmin from pg_stat_replication where backend_xmin is not null`,
  )
  return rowCount !== 0
}

const USUAL = { copySizes: { chunkBlocks: 32_768, batchEntries: 5_000, shortLog: 500 } }

async function numbers(database: Database): Promise<TableName> {
  const table = database.table('numbers')
  const app = await database.session('app')
  await app.query(sql`create table ${quoted(table)} (id int primary key, v int)`)
  await app.query(sql`insert into ${quoted(table)} select n, 0 from generate_series(1, ${ROWS}::int) n`)
  return table
}

/** When what is on the primary has arrived there. */
async function connected(standby: EmbeddedServer, database: Database, table: TableName): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: at(standby.url, { database: database.name }) })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end())
  await until(async () => (await count(client, table).catch(() => 0)) === ROWS)
  return client
}

async function count(client: pg.Client, table: TableName): Promise<number> {
  return (await client.query<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`)).rows[0]?.n ?? -1
}
