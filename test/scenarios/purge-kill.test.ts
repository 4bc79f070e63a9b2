import { describe, expect } from 'vitest'
import { abandon, planAbandonOf, resume, status } from '../../src/engine/runs/runs.ts'
import { EbbError } from '../../src/errors.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startTool, type Errand } from '../support/process.ts'
import { batchesOf, contentOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { randomFrom } from '../support/random.ts'
import { persevere, quietly } from '../support/tool.ts'

// Wherever a purge, its sessions or the server die: what the journal says has gone is what has gone, the same command
// goes on behind it, and in the end the rows asked for are gone, and only those.

const ROWS = 4_000
const GONE = ROWS / 2
const SMALL = { turns: batchesOf(50) }

/** Every other row is old; another table has as many. */
async function readings(database: Database): Promise<TableName> {
  const table = database.table('readings')
  const owner = await database.session('setup')
  const place = quoted(table)
  for (const statement of [
    sql`create table ${place} (id int primary key, at timestamptz not null, note text default repeat('x', 200)) partition by hash (id)`,
    sql`create table ${quoted(database.table('readings_0'))} partition of ${place} for values with (modulus 2, remainder 0)`,
    sql`create table ${quoted(database.table('readings_1'))} partition of ${place} for values with (modulus 2, remainder 1)`,
    sql`insert into ${place} select n, case when n % 2 = 0 then now() - interval '1 year' else now() end - n * interval '1 s' from generate_series(1, 4000) n`,
    sql`analyze ${place}`,
  ])
    await owner.query(statement.text)
  return table
}

const WAYS: readonly (readonly [string, PurgeRequest])[] = [
  ['block after block', purgeRequest(`at < now() - interval '1 month'`, { vacuum: true })],
  ['along an index', purgeRequest(`at < now() - interval '1 month'`, { orderBy: 'id' })],
]

describe.for(WAYS)('a purge %s, killed', ([, request]) => {
  test('at random moments, resumes where it was', async ({ database }) => {
    const table = await readings(database)
    const app = await database.session('app')
    const random = randomFrom('kill a purge at random moments')
    for (let i = 0; i < 12; i++) {
      // Some rows are locked at every moment, so that there is something to come back for.
      await app.query('begin')
      await app.query(
        sql`select from ${quoted(table)} where id between ${i * 300}::int and ${i * 300 + 2}::int for update`,
      )
      const dieAtStatement = { number: 30 + Math.floor(random() * 150), afterMs: Math.floor(random() * 6) }
      await startTool({ ...errandOn(database, table, request), dieAtStatement }).end()
      await app.query('commit')
      await expectAudit(database, table)
    }
    await persevere(() => purgeRows(database, table, request, SMALL))
    await expectAudit(database, table, GONE)
    expect(await contentOf(database, table, 'id % 2 = 1')).toMatchObject({ rows: 0 })
  })

  test('by the loss of its sessions, says what to do, and resumes', async ({ database }) => {
    const table = await readings(database)
    const administrator = await database.session('administrator', { admin: true })
    let batches = 0
    const lost = await purgeRows(database, table, request, {
      ...SMALL,
      observer: (event) => {
        if (event.type === 'progress' && ++batches === 5)
          void administrator.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'ebb purge %'`,
          )
      },
    }).catch((error: unknown) => error)
    expect(lost).toBeInstanceOf(EbbError)
    expect(lost).toMatchObject({ kind: 'try later' })
    await expectAudit(database, table)
    await persevere(() => resume(database.url, { table }, { ...quietly(), ...SMALL }))
    await expectAudit(database, table, GONE)
  })
})

test('a server crash during a purge: after the restart it resumes', async ({ ownServer }) => {
  const { server, database } = await ownServer()
  const table = await readings(database)
  const [, request] = WAYS[0] ?? []
  if (request === undefined) throw new Error('no request')
  let crash: Promise<void> | undefined
  const lost = await purgeRows(database, table, request, {
    ...SMALL,
    observer: (event) => {
      if (event.type === 'progress' && event.progress.done > 20) crash ??= server.crash()
    },
  }).catch((error: unknown) => error)
  expect(lost).toMatchObject({ kind: 'try later' })
  await crash
  await server.restart()
  await expectAudit(database, table)
  await persevere(() => purgeRows(database, table, request, SMALL))
  await expectAudit(database, table, GONE)
})

test('a stopped run is resumed, or abandoned; status reports both', async ({ database }) => {
  const table = await readings(database)
  const request = purgeRequest('id % 2 = 0')
  const stopped = await stoppedAfter(5, database, table, request)
  expect(stopped).toMatchObject({ kind: 'stopped' })
  await expectAudit(database, table)
  const [line] = (await status(database.url, quietly())).runs
  expect(line).toMatchObject({ command: 'purge', status: 'running' })
  expect(line?.rows).toBeGreaterThan(50)

  const plan = await planAbandonOf(database.url, { table }, quietly())
  expect(plan.evidence.join()).toContain('stay deleted')
  await abandon(database.url, { table }, quietly())
  await expectAudit(database, table)
  expect((await status(database.url, quietly())).runs).toMatchObject([{ status: 'abandoned' }])

  await stoppedAfter(5, database, table, request)
  await resume(database.url, { table }, { ...quietly(), ...SMALL })
  await expectAudit(database, table, GONE)
})

test('status reports one at work, not why it stopped before', async ({ database }) => {
  const table = await readings(database)
  const request = purgeRequest('id % 2 = 0')
  const now = async () => (await status(database.url, quietly())).runs[0]
  await stoppedAfter(5, database, table, request)
  expect(await now()).toMatchObject({ atWork: false, lastError: expect.stringContaining('stopped') as string })
  let meanwhile: Awaited<ReturnType<typeof now>>
  const turn = async () => {
    meanwhile ??= await now()
    return { rows: 100 }
  }
  await purgeRows(database, table, request, { turns: { turn } })
  expect(meanwhile).toMatchObject({ status: 'running', atWork: true, lastError: null })
  expect(await now()).toMatchObject({ status: 'done', atWork: false })
})

function stoppedAfter(batches: number, database: Database, table: TableName, request: PurgeRequest): Promise<unknown> {
  const stop = new AbortController()
  let seen = 0
  return purgeRows(database, table, request, {
    ...SMALL,
    signal: stop.signal,
    observer: (event) => void (event.type === 'progress' && ++seen === batches && stop.abort()),
  }).catch((error: unknown) => error)
}

function errandOn({ url }: Database, table: TableName, purge: PurgeRequest): Errand {
  return { command: 'purge', url, table, purge, batchRows: 50 }
}

/** The journal has each row that is gone, once. */
async function expectAudit(database: Database, table: TableName, expected?: number): Promise<void> {
  const { rows: left } = await contentOf(database, table)
  if (expected !== undefined) expect(left).toBe(ROWS - expected)
  const journal = await database.admin<{ there: boolean }>(`select to_regclass('ebb.purge_batch') is not null as there`)
  if (journal.rows[0]?.there !== true) return expect(left).toBe(ROWS)
  const { rows } = await database.admin<{ gone: number }>(
    `select coalesce(sum(rows), 0)::int as gone from ebb.purge_batch`,
  )
  expect(rows[0]?.gone).toBe(ROWS - left)
}
