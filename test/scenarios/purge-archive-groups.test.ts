import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { verifyArchive } from '../../src/library/archives.ts'
import type { ArchiveRequest } from '../../src/plan/archive/request.ts'
import type { ArchivedTable } from '../../src/plan/archive/receipt.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archivesIn } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { startTool } from '../support/process.ts'
import { contentOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { restoreFrom } from '../support/restoring.ts'
import { persevere } from '../support/tool.ts'

// Groups without activity: each large one is in objects of its own, of which the receipt says whose they are. So one
// group is restored without reading the others.

/** Of 1.0 are 150 rows, of 2.00 are 100; of 3 are 60 written 3.0, and 60 written 3.00; and 30 groups have a row each. */
async function visits(database: Database, name = 'visits'): Promise<TableName> {
  const table = database.table(name)
  const place = quoted(table)
  const owner = await database.session('setup')
  for (const statement of [
    sql`create table ${place} (id int primary key, g numeric, seen timestamptz not null, t text)`,
    sql`insert into ${place} select n, case when n <= 150 then 1.0 when n <= 250 then 2.00 when n <= 310 then 3.0 when n <= 370 then 3.00 else n end,
      now() - interval '1 year', 'visit ' || n || E'\n"' from generate_series(1, 400) n`,
    sql`insert into ${place} values (1000, null, now() - interval '1 year', 'of none'), (1001, 7, now(), 'active'), (1002, 7, now() - interval '1 year', 'active')`,
    sql`create index on ${place} (g, seen)`,
    sql`analyze ${place}`,
  ])
    await owner.query(statement.text)
  return table
}

function request(uri: string, changes: Partial<ArchiveRequest> = {}): PurgeRequest {
  const rows = { kind: 'stale', group: 'g', activity: 'seen', idle: { count: 90, unit: 'day' } } as const
  return purgeRequest(rows, { noArchive: false, archive: archiveTo(uri, { partBytes: 3500, ...changes }) })
}

/** How many rows the objects of each group have, and the rest. */
function rowsByGroup({ objects }: ArchivedTable): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {}
  for (const { group, rows } of objects) sums[group ?? 'others'] = (sums[group ?? 'others'] ?? 0) + rows
  return sums
}

async function onlyArchive(path: string) {
  const { archives, leftovers } = await archivesIn(path)
  expect(leftovers).toEqual([])
  expect(archives).toHaveLength(1)
  const { receipt, removal } = archives[0]!
  return { receipt, removal, table: receipt.tables[0]! }
}

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeAll(async () => void (folder = await archiveFolder()))
afterAll(() => folder.close())

async function inFolder<T>(name: string, work: (path: string, uri: string) => Promise<T>): Promise<T> {
  await mkdir(join(folder.path, name))
  return work(join(folder.path, name), `${folder.uri}/${name}`)
}

test('large groups are in objects of their own, and one is restored from its own alone', async ({ database }) => {
  const table = await visits(database)
  const before = await contentOf(database, table)
  await inFolder('groups', async (path, uri) => {
    const { archive } = await purgeRows(database, table, request(uri))
    const { receipt, removal, table: archived } = await onlyArchive(path)
    expect(removal?.tables[0]).toMatchObject({ archived: 400, deleted: 400, kept: 0 })
    expect(archived.groupedBy).toBe('g')
    const { others, ...groups } = rowsByGroup(archived)
    const three = Object.keys(groups).find((group) => group.startsWith('3'))!
    expect(groups).toEqual({ '1.0': 150, '2.00': 100, [three]: 120 })
    expect(others).toBe(30)
    for (const object of archived.objects.filter(({ group }) => group != null)) {
      const rows = await archivedRows(path, { id: receipt.id, tables: [{ ...archived, objects: [object] }] })
      expect(
        rows.filter((row) => /^\d+,/.test(row)).every((row) => Number(row.split(',')[1]) === Number(object.group)),
      ).toBe(true)
      expect(object.name).toMatch(/^public\.visits-\d{5}\.csv\.gz$/)
    }
    expect(await verifyArchive(archive!.uri)).toMatchObject({ differences: [], rows: 400 })

    const away = (names: readonly string[], there: string, here: string) =>
      Promise.all(
        names.map((name) =>
          rename(join(path, receipt.id, `${name}${there}`), join(path, receipt.id, `${name}${here}`)),
        ),
      )
    const restored = async (where: string) =>
      (await restoreFrom({ receipt: archive!.uri }, database.url, { where })).restored.rows
    const needless = archived.objects.filter(({ group }) => group !== '2.00').map(({ name }) => name)
    await away(needless, '', '.away')
    expect(await restored("g in (2, 2.0) and t <> 'x'")).toBe(100)
    await away(needless, '.away', '')
    expect(await restored('g = 3')).toBe(120)
    expect(await restored('g < 3 or g > 3')).toBe(180)
    expect(await contentOf(database, table)).toEqual(before)
    await away(needless, '', '.away')
    await expect(restored('g < 2')).rejects.toThrow('there is no object')
  })
})

test('the same in Parquet, also where a value of a group makes the archive begin again', async ({ database }) => {
  const table = await visits(database)
  // It is stored as text, and so the column is in all objects.
  await database.admin(sql`update ${quoted(table)} set seen = '-infinity' where id = 200`)
  const before = await contentOf(database, table)
  await inFolder('parquet', async (path, uri) => {
    const { archive } = await purgeRows(database, table, request(uri, { format: 'parquet', partBytes: 6_000 }))
    const { receipt, removal, table: archived } = await onlyArchive(path)
    expect(removal?.tables[0]).toMatchObject({ archived: 400, deleted: 400, kept: 0 })
    expect(rowsByGroup(archived)).toMatchObject({ '1.0': 150, '2.00': 100, others: 30 })
    expect(await verifyArchive(archive!.uri)).toMatchObject({ differences: [], rows: 400 })

    const restored = async (where: string | null) =>
      (await restoreFrom({ receipt: archive!.uri }, database.url, { where })).restored.rows
    const needless = archived.objects.flatMap(({ name, group }) =>
      group === '2.00' ? [] : [join(path, receipt.id, name)],
    )
    for (const file of needless) await rename(file, `${file}.away`)
    expect(await restored('g = 2')).toBe(100)
    for (const file of needless) await rename(`${file}.away`, file)
    expect(await restored(null)).toBe(300)
    expect(await contentOf(database, table)).toEqual(before)
  })
})

test('what is encrypted does not say its groups; small tables and small groups are in common objects', async ({
  database,
}) => {
  const table = await visits(database)
  await inFolder('encrypted', async (path, uri) => {
    const recipient = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
    await purgeRows(database, table, request(uri, { encryptTo: [recipient] }))
    const { table: archived } = await onlyArchive(path)
    expect(rowsByGroup(archived)).toEqual({ others: 400 })
    expect(archived.objects.some(({ rows }) => rows === 30)).toBe(true)
  })
  const another = await visits(database, 'again')
  await inFolder('small', async (path, uri) => {
    await purgeRows(database, another, request(uri, { partBytes: 1e6 }))
    const { table: archived } = await onlyArchive(path)
    expect(archived.objects).toMatchObject([{ rows: 400 }])
    expect(rowsByGroup(archived)).toEqual({ others: 400 })
  })
})

test('killed while groups are archived, it begins their archive again, and each row is in one', async ({
  database,
}) => {
  const [table, counted] = [await visits(database), await visits(database, 'counted')]
  const before = await contentOf(database, table)
  await inFolder('killed', async (path, uri) => {
    await inFolder('counted', async (_, elsewhere) => {
      // The first run creates the journal.
      await purgeRows(database, await visits(database, 'first'), request(elsewhere))
      const whole = startTool({ command: 'purge', url: database.url, table: counted, purge: request(elsewhere) })
      expect(await whole.end()).toBe(0)
      const [started = NaN, finished = NaN] = ['step started', 'step finished'].map(
        (type) => whole.said.find((said) => said.type === type && said.key === 'archive')?.statements,
      )
      const dieAtStatement = { number: Math.floor(started + (finished - started) * 0.4), afterMs: 1 }
      const killed = startTool({ command: 'purge', url: database.url, table, purge: request(uri), dieAtStatement })
      expect(await killed.end()).toBe('SIGKILL')
      expect((await archivesIn(path)).archives).toEqual([])
      expect(await contentOf(database, table)).toEqual(before)
    })
    await persevere(() => purgeRows(database, table, request(uri)))
    const { receipt, removal } = await onlyArchive(path)
    expect(removal?.tables[0]).toMatchObject({ archived: 400, deleted: 400 })
    await restoreFrom({ receipt: `${uri}/${receipt.id}/receipt.json` }, database.url)
    expect(await contentOf(database, table)).toEqual(before)
  })
})
