import { existsSync } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { archive as archiveCommand } from '../../src/engine/commands/archive.ts'
import { planCommand } from '../../src/engine/plan-command.ts'
import { quietly, written } from '../support/tool.ts'
import type { Event } from '../../src/events.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import type { StoredRemoval } from '../../src/plan/archive/removal.ts'
import type { Step } from '../../src/plan/language/step.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { countOf, isThere, leafOf, monthlyEvents, monthsOf, planOf, rotateOne } from './rotate-support.ts'

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

/** Two months are kept; what is older is archived and dropped. */
function rotate(database: Database, table: TableName, changes: Parameters<typeof rotateOne>[3] = {}, asked = {}) {
  const archive = archiveTo(folder.uri)
  return rotateOne(database, table, { keep: '2 months', archive, noArchive: false, ...asked }, changes)
}

interface Stored {
  readonly receipt: Receipt
  /** Ids of the rows. */
  readonly ids: readonly number[]
  readonly removal: StoredRemoval | null
}

/** All archives with a receipt, by what is in the folder alone. */
async function stored(): Promise<Stored[]> {
  const found: Stored[] = []
  const files = await readdir(folder.path, { recursive: true })
  for (const path of files.filter((file) => file.endsWith('receipt.json')).sort()) {
    const receipt = JSON.parse(await readFile(join(folder.path, path), 'utf8')) as Receipt
    const removal = join(folder.path, path.replace('receipt', 'removal'))
    const rows = await archivedRows(folder.path, receipt)
    found.push({
      receipt,
      ids: rows.map((row) => Number(row.split(',')[0])),
      removal: existsSync(removal) ? (JSON.parse(await readFile(removal, 'utf8')) as StoredRemoval) : null,
    })
  }
  return found
}

async function storedOf(leaf: TableName): Promise<Stored | undefined> {
  return (await stored()).find(({ receipt }) => receipt.tables[0]!.name === leaf.name)
}

async function idsOf(database: Database, table: TableName): Promise<number[]> {
  const { rows } = await database.admin<{ id: string }>(sql`select id from ${quoted(table)} order by id`)
  return rows.map(({ id }) => Number(id))
}

/** Of partitions that are gone, exactly the rows are in archives with a receipt and a removal document. */
async function expectRemovedAsArchived(before: Readonly<Record<string, readonly number[]>>, left: readonly string[]) {
  const told = (await stored()).filter(({ removal }) => removal !== null)
  const gone = Object.entries(before).filter(([name]) => !left.includes(name))
  const archived = told.map(({ receipt, ids }) => [receipt.tables[0]!.name, [...ids].sort((a, b) => a - b)])
  expect(archived.sort()).toEqual(gone.sort())
}

function isStep({ key }: Step, kind: string): boolean {
  return key.startsWith(`${kind}:`)
}

test('a row too wide for Parquet is said before the first detach, and before an archive begins', async ({
  database,
}) => {
  const table = await monthlyEvents(database, -3, 1)
  const leaf = leafOf(database, table, -3)
  const owner = await database.session('setup')
  // 33 MiB of which some 400 kB are stored.
  await owner.query(sql`update ${quoted(leaf)} set token = repeat('x', 33 << 20)`)

  const archive = archiveTo(folder.uri, { format: 'parquet' })
  const { failed, retired } = await rotate(database, table, {}, { archive })
  expect(failed.map(({ error }) => error.message)).toEqual([
    `a row of ${display(leaf)} has more than 33.6 MB as CSV, which is too wide for Parquet`,
  ])
  expect(retired).toEqual([])
  expect(await monthsOf(database, table)).toContain(-3)

  const planned = async (where: string | null, format: 'csv' | 'parquet') =>
    (
      await planCommand(database.url, written(leaf), archiveCommand, { where, to: { ...archive, format } }, quietly())
    ).objections.map(({ code }) => code)
  expect(await planned(null, 'parquet')).toEqual(['parquet-wide-row'])
  expect(await planned(null, 'csv')).toEqual([])
  expect(await planned('token is null', 'parquet')).toEqual([])
})

test('rows that the role does not see, and values that are not read again, are said before the first detach', async ({
  database,
}) => {
  const table = await monthlyEvents(database, -3, 1)
  const leaf = leafOf(database, table, -3)
  const owner = await database.session('setup')
  await owner.query(
    sql`alter table ${quoted(leaf)} enable row level security; alter table ${quoted(leaf)} force row level security`,
  )
  const accept = ['clock']
  const hidden = await rotate(database, table, { accept })
  expect([hidden.failed, hidden.retired]).toEqual([[], []])
  expect(hidden.plan!.objections.map(({ code }) => code)).toEqual(['row-security'])
  await owner.query(/being: (.*)$/.exec(hidden.plan!.objections[0]!.fix)![1]!)
  await owner.query(sql`alter table ${quoted(table)} add column tree pg_node_tree`)
  const { failed, retired } = await rotate(database, table, { accept })
  expect(failed.map(({ error }) => error.message)).toEqual([expect.stringMatching(/does not read again/) as string])
  expect(retired).toEqual([])
  expect(await monthsOf(database, table)).toContain(-3)
})

describe('an archived partition', () => {
  test('has a receipt before it is dropped, and a removal document after', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const leaf = leafOf(database, table, -4)
    const ids = await idsOf(database, leaf)
    const plan = await planOf(database, table, { keep: '2 months', archive: archiveTo(folder.uri), noArchive: false })
    expect(plan.objections).toEqual([])
    expect(plan.steps.map(({ kind }) => kind)).toContain('archive')
    expect(plan.steps.some(({ title }) => title === `archive rows of ${display(leaf)} in ${folder.uri}`)).toBe(true)
    expect(await stored()).toEqual([])

    const report = await rotate(database, table)
    expect(report.failed).toEqual([])
    expect(await isThere(database, leaf)).toBe(false)
    const first = await storedOf(leaf)
    expect(first!.ids).toEqual(ids)
    expect(first!.receipt).toMatchObject({ run: { command: 'rotate', id: null } })
    expect(first!.receipt.tables[0]).toMatchObject({ ...leaf, partitionOf: { ...table } })
    expect(first!.receipt.tables[0]!.partitionOf!.bounds).toMatch(/^FOR VALUES FROM/)
    expect(first!.removal).toMatchObject({ how: 'dropped', tables: [{ deleted: ids.length }] })
    const [retired] = report.retired
    expect(retired!.receipt).toBe(first!.removal!.receipt.uri)
    expect(retired!.receipt).toMatch(/receipt\.json$/)
    expect((await database.admin('select from ebb.archived_write')).rowCount).toBe(0)
  })

  test('is truncated and attached again', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const leaf = leafOf(database, table, -4)
    const ids = await idsOf(database, leaf)
    const report = await rotate(database, table, {}, { retire: 'truncate' })
    expect(report.failed).toEqual([])
    expect(report.retired.map(({ outcome }) => outcome)).toEqual(['truncated', 'truncated'])
    expect(await monthsOf(database, table)).toContain(-4)
    expect(await countOf(database, leaf)).toBe(0)
    const first = await storedOf(leaf)
    expect(first!.ids).toEqual(ids)
    expect(first!.removal).not.toBeNull()
    const { rowCount } = await database.admin(`select from pg_trigger where tgname like 'ebb%'`)
    expect(rowCount).toBe(0)
    expect((await rotate(database, table, {}, { retire: 'truncate' })).retired).toEqual([])
  })
})

test('after a grace period it is archived as it is then, and not before', async ({ database }) => {
  const table = await monthlyEvents(database, -3, 1)
  const leaf = leafOf(database, table, -3)
  expect((await rotate(database, table, {}, { grace: '1 day' })).retired).toMatchObject([{ outcome: 'detached' }])
  await database.admin(
    sql`insert into ${quoted(leaf)} (id, at) overriding system value select 1000, min(at) from ${quoted(leaf)}`,
  )
  const ids = await idsOf(database, leaf)
  expect(await stored()).toEqual([])
  await database.admin(`update ebb.retirement set detached_at = now() - interval '2 days'`)
  const report = await rotate(database, table)
  expect([report.failed, report.retired.map(({ outcome }) => outcome)]).toEqual([[], ['dropped']])
  expect((await storedOf(leaf))?.ids.toSorted((a, b) => a - b)).toEqual(ids)
  expect(ids).toContain(1000)
})

test('a store that is not there leaves everything attached', async ({ database }) => {
  const table = await monthlyEvents(database, -4, 1)
  await rm(folder.path, { recursive: true })
  const report = await rotate(database, table)
  expect(report.failed).toHaveLength(1)
  expect(report.created).toHaveLength(3)
  expect(await monthsOf(database, table)).toEqual([-4, -3, -2, -1, 0, 1, 2, 3])
  expect((await database.admin('select from ebb.retirement')).rowCount).toBe(0)
})

test('stopped or failed between any two steps, and continued: what is gone is archived', async ({ database }) => {
  const table = await monthlyEvents(database, -8, 1)
  const leaves = [-8, -7, -6, -5, -4, -3].map((month) => leafOf(database, table, month))
  const before: Record<string, number[]> = {}
  for (const leaf of leaves) before[leaf.name] = await idsOf(database, leaf)
  const there = async () => {
    const { rows } = await database.admin<{ name: string }>(`select relname as name from pg_class where relkind = 'r'`)
    return rows.map(({ name }) => name)
  }

  /** Stops where a step begins, as a kill between the two would. */
  const stopAt = async (kind: string) => {
    const stop = new AbortController()
    const observer = (event: Event) => {
      if (event.type === 'step started' && isStep(event.step, kind)) stop.abort()
    }
    const { failed } = await rotate(database, table, { observer, signal: stop.signal })
    expect(failed).toHaveLength(1)
    await expectRemovedAsArchived(before, await there())
  }
  for (const kind of ['detach', 'guard', 'archive', 'drop']) await stopAt(kind)
  expect((await database.admin('select from ebb.retirement')).rowCount).toBe(1)
  // It is archived once: the receipt from before the stop counts.
  expect(await stored()).toHaveLength(1)

  // The journal was not told of the receipt.
  await database.admin('update ebb.archive set receipt_uri = null, receipt_sha256 = null, rows = null, bytes = null')
  await stopAt('drop')
  expect(await stored()).toHaveLength(1)

  const last = await rotate(database, table)
  expect(last.failed).toEqual([])
  await expectRemovedAsArchived(before, await there())
  expect((await database.admin('select from ebb.retirement')).rowCount).toBe(0)
  for (const leaf of leaves) expect(await isThere(database, leaf)).toBe(false)
})

test('a store that fails in the midst keeps the partition, and the next rotation finishes it first', async ({
  database,
}) => {
  const table = await monthlyEvents(database, -5, 1)
  const leaf = leafOf(database, table, -5)
  const ids = await idsOf(database, leaf)
  const away = `${folder.path}-away`
  const breaking = (kind: string, type: Event['type']) => (event: Event) => {
    if (event.type === type && 'step' in event && isStep(event.step, kind) && existsSync(folder.path)) {
      // The directory is gone, as if its volume were not mounted.
      void rename(folder.path, away)
    }
  }
  const first = await rotate(database, table, { observer: breaking('guard', 'step started') })
  expect(first.failed.map(({ error }) => error.name)).toContain('StoreError')
  expect(first.retired).toEqual([])
  expect(await idsOf(database, leaf)).toEqual(ids)
  await rename(away, folder.path)

  // After the drop: its removal document is stored by the next one.
  await rotate(database, table, { observer: breaking('drop', 'step finished') })
  await until(() => existsSync(away))
  await rename(away, folder.path)
  const told = (await stored()).filter(({ removal }) => removal !== null)
  expect(told).toEqual([])
  const report = await rotate(database, table)
  expect(report.failed).toEqual([])
  expect((await stored()).every(({ removal }) => removal !== null)).toBe(true)
  expect((await storedOf(leaf))!.ids).toEqual(ids)
  expect((await database.admin('select from ebb.archive where removal_at is null')).rowCount).toBe(0)

  // Stored, and the journal was not told; nothing is left to retire, and a file that a killed process had begun.
  await database.admin('update ebb.archive set removal_at = null')
  await writeFile(join(folder.path, (await storedOf(leaf))!.receipt.id, '.ebb-unfinished-1'), '')
  expect((await rotate(database, table)).failed).toEqual([])
  expect((await database.admin('select from ebb.archive where removal_at is null')).rowCount).toBe(0)
  const files = await readdir(folder.path, { recursive: true })
  expect(files.filter((name) => name.includes('unfinished'))).toEqual([])
})

describe('what changes a detached partition after its snapshot', () => {
  /** Another session does something to the partition when it is archived and about to be dropped. */
  async function changing(
    database: Database,
    act: (session: Awaited<ReturnType<Database['session']>>, leaf: TableName) => Promise<unknown>,
  ) {
    const table = await monthlyEvents(database, -3, 1)
    const leaf = leafOf(database, table, -3)
    await database.admin(
      sql`insert into ${quoted(table)} (at) select at from ${quoted(leaf)}, generate_series(1, 20000)`,
    )
    const holder = await database.session('holder', { admin: true })
    const held: Promise<unknown>[] = []
    let waits = false
    const rotating = rotate(database, table, {
      observer: (event) => {
        if (!waits && event.type === 'step finished' && isStep(event.step, 'guard'))
          // The drop asks for the same mode first, and holds nothing yet: whoever alters the table cannot deadlock with it.
          held.push(holder.query('begin'), holder.query(sql`lock table ${quoted(leaf)} in share update exclusive mode`))
        if (event.type === 'step started' && isStep(event.step, 'drop')) waits = true
      },
    })
    await until(() => waits)
    await Promise.all(held.splice(0))
    await act(holder, leaf)
    await holder.query('commit')
    const report = await rotating
    expect(report.failed).toEqual([])
    expect(await isThere(database, leaf)).toBe(false)
    const archives = await stored()
    expect(archives.map(({ removal }) => removal !== null)).toEqual([false, true])
    return archives
  }

  test('is archived as well: rows written by its name', async ({ database }) => {
    const [first, second] = await changing(database, async (session, leaf) => {
      // A trigger of another kind would not fire.
      await session.query(`set session_replication_role = replica`)
      await session.query(sql`insert into ${quoted(leaf)} (id, at) select 9000000, min(at) from ${quoted(leaf)}`)
    })
    expect(first!.ids).not.toContain(9000000)
    expect(second!.ids).toContain(9000000)
  })

  test('is noticed in a transaction that still sees an earlier mark', async ({ database }) => {
    const table = await monthlyEvents(database, -3, 1)
    const leaf = leafOf(database, table, -3)
    await database.admin(
      sql`insert into ${quoted(table)} (at) select at from ${quoted(leaf)}, generate_series(1, 20000)`,
    )
    const holder = await database.session('holder', { admin: true })
    const late = await database.session('late', { admin: true })
    const write = (id: number) =>
      sql`insert into ${quoted(leaf)} (id, at) select ${raw(String(id))}, min(at) from ${quoted(leaf)}`
    const held: Promise<unknown>[] = []
    let [guards, drops] = [0, 0]
    const rotating = rotate(database, table, {
      observer: (event) => {
        if (event.type === 'step finished' && isStep(event.step, 'guard') && ++guards <= 2)
          held.push(holder.query('begin'), holder.query(sql`lock table ${quoted(leaf)} in share update exclusive mode`))
        if (event.type === 'step started' && isStep(event.step, 'drop')) drops++
      },
    })
    await until(() => drops === 1)
    await Promise.all(held.splice(0))
    // A mark, and a snapshot that sees it; the next archive deletes the mark.
    await holder.query(write(9000010))
    await holder.query('commit')
    await late.query('begin isolation level repeatable read')
    await late.query('select from ebb.archived_write')
    await until(() => drops === 2)
    await Promise.all(held.splice(0))
    await late.query(write(9000011))
    await late.query('commit')
    await holder.query('commit')
    expect((await rotating).failed).toEqual([])
    expect((await stored()).at(-1)!.ids).toContain(9000011)
  })

  test('is noticed though the trigger was switched off meanwhile', async ({ database }) => {
    const [, second] = await changing(database, async (session, leaf) => {
      const alter = sql`alter table ${quoted(leaf)}`
      await session.query(sql`${alter} disable trigger all`)
      await session.query(sql`insert into ${quoted(leaf)} (id, at) select 9000001, min(at) from ${quoted(leaf)}`)
      await session.query(sql`${alter} enable always trigger ebb_archived_write`)
    })
    expect(second!.ids).toContain(9000001)
  })

  test('may be a column that is added', async ({ database }) => {
    const [, second] = await changing(database, (session, leaf) =>
      session.query(sql`alter table ${quoted(leaf)} add column late int default ${raw('7')}`),
    )
    expect(second!.receipt.tables[0]!.columns.map(({ name }) => name)).toContain('late')
  })
})
