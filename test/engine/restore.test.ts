import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, describe } from 'vitest'
import { sql, raw } from '../../src/sql/sql.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ObjectionsError } from '../../src/errors.ts'
import { ARCHIVE } from '../support/receipts.ts'
import { test, type Database } from '../support/database.ts'
import { planRestoreFrom, restoreFrom, storeRows, type StoredArchive } from '../support/restoring.ts'
import { quietly, written } from '../support/tool.ts'
import { purge } from '../support/commands.ts'
import { purgeRequest } from '../support/purging.ts'
import { status } from '../../src/engine/runs/runs.ts'
import { codes } from '../plan/support/gist.ts'

const VALUES = `n, case n % 4 when 0 then null when 1 then '' when 2 then E'a "b"\\n, \\\\. c' else 'x' || n end, now() - n * interval '1 day', array[n, null], decode(lpad(to_hex(n), 4, '0'), 'hex')`

interface Setting {
  readonly table: TableName
  readonly archive: StoredArchive
  readonly before: string[]
}

/** A table of 100 rows, an archive of 40 of them in several objects, and the 40 deleted. */
async function archived(database: Database): Promise<Setting> {
  const table = database.table('notes')
  const owner = await database.session('setup')
  const name = quoted(table)
  await owner.query(
    sql`create table ${name} (id int generated always as identity primary key, body text, at timestamptz, parts int[], raw bytea, twice int generated always as (id * 2) stored)`
      .text,
  )
  await owner.query(
    sql`insert into ${name} (id, body, at, parts, raw) overriding system value select ${raw(VALUES)} from generate_series(1, 100) n`
      .text,
  )
  const before = await contentOf(database, table)
  const archive = await storeRows(owner, table, { where: 'id <= 40', partBytes: 900 })
  await owner.query(sql`delete from ${name} where id <= 40`.text)
  return { table, archive, before }
}

async function contentOf(database: Database, table: TableName, columns = 't.*'): Promise<string[]> {
  const { rows } = await database.admin<{ row: string }>(
    sql`select row(${raw(columns)})::text as row from ${quoted(table)} t order by id`,
  )
  return rows.map(({ row }) => row)
}

async function runSql(database: Database, statement: string): Promise<void> {
  const owner = await database.session('change')
  await owner.query(statement)
}

describe('rows that were archived and deleted', () => {
  test('come back as they were, each once, however often', async ({ database }) => {
    const { table, archive, before } = await archived(database)

    expect(archive.table.objects.length).toBeGreaterThan(2)
    const { restored, plan } = await restoreFrom(archive, database.url)
    expect(restored).toEqual({ archived: 40, rows: 40, differing: 0 })
    expect(plan.steps).toHaveLength(archive.table.objects.length + 1)
    expect(await contentOf(database, table)).toEqual(before)
    const again = await restoreFrom(archive, database.url)
    expect(again.restored).toEqual({ archived: 40, rows: 0, differing: 0 })
    expect(await contentOf(database, table)).toEqual(before)
  })

  test('come back in part; rows that have come meanwhile stay as they are', async ({ database }) => {
    const { table, archive, before } = await archived(database)
    await runSql(
      database,
      sql`insert into ${quoted(table)} (id, body) overriding system value values (5, 'another')`.text,
    )

    const { restored } = await restoreFrom(archive, database.url, { where: 'id < 10 -- the first' })
    // Object by object, the rows that were not selected count as left, and only 5 differs.
    expect(restored).toEqual({ archived: 40, rows: 8, differing: 1 })
    const there = await contentOf(database, table)
    expect(there).toHaveLength(69)
    expect(there.filter((row) => before.includes(row))).toHaveLength(68)
    expect(there[4]).toMatch(/^\(5,another,/)
  })

  test('come back into a new table, and into one that has changed', async ({ database }) => {
    const { table, archive, before } = await archived(database)
    const aside = { schema: table.schema, name: 'notes_back' }

    expect((await planRestoreFrom(archive, database.url, { into: written(aside) })).steps[0]?.key).toBe('create')
    await restoreFrom(archive, database.url, { into: written(aside), where: 'id <= 7' })
    const same = 't.id, t.body, t.at, t.parts, t.raw, t.id * 2'
    expect(await contentOf(database, aside, same)).toEqual(before.slice(0, 7))

    const name = quoted(table)
    await runSql(
      database,
      sql`alter table ${name} rename body to note; alter table ${name} drop parts; alter table ${name} add more int default 3`
        .text,
    )
    expect(codes(await planRestoreFrom(archive, database.url))).toEqual(['restore-column:parts'])
    await restoreFrom(archive, database.url, { accept: ['restore-column:parts'] })
    const { rows } = await database.admin(sql`select note, more from ${name} where id = 3`)
    expect(rows).toEqual([{ note: 'x3', more: 3 }])
  })
})

test('an object that is not what was archived is refused, those before it are kept, and the restore resumes', async ({
  database,
}) => {
  const { table, archive, before } = await archived(database)
  const folder = join(archive.directory, ARCHIVE)
  const objects = (await readdir(folder)).filter((name) => name.endsWith('.csv.gz')).sort()
  const second = join(folder, objects[1] ?? '')
  const good = await readFile(second)
  await writeFile(second, good.subarray(0, good.length - 9))

  await expect(restoreFrom(archive, database.url)).rejects.toThrow(/is not what was archived/)
  const sofar = (await contentOf(database, table)).length - 60
  expect(sofar).toBe(archive.table.objects[0]?.rows)
  await writeFile(second, good)
  const { restored } = await restoreFrom(archive, database.url)
  expect(restored).toEqual({ archived: 40, rows: 40, differing: 0 })
  expect(await contentOf(database, table)).toEqual(before)
})

test('a damaged removal document stops it before anything is restored', async ({ database }) => {
  const { table, archive } = await archived(database)
  await writeFile(join(archive.directory, ARCHIVE, 'removal.json'), '{"format": 2, "tables": []}')

  await expect(restoreFrom(archive, database.url)).rejects.toThrow(/removal.json is damaged/)
  expect(await contentOf(database, table)).toHaveLength(60)
})

test('restored rows are on hold: no purge removes them before the date, unless that is accepted', async ({
  database,
}) => {
  const { table, archive } = await archived(database)
  await restoreFrom(archive, database.url, { hold: { count: 30, unit: 'day' } })

  const [hold] = (await status(database.url, quietly())).holds
  expect(hold).toMatchObject({ table, bounds: null })
  const request = purgeRequest('id <= 40')
  await expect(purge(database.url, written(table), request, quietly())).rejects.toThrow(ObjectionsError)
  const accept = { ...quietly(), accept: ['hold'] }
  await purge(database.url, written(table), { ...request, accept: ['hold'] }, accept)
  expect(await contentOf(database, table)).toHaveLength(60)
})
