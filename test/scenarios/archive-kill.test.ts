import { afterEach, beforeEach, expect } from 'vitest'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { restoreRows, type RestoreOrder } from '../../src/engine/restore/restoring.ts'
import type { ArchivedObject } from '../../src/plan/archive/receipt.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { month, monthlyEvents, monthsOf, request } from '../engine/rotate-support.ts'
import { archivesIn } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { startTool } from '../support/process.ts'
import { ORDER, storeRows } from '../support/restoring.ts'
import { persevere, quietly } from '../support/tool.ts'
import { until } from '../support/until.ts'

// Wherever a restore or a rotation with an archive dies, its process by SIGKILL or the server: the same command
// goes on, nothing is removed without a receipt, and nothing is restored twice.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

async function idsIn(database: Database, table: TableName): Promise<number[]> {
  const { rows } = await database.admin<{ id: number }>(sql`select id::int from ${quoted(table)} order by id`)
  return rows.map(({ id }) => id)
}

interface Archived {
  readonly table: TableName
  readonly order: RestoreOrder
  readonly objects: readonly ArchivedObject[]
}

/** A table without a key, which would hold a row twice, and an archive of its 300 rows in seven objects; it is empty. */
async function archived(database: Database, called = 'notes'): Promise<Archived> {
  const table = database.table(called)
  const owner = await database.session('setup')
  const name = quoted(table)
  await owner.query(sql`create table ${name} (id int, note text)`.text)
  await owner.query(sql`insert into ${name} select n, repeat('x', 100) from generate_series(1, 300) n`.text)
  const { receipt, table: stored } = await storeRows(owner, table, { partBytes: 4_500 })
  expect(stored.objects).toHaveLength(7)
  await owner.query(sql`truncate ${name}`.text)
  return { table, order: { ...ORDER, receipt }, objects: stored.objects }
}

const ALL = Array.from({ length: 300 }, (_, i) => i + 1)

test('a restore that dies at many statements puts each row back once', async ({ database }) => {
  const { table, order, objects } = await archived(database)
  const errand = { command: 'restore', url: database.url, table, restore: order } as const
  const dieAt = `step finished: restore:${objects[1]?.name ?? ''}`
  expect(await startTool({ ...errand, dieAt }).end()).toBe('SIGKILL')
  for (const number of await killPoints(database)) {
    const killed = () => startTool({ ...errand, dieAtStatement: { number, afterMs: number % 4 } }).end()
    // The lease of the one before may still be held by its session.
    await until(async () => (await killed()) === 'SIGKILL', { what: `a restore to die at statement ${number}` })
    await expectEachOnce(database, table)
  }
  expect((await idsIn(database, table)).length).toBeLessThan(300)

  // Its rows are inserted, and it waits for the journal's entry: both are one transaction.
  const gate = await database.session('gate', { admin: true })
  await gate.query('begin; lock table ebb.step in exclusive mode')
  const before = await idsIn(database, table)
  const tool = startTool(errand)
  const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await until(async () => (await database.admin(waits)).rowCount === 1, { what: 'the restore to wait for the journal' })
  tool.signal('SIGKILL')
  expect(await tool.end()).toBe('SIGKILL')
  await database.admin(waits.replace('select', 'select pg_terminate_backend(pid)'))
  await gate.query('rollback')
  expect(await idsIn(database, table)).toEqual(before)

  await persevere(() => restoreRows(database.url, order, quietly()))
  expect(await idsIn(database, table)).toEqual(ALL)
})

/** In the first two objects of a restore, by the statements of one that is not killed. */
async function killPoints(database: Database): Promise<number[]> {
  const { table, order, objects } = await archived(database, 'counted')
  const whole = startTool({ command: 'restore', url: database.url, table, restore: order })
  expect(await whole.end()).toBe(0)
  const key = `restore:${objects[0]?.name ?? ''}`
  const [started = NaN, finished = NaN] = ['step started', 'step finished'].map(
    (type) => whole.said.find((said) => said.type === type && said.key === key)?.statements,
  )
  const each = finished - started
  return [started + each / 3, started + each, started + each * 1.6].map(Math.floor)
}

async function expectEachOnce(database: Database, table: TableName): Promise<void> {
  const ids = await idsIn(database, table)
  expect(new Set(ids).size).toBe(ids.length)
}

test('a restore whose server dies in the midst of an object puts each row back once', async ({ ownServer }) => {
  const { server, database } = await ownServer()
  const { table, order } = await archived(database)
  const name = quoted(table)
  const gate = await database.session('gate')
  await gate.query('select pg_advisory_lock(7)')
  await database.admin(
    `create function wait_there() returns trigger language plpgsql as $$ begin
       perform pg_advisory_xact_lock_shared(7); return new; end $$;
     create trigger waiting before insert on ${name.text} for each row when (new.id = 150) execute function wait_there()`,
  )
  const tool = startTool({ command: 'restore', url: database.url, table, restore: order })
  const waits = () =>
    database.admin(`select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`)
  await until(async () => (await waits()).rowCount === 1, { what: 'the restore to reach row 150' })
  const before = await idsIn(database, table)
  expect(before.length).toBeGreaterThan(0)
  await server.crash()
  expect(await tool.end()).not.toBe(0)
  await server.restart()

  expect(await idsIn(database, table)).toEqual(before)
  await persevere(() => restoreRows(database.url, order, quietly()))
  expect(await idsIn(database, table)).toEqual(ALL)
})

test('a rotation with an archive that dies at many statements removes nothing without a receipt', async ({
  database,
}) => {
  const table = await monthlyEvents(database, -5, 3)
  const owner = await database.session('setup')
  await owner.query(
    sql`insert into ${quoted(table)} (at) select ${month(-5)} + n * interval '2 days' from generate_series(0, 70) n`
      .text,
  )
  const before = await idsIn(database, table)
  const rotation = request({ tables: [table], keep: '2 months', noArchive: false, archive: archiveTo(folder.uri) })
  const errand = { command: 'rotate', url: database.url, table, rotate: rotation } as const
  let deaths = 0
  for (const number of [100, 150, 200, 250]) {
    const ended = await startTool({ ...errand, dieAtStatement: { number, afterMs: number % 4 } }).end()
    await expectAllKept(database, before)
    if (ended === 0) break
    deaths += 1
  }
  expect(deaths).toBeGreaterThan(2)
  await persevere(async () => {
    const { sets } = await rotate(database.url, rotation, quietly())
    const failure = sets[0]?.failed[0]?.error
    if (failure !== undefined) throw failure
  })

  expect((await monthsOf(database, table))[0]).toBeGreaterThan(-4)
  const { archives } = await archivesIn(folder.path)
  const removed: number[] = []
  for (const { receipt, removal } of archives) if (removal !== null) removed.push(...(await archivedIds(receipt)))
  const left = await idsIn(database, table)
  expect([...removed, ...left].sort((a, b) => a - b)).toEqual(before)
})

async function archivedIds(receipt: Parameters<typeof archivedRows>[1]): Promise<number[]> {
  return (await archivedRows(folder.path, receipt)).map((row) => Number(row.split(',')[0]))
}

/** Each row is in a table of the database, or in an archive with a receipt. */
async function expectAllKept(database: Database, before: readonly number[]): Promise<void> {
  const { rows } = await database.admin<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname not in ('ebb', 'pg_catalog', 'information_schema')`,
  )
  const found = new Set<number>()
  for (const table of rows) for (const id of await idsIn(database, table)) found.add(id)
  for (const { receipt } of (await archivesIn(folder.path)).archives)
    for (const id of await archivedIds(receipt)) found.add(id)
  expect(before.filter((id) => !found.has(id))).toEqual([])
}
