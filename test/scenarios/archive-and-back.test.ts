import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import type { Event } from '../../src/events.ts'
import { sql } from '../../src/sql/sql.ts'
import { isThere, leafOf, monthlyEvents, monthsOf, rotateOne } from '../engine/rotate-support.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { purgeRequest, purgeRows } from '../support/purging.ts'
import { planRestoreFrom, restoreFrom } from '../support/restoring.ts'
import { codes } from '../plan/support/gist.ts'

// Rows are archived, removed and restored: the table is as it was before.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

async function receipts(): Promise<{ readonly receipt: string }[]> {
  const files = await readdir(folder.path, { recursive: true })
  const found = files.filter((file) => file.endsWith('receipt.json')).sort()
  return found.map((file) => ({ receipt: pathToFileURL(join(folder.path, file)).href }))
}

async function contentIn(database: Database, table: TableName): Promise<string[]> {
  const { rows } = await database.admin<{ row: string }>(
    sql`select (t.*)::text as row from ${quoted(table)} t order by id`,
  )
  return rows.map(({ row }) => row)
}

/** Engines make a column of what the folders say, and have the others as they were. */
async function expectFoundByDuckDb(): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const all = `read_parquet('${folder.path}/*/*/*/*.parquet', hive_partitioning = true)`
  const query = `select at_from::varchar, min("at")::date >= at_from, typeof(any_value("at")) from ${all} group by 1, at_from order by 1`
  const found = (await connection.runAndReadAll(query)).getRowsJson()
  expect(found[0]).toEqual([expect.stringMatching(/^\d{4}-\d\d-01$/), true, 'TIMESTAMP WITH TIME ZONE'])
  connection.closeSync()
  instance.closeSync()
}

const FORMATS = ['csv', 'parquet'] as const

test.for(FORMATS)(
  'what a purge has archived and not removed is not restored, all else is: %s',
  async (format, { database }) => {
    const table = database.table('visits')
    const owner = await database.session('setup')
    const name = quoted(table)
    await owner.query(sql`create table ${name} (id bigint primary key, t text, at timestamptz)`.text)
    await owner.query(sql`insert into ${name} select n, 'visit ' || n, now() from generate_series(1, 300) n`.text)
    // Late in the archive: Parquet begins again.
    await owner.query(sql`update ${name} set at = 'infinity' where id = 300`.text)
    const before = await contentIn(database, table)

    // Between archive and delete one row is deleted by others, and one is changed.
    const to = archiveTo(folder.uri, { format, partBytes: 1_000 })
    const request = purgeRequest('id % 3 = 0', { noArchive: false, archive: to })
    const stop = new AbortController()
    const observer = (event: Event) => {
      if (event.type === 'step started' && event.step.key === 'purge') stop.abort()
    }
    await expect(purgeRows(database, table, request, { signal: stop.signal, observer })).rejects.toThrow(/stopped/)
    await owner.query(sql`delete from ${name} where id = 6`.text)
    await owner.query(sql`update ${name} set t = 'changed' where id = 9`.text)
    await purgeRows(database, table, request)
    expect(await contentIn(database, table)).toHaveLength(201)

    const [archive] = await receipts()
    const objects = (await readdir(folder.path, { recursive: true })).filter(
      (file) => file.endsWith(format) || file.endsWith('.gz'),
    )
    expect(new Set(objects.map((file) => dirname(file))).size).toBe(1)
    const { restored } = await restoreFrom(archive!, database.url)
    expect(restored).toMatchObject({ archived: 100, rows: 98, present: 0, differing: 0, refused: 0 })
    const after = await contentIn(database, table)
    expect(after.filter((row) => !row.startsWith('(9,'))).toEqual(before.filter((row) => !/^\([69],/.test(row)))
    expect(after.filter((row) => row.startsWith('(9,changed'))).toHaveLength(1)
  },
)

test.for(FORMATS)(
  'a partition that was archived and dropped comes back as one, on hold, and goes again when that is accepted: %s',
  async (format, { database }) => {
    const table = await monthlyEvents(database, -5, 3)
    const before = await contentIn(database, table)
    const old = leafOf(database, table, -5)
    const rotated = {
      keep: '2 months',
      archive: archiveTo(folder.uri, { format, hive: format === 'parquet' }),
      noArchive: false,
    }
    await rotateOne(database, table, rotated)
    if (format === 'parquet') await expectFoundByDuckDb()
    expect(await monthsOf(database, table)).not.toContain(-5)

    const all = await receipts()
    const plan = await planRestoreFrom(all[0]!, database.url)
    expect(codes(plan)).toEqual(['restore-partition'])
    const hold = { count: 30, unit: 'day' } as const
    for (const archive of all) await restoreFrom(archive, database.url, { attach: true, hold })
    expect(await contentIn(database, table)).toEqual(before)
    const { rows } = await database.admin<{ action: string; same: boolean }>(
      sql`select action, from_bound = first_value(from_bound) over (order by id) as same from ebb.rotation
        where partition_name = ${old.name} order by id`,
    )
    expect(rows.map(({ action }) => action).at(-1)).toBe('created')
    expect(rows.every(({ same }) => same)).toBe(true)

    const { skipped } = await rotateOne(database, table, rotated)
    expect(skipped.map(({ reason }) => reason)).toContainEqual(
      expect.stringContaining('restored rows are on hold until'),
    )
    expect(await contentIn(database, table)).toEqual(before)
    await rotateOne(database, table, { ...rotated, accept: ['hold'] })
    expect(await isThere(database, old)).toBe(false)
  },
)
