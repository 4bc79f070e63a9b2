import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect } from 'vitest'
import { archive } from '../../src/engine/commands/archive.ts'
import { carryOut } from '../../src/engine/run.ts'
import { readingSettings } from '../../src/plan/archive/settings.ts'
import { quoted } from '../../src/sql/names.ts'
import { ident, literal, sql } from '../../src/sql/sql.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { test } from '../support/database.ts'
import { restoreFrom } from '../support/restoring.ts'
import { quietly, written } from '../support/tool.ts'

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

// `-1 2:03:04` is minus one day and two hours in the style of the standard; elsewhere the hours are added.
test('values are read under the settings under which they were written', async ({ database }) => {
  const table = database.table('spans')
  const name = quoted(table)
  await database.admin(
    sql`alter role ${ident(new URL(database.url).username)} in database ${ident(database.name)} set intervalstyle = ${literal('sql_standard')}`
      .text,
  )
  const owner = await database.session('owner')
  await owner.query(sql`create table ${name} (id int primary key, span interval, at timestamptz)`.text)
  await owner.query(
    sql`insert into ${name} values (1, '-1 day -2:03:04', now()), (2, '1 year -3 days 4:05:06', null), (3, '-1 day +2:03:04', 'infinity')`
      .text,
  )
  const content = () =>
    owner.query(sql`select id, extract(epoch from span)::text as span, at::text from ${name} order by id`)
  const before = (await content()).rows
  const order = { where: 'id > 0', to: archiveTo(folder.uri) }
  const { receipt } = await carryOut(database.url, written(table), archive, order, quietly())
  await owner.query(sql`truncate ${name}`.text)

  await restoreFrom({ receipt: receipt.uri }, database.url)
  expect((await content()).rows).toEqual(before)
  const stored = JSON.parse(await readFile(fileURLToPath(receipt.uri), 'utf8')) as StoredReceipt
  expect(stored.tables[0].reading.copy[0]).toBe("set IntervalStyle to 'sql_standard'")
})

test('a receipt says neither where functions are looked up, nor what is read as null', () => {
  const settings = { IntervalStyle: 'iso_8601', search_path: 'theirs, pg_catalog', array_nulls: 'off' }
  expect(readingSettings({ settings })).toEqual({ IntervalStyle: 'iso_8601' })
})

interface StoredReceipt {
  readonly tables: readonly [{ readonly reading: { readonly copy: readonly string[] } }]
}
