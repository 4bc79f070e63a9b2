import { expect, onTestFinished } from 'vitest'
import { readServer } from '../../src/catalog/server-model.ts'
import { openSession, withSession } from '../../src/db/session.ts'
import { Sockets } from '../../src/db/sockets.ts'
import { resume } from '../../src/engine/runs/runs.ts'
import { withTable } from '../../src/engine/table-context.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startEbb } from '../support/ebb-process.ts'
import { DeadLine } from '../support/line.ts'
import { speakTls } from '../support/tls.ts'
import { persevere, quietly } from '../support/tool.ts'
import { until } from '../support/until.ts'

// The server, or the way to it, is gone without a word: no connection is closed, and no answer comes.

const WITHIN_MS = 60_000

test('waiting sessions fail within a minute, and the run is resumed later', async ({ database, judgeTimes }) => {
  const { url, line } = await deadLine(database)
  const sleeping = asleep(database, line)
  const wide = await filled(database)
  const rows = await contents(database, wide)
  const words = [
    'rebuild',
    'wide',
    '--keep-all',
    '--transport',
    'copy',
    '--jobs',
    '2',
    '--pause-ms',
    '300',
    '--execute',
  ]
  const copying = startEbb([...words, '--url', url])
  await until(async () => (await chunks(database)) > 2, { what: 'a few chunks to be copied' })
  await sleeping.begun

  const began = performance.now()
  line.die()
  await expect(sleeping.end).rejects.toMatchObject({
    message: 'the connection was lost (no answer from the server for 30 s)',
    kind: 'try later',
  })
  expect(await copying.ended).toBe(EXIT.tryLater)
  const toldInMs = performance.now() - began
  expect(copying.said.err).toMatch(/the connection was lost while working on: copy about .*no answer from the server/)

  await persevere(() => resume(database.url, { table: wide }, quietly()))
  expect(await contents(database, wide)).toEqual(rows)
  await judgeTimes(() => expect(toldInMs).toBeLessThan(WITHIN_MS))
})

test('a broken connection reports the reason, encrypted or not', async ({ ownServer, needs }) => {
  const own = await ownServer()
  const certificate = await speakTls(own, needs('openssl'))
  const encrypted = new URL(own.database.url)
  encrypted.hostname = '127.0.0.1'
  encrypted.searchParams.set('sslmode', 'verify-full')
  encrypted.searchParams.set('sslrootcert', certificate)
  for (const url of [encrypted.href, own.server.url]) {
    const sockets = new Sockets()
    const session = await openSession(sockets.through(url), 'test')
    const asleep = session.query('select pg_sleep(60)')
    sockets.destroy(Object.assign(new Error('nobody answers'), { code: 'ETIMEDOUT' }))
    await expect(asleep).rejects.toThrow('nobody answers')
    await session.end()
  }
})

test('the server detects our disappearance, too', async ({ database }) => {
  const url = new URL(database.url)
  url.hostname = '127.0.0.1'
  await withSession(url.href, 'test', async (session) => {
    const { rows } = await session.query(
      `select name, setting::int from pg_settings where name like 'tcp_keepalives_%' order by name`,
    )
    expect(rows).toEqual([
      { name: 'tcp_keepalives_count', setting: 3 },
      { name: 'tcp_keepalives_idle', setting: 10 },
      { name: 'tcp_keepalives_interval', setting: 10 },
    ])
  })
})

async function deadLine(database: Database) {
  const line = await DeadLine.to(database)
  return { line, url: line.url }
}

/** A run whose one session waits for a long statement; the connection by which it looks around is all that can tell. */
function asleep(database: Database, line: DeadLine) {
  let hasBegun = () => {}
  const begun = new Promise<void>((resolve) => (hasBegun = resolve))
  const table = database.table('anything')
  const end = (async () => {
    const server = await withSession(line.url, 'test', (session) => readServer(session, 'ebb'))
    await withTable({ target: line.url, server, ...quietly(), command: 'partition' }, table, async ({ session }) => {
      hasBegun()
      await session.query('select pg_sleep(600)')
    })
  })()
  end.catch(() => {})
  onTestFinished(() => end.catch(() => {}))
  return { begun, end }
}

async function filled(database: Database): Promise<TableName> {
  const table = database.table('wide')
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(table)} (id int primary key, filler text)`)
  await owner.query(sql`insert into ${quoted(table)} select n, repeat('x', 100) from generate_series(1, 200000) n`)
  await owner.query(sql`vacuum (analyze) ${quoted(table)}`.text)
  return table
}

async function contents(database: Database, table: TableName) {
  const { rows } = await database.admin(
    sql`select count(*), md5(string_agg(id || filler, ',' order by id)) from ${quoted(table)}`,
  )
  return rows
}

async function chunks(database: Database): Promise<number> {
  const { rows } = await database
    .admin<{ n: number }>('select count(*)::int as n from ebb.chunk')
    .catch(() => ({ rows: [] }))
  return rows[0]?.n ?? 0
}
