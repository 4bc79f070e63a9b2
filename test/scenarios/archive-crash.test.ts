import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { EmbeddedServer } from '../../src/embedded/server.ts'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { restoreRows } from '../../src/engine/restore/restoring.ts'
import type { Event, Observer } from '../../src/events.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { isThere, leafOf, monthlyEvents, monthsOf, request } from '../engine/rotate-support.ts'
import { archivesIn } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { ORDER } from '../support/restoring.ts'
import { isToBeRepeated, quietly } from '../support/tool.ts'

// The server dies between two steps of a rotation with an archive, or of a restore: the same command goes on, nothing is
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

  // Its partition is there again, and none of its rows; then its rows, and no more of them.
  const receipt = `${folder.uri}/${archived!.receipt.id}/receipt.json`
  const restoring = (observer: Observer = () => {}) =>
    restoreRows(database.url, { ...ORDER, receipt, attach: true, accept: ['restore-key'] }, quietly({ observer }))
  await crashAt(server, restoring, isStep('step started', 'restore'))
  expect(await monthsOf(database, table)).toContain(-3)
  expect(await contents(database, table)).toHaveLength(all.length - rows.length)
  await crashAt(server, restoring, isStep('step finished', 'restore'))
  expect(await contents(database, table)).toEqual(all)
  await restoring()
  expect(await contents(database, table)).toEqual(all)
  await folder.close()
})

function isStep(type: 'step started' | 'step finished', kind: string) {
  return (event: Event) => event.type === type && event.step.key.startsWith(`${kind}:`)
}

/** The server dies at that event, before the command does anything more; then it starts again. */
async function crashAt(
  server: EmbeddedServer,
  command: (observer: Observer) => Promise<unknown>,
  moment: (event: Event) => boolean,
): Promise<void> {
  let crash: Promise<void> | undefined
  const ended = await command((event) => {
    if (crash === undefined && moment(event)) crash = die(server)
  }).catch((error: unknown) => error)
  expect(crash, 'the moment has come').toBeDefined()
  await crash
  expect(ended).toSatisfy(isToBeRepeated)
  await server.restart()
}

/** Lets nothing in this process go on until the server is gone: its lock file goes last. */
function die(server: EmbeddedServer): Promise<void> {
  const lockFile = join(server.dataFolder, 'postmaster.pid')
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  const crash = server.crash()
  while (existsSync(lockFile)) Atomics.wait(sleeper, 0, 0, 5)
  return crash
}

async function contents(database: Database, table: TableName): Promise<unknown[]> {
  const { rows } = await database.admin<object>(sql`select * from ${quoted(table)} order by at`)
  return rows
}
