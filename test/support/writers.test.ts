import { describe, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from './database.ts'
import { callFunction, holdCursor, readThrough } from './reads.ts'
import { isWaiting, until } from './until.ts'
import { verifyWrites } from './verify-writes.ts'
import { startWriters, type Load, type Read } from './writers.ts'

describe('writers', () => {
  test('write by every protocol while readers read, and every write is found', async ({ database }) => {
    const table = await notes(database)
    const admin = await database.session('admin')
    const reader = database.table('latest')
    await admin.query(
      sql`create function ${quoted(reader)}() returns bigint language plpgsql
          as $$ begin return (select count(*) from ${quoted(table)}); end $$`,
    )
    const reads = [readThrough(table, 'id'), callFunction(reader), holdCursor(sql`select * from ${quoted(table)}`)]

    const writers = await startWriters(database, { ...insertInto(table), reads })
    await until(() => writers.writes >= 60)
    const report = await writers.stop()

    expect(report.errors).toEqual([])
    expect(report.inDoubt).toEqual([])
    expect(Object.keys(report.sessions).toSorted()).toEqual([
      'reader cursor',
      'reader function',
      'reader view',
      'writer extended',
      'writer prepared',
      'writer simple',
    ])
    expect(report.reads).toBeGreaterThanOrEqual(3)
    await verifyWrites(admin, table, 'token', report)
  })

  test('measure how long they waited', async ({ database }) => {
    const table = await notes(database)
    const locker = await database.session('locker')
    const writers = await startWriters(database, insertInto(table))

    await locker.query('begin')
    await locker.query(sql`lock table ${quoted(table)}`)
    await locker.query('select pg_sleep(0.3)')
    await locker.query('commit')
    const report = await writers.stop()

    expect(report.longestWaitMs).toBeGreaterThan(290)
    expect(report.errors).toEqual([])
  })

  test('do not count as waiting what an application does between its statements', async ({ database }) => {
    const table = await notes(database)
    const works: Read = {
      name: 'works',
      async run(client, rest) {
        await client.query('select pg_sleep(0.02)')
        await rest(500)
      },
    }

    const writers = await startWriters(database, { ...insertInto(table), reads: [works] })
    const report = await writers.stop()

    expect(report.sessions['reader works']!.longestWaitMs).toBeGreaterThan(19)
    expect(report.sessions['reader works']!.longestWaitMs).toBeLessThan(400)
  })

  test('record errors of the server, and continue', async ({ database }) => {
    const table = await notes(database)
    const tool = await database.session('tool')
    const writers = await startWriters(database, insertInto(table))

    await tool.query(sql`alter table ${quoted(table)} rename column token to taken`)
    await until(() => writers.failures >= 3)
    await tool.query(sql`alter table ${quoted(table)} rename column taken to token`)
    const before = writers.writes
    await until(() => writers.writes > before)
    const report = await writers.stop()

    expect(report.errors[0]?.message).toContain('column "token"')
    expect(report.inDoubt).toEqual([])
    await verifyWrites(tool, table, 'token', report)
  })

  test('count a write with a terminated session as unknown, and the loss as an error', async ({ database }) => {
    const table = await notes(database)
    const writers = await startWriters(database, { ...insertInto(table), protocols: ['extended'] })
    const locker = await database.session('locker', { admin: true })

    await locker.query('begin')
    await locker.query(sql`lock table ${quoted(table)}`)
    await until(() => isWaiting(locker, 'writer extended'))
    await database.terminate('writer extended')
    await locker.query('commit')
    const report = await writers.stop()

    expect(report.errors.map((error) => error.message)).toEqual(['terminating connection due to administrator command'])
    expect(report.inDoubt).toHaveLength(1)
    await verifyWrites(locker, table, 'token', report)
  })

  test('recover from a server crash, with every acknowledged write', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const table = await notes(database)
    const writers = await startWriters(database, { ...insertInto(table), reconnect: true })

    await until(() => writers.writes >= 30)
    await server.crash()
    await server.restart()
    const before = writers.writes
    await until(() => writers.writes > before + 30)
    const report = await writers.stop()

    expect(report.errors).toEqual([])
    expect(report.reconnects).toBe(3)
    await verifyWrites(await database.session('judge'), table, 'token', report)
  })

  test('fail at once if their statement is wrong', async ({ database }) => {
    await expect(startWriters(database, insertInto({ schema: 'public', name: 'nowhere' }))).rejects.toThrow('nowhere')
  })
})

describe('verifyWrites', () => {
  const [one, two, three] = ['00000000-0000-0000-0000-000000000001', 'b', 'c']

  test('finds lost, duplicated and foreign rows', async ({ database }) => {
    const table = await notes(database)
    const app = await database.session('app')
    const verify = (acknowledged: string[], inDoubt: string[], initialRows?: number) =>
      verifyWrites(app, table, 'token', { acknowledged, inDoubt }, initialRows)
    await app.query(sql`insert into ${quoted(table)} (token) values (${one}), (${two}), (${two})`)

    await expect(verify([one, three], [])).rejects.toThrow('1 acknowledged but not there: c')
    await expect(verify([one, two], [])).rejects.toThrow('1 there more than once: b')
    await expect(verify([one], [two])).rejects.toThrow('1 there more than once: b')
    await expect(verify([one], [])).rejects.toThrow('3 rows in the table instead of 1')
    await expect(verify([one], [three], 2)).resolves.toBeUndefined()
  })
})

async function notes(database: Database): Promise<TableName> {
  const table = database.table('notes')
  const app = await database.session('setup')
  await app.query(
    sql`create table ${quoted(table)} (id bigint generated always as identity primary key, token text, body jsonb)`,
  )
  return table
}

function insertInto(table: TableName): Load {
  const { text } = sql`insert into ${quoted(table)} (token, body) values ($1, $2)`
  return { insert: (token) => ({ text, values: [token, { says: "it's $1" }] }), pauseMs: 2 }
}
