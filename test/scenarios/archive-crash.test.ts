import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { EmbeddedServer } from '../../src/embedded/server.ts'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { restoreRows } from '../../src/engine/restore/restoring.ts'
import type { Event, Observer } from '../../src/events.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql, type Sql } from '../../src/sql/sql.ts'
import { isThere, leafOf, monthlyEvents, monthsOf, request } from '../engine/rotate-support.ts'
import { archivesIn } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { ORDER } from '../support/restoring.ts'
import { isToBeRepeated, quietly } from '../support/tool.ts'
import { until } from '../support/until.ts'

// The server dies between two steps of a rotation or a purge with an archive, or of a restore: the same command goes on, nothing is
// removed without a receipt, and nothing is restored twice. (Amid a step: archive-kill.)

test('a server crash between the steps of a rotation with an archive, and of the way back', async ({ ownServer }) => {
  const { server, database } = await ownServer()
  const folder = await archiveFolder()
  // Without a key, it would hold a row twice.
  const table = await monthlyEvents(database, -3, 2, 'events', raw('id bigint, at timestamptz, token text'))
  const oldest = leafOf(database, table, -3)
  const rows = await contents(database, oldest)
  const all = await contents(database, table)
  const rotation = request({ tables: [table], keep: '2 months', noArchive: false, archive: archiveTo(folder.uri) })
  const rotating = (observer: Observer = () => {}) =>
    rotate(database.url, rotation, quietly({ observer })).then(({ sets: [set] }) => {
      const failure = set?.failed[0]?.error
      if (failure !== undefined) throw failure
    })

  // Detached, and no receipt.
  await crashAt(server, rotating, isStep('step finished', 'detach'))
  expect((await archivesIn(folder.path)).archives).toEqual([])
  expect(await contents(database, oldest)).toEqual(rows)
  expect(await monthsOf(database, table)).not.toContain(-3)

  // A receipt, and not dropped.
  await crashAt(server, rotating, isStep('step finished', 'archive'))
  expect(await contents(database, oldest)).toEqual(rows)
  const [archived, ...others] = (await archivesIn(folder.path)).archives
  expect(others).toEqual([])
  expect(archived).toMatchObject({ removal: null, receipt: { tables: [{ ...oldest, rows: rows.length }] } })

  // Dropped by that receipt, which is the only one.
  await rotating()
  expect(await isThere(database, oldest)).toBe(false)
  const { archives } = await archivesIn(folder.path)
  expect(archives).toMatchObject([{ receipt: { id: archived?.receipt.id }, removal: { receipt: {} } }])
  expect(await archivedRows(folder.path, archived!.receipt)).toHaveLength(rows.length)

  // Its partition may be there again, for the commit of a step need not have reached the disk, and none of its rows is; then its
  // rows are, and no more of them.
  const receipt = `${folder.uri}/${archived!.receipt.id}/receipt.json`
  const restoring = (observer: Observer = () => {}) =>
    restoreRows(database.url, { ...ORDER, receipt, attach: true, accept: ['restore-key'] }, quietly({ observer }))
  await crashAt(server, restoring, isStep('step started', 'restore'))
  expect(await contents(database, table)).toHaveLength(all.length - rows.length)
  await crashAt(server, restoring, isStep('step finished', 'restore'))
  expect(await contents(database, table)).toEqual(all)
  await restoring()
  expect(await contents(database, table)).toEqual(all)
  // It was one run all along: another one, into the partition, would leave it unfinished.
  const { rows: runs } = await database.admin<{ name: string; status: string }>(
    sql`select table_name as name, status from ebb.run where command = 'restore'`,
  )
  expect(runs).toEqual([{ name: table.name, status: 'done' }])
  await folder.close()
})

test('a server crash while a purge lists rows, after its receipt, amid its batches, and after them', async ({
  ownServer,
}) => {
  const { server, database } = await ownServer()
  const folder = await archiveFolder()
  const table = database.table('visits')
  const owner = await database.session('setup')
  await owner.query(sql`create table ${quoted(table)} (id int primary key, at int, t text)`.text)
  await owner.query(
    sql`insert into ${quoted(table)} select n, n % 3, repeat('x', 100) from generate_series(1, 300) n`.text,
  )
  const rows = await contents(database, table)
  const wanted = purgeRequest('at = 0', { noArchive: false, archive: archiveTo(folder.uri, { partBytes: 2_000 }) })
  const purging = (observer: Observer = () => {}) =>
    purgeRows(database, table, wanted, { turns: batchesOf(30), observer })
  const stored = async () => (await archivesIn(folder.path)).archives

  const waits = (what: string) =>
    until(
      async () =>
        (
          await database.admin(
            sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ ${what}`,
          )
        ).rowCount === 1,
      { what: `the purge to wait with ${what}` },
    )
  // In the transaction that lists the rows; then when the receipt is stored, and the journal has not been told. The list is
  // created without waiting for the disk.
  await crashAt(server, purging, isStep('step started', 'archive'), ASYNCHRONOUS_COMMIT_MS)
  for (const told of [false, true]) {
    const [list, journal] = [await database.session('list'), await database.session('journal')]
    await list.query(sql`begin; lock table ${await listOf(database)} in share update exclusive mode`.text)
    const work = purging().catch((error: unknown) => error)
    await waits('^analyze')
    if (told) {
      await journal.query('begin; lock table ebb.archive in share row exclusive mode')
      await list.query('rollback')
      await waits('archive')
    }
    await server.crash()
    expect(await work).toSatisfy(isToBeRepeated)
    await server.restart()
    expect([(await stored()).length, await contents(database, table)]).toEqual([told ? 1 : 0, rows])
  }

  // A receipt, and nothing deleted.
  await crashAt(server, purging, isStep('step finished', 'archive'))
  expect(await contents(database, table)).toEqual(rows)
  const [archived, ...others] = await stored()
  expect(others).toEqual([])
  expect(archived).toMatchObject({ removal: null, receipt: { tables: [{ rows: 100 }] } })

  // Some deleted, and each of these archived.
  let turns = 0
  const inTurns = (observer: Observer) => {
    const turn = () => {
      observer({ type: 'note', text: `turn ${(turns += 1)}` } as Parameters<Observer>[0])
      return Promise.resolve({ rows: 30 })
    }
    return purgeRows(database, table, wanted, { turns: { ...batchesOf(30), turn }, observer })
  }
  await crashAt(server, inTurns, (event) => event.type === 'note' && event.text === 'turn 3')
  const left = await contents(database, table)
  expect([left.length > 200, left.length < 300]).toEqual([true, true])
  await crashAt(server, purging, isStep('step finished', 'removal'))
  await purging()
  expect(await contents(database, table)).toHaveLength(200)
  expect(await stored()).toMatchObject([
    { receipt: { id: archived!.receipt.id }, removal: { tables: [{ archived: 100, deleted: 100, kept: 0 }] } },
  ])
  await restoreRows(
    database.url,
    { ...ORDER, receipt: `${folder.uri}/${archived!.receipt.id}/receipt.json` },
    quietly(),
  )
  expect(await contents(database, table)).toEqual(rows)
  await folder.close()
})

async function listOf(database: Database): Promise<Sql> {
  const { rows } = await database.admin<{ name: string }>(
    `select relname as name from pg_class where relname ~ '^purge_keys_' and relkind = 'r'`,
  )
  return quoted({ schema: 'ebb', name: rows[0]!.name })
}

function isStep(type: 'step started' | 'step finished', kind: string) {
  return (event: Event) => event.type === type && (event.step.key === kind || event.step.key.startsWith(`${kind}:`))
}

/** The server dies at that event, before the command does anything more; then it starts again. */
async function crashAt(
  server: EmbeddedServer,
  command: (observer: Observer) => Promise<unknown>,
  moment: (event: Event) => boolean,
  restMs = 0,
): Promise<void> {
  let crash: Promise<void> | undefined
  const ended = await command((event) => {
    if (crash === undefined && moment(event)) crash = die(server, restMs)
  }).catch((error: unknown) => error)
  expect(crash, 'the moment has come').toBeDefined()
  await crash
  expect(ended).toSatisfy(isToBeRepeated)
  await server.restart()
}

/** By then a commit is on disk that has not waited for it: three times wal_writer_delay, says PostgreSQL's documentation. */
const ASYNCHRONOUS_COMMIT_MS = 3 * 200

/** Lets nothing in this process go on until the server is gone: its lock file goes last. */
function die(server: EmbeddedServer, restMs: number): Promise<void> {
  const lockFile = join(server.dataFolder, 'postmaster.pid')
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  Atomics.wait(sleeper, 0, 0, restMs)
  const crash = server.crash()
  while (existsSync(lockFile)) Atomics.wait(sleeper, 0, 0, 5)
  return crash
}

async function contents(database: Database, table: TableName): Promise<unknown[]> {
  const { rows } = await database.admin<object>(sql`select * from ${quoted(table)} order by at, id`)
  return rows
}
