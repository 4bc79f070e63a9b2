import { expect } from 'vitest'
import { abandon } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest, Rebuilding } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { planRebuildOf } from '../support/commands.ts'

// Rows that refer to rows which a rebuild leaves out would refer to nothing, and
// their foreign key could not be validated after the swap.

/** Orders 1 to 100, of which those above 50 have items. `a` and `b` are the key, `keep` may be null. */
async function shop(database: Database, { self = false } = {}) {
  const [orders, items] = [database.table('orders'), database.table('items')]
  const app = await database.session('app')
  const above = self ? sql`, a_up int, b_up text, foreign key (a_up, b_up) references ${quoted(orders)}` : sql``
  await app.query(sql`create table ${quoted(orders)} (a int, b text, keep boolean, primary key (a, b)${above})`)
  await app.query(
    sql`insert into ${quoted(orders)} select n, n::text, case when n > 50 then true end from generate_series(1, 100) n`,
  )
  await app.query(
    sql`create table ${quoted(items)} (a int, "the b" text, keep boolean, foreign key ("the b", a) references ${quoted(orders)} (b, a))`,
  )
  await app.query(sql`insert into ${quoted(items)} select n, n::text from generate_series(51, 100) n`)
  return { app, orders, items }
}

async function codes(database: Database, table: TableName): Promise<string[]> {
  const plan = await planRebuildOf(database.url, written(table), rebuildRequest({ keep: 'keep' }), quietly())
  return plan.objections.map(({ code }) => code.replace(/:.*\./, ':'))
}

test('rows of other tables that reference rows left out are an objection', async ({ database }) => {
  const { app, orders, items } = await shop(database)
  expect(await codes(database, orders)).toEqual([])
  await app.query(sql`insert into ${quoted(items)} values (1, '1')`)
  expect(await codes(database, orders)).toEqual([expect.stringMatching(/^referred:/)])
  await app.query(sql`update ${quoted(items)} set "the b" = null where a = 1`)
  expect(await codes(database, orders)).toEqual([])
})

test('kept rows that reference rows left out of the same table are one, too', async ({ database }) => {
  const { app, orders } = await shop(database, { self: true })
  await app.query(sql`update ${quoted(orders)} set a_up = 2, b_up = '2' where a = 1`) // goes as a whole
  await app.query(sql`update ${quoted(orders)} set a_up = 52, b_up = '52' where a = 51`) // stays as a whole
  expect(await codes(database, orders)).toEqual([])
  await app.query(sql`update ${quoted(orders)} set a_up = 2, b_up = '2' where a = 52`)
  expect(await codes(database, orders)).toEqual([expect.stringMatching(/^referred:/)])
})

test('if the columns of a foreign key have different collations, rows are compared as by the constraint', async ({
  database,
}) => {
  const [labels, notes] = [database.table('labels'), database.table('notes')]
  const app = await database.session('app')
  await app.query(sql`create table ${quoted(labels)} (code text collate "C" primary key, keep boolean)`)
  await app.query(sql`create table ${quoted(notes)} (code text collate "POSIX" references ${quoted(labels)})`)
  await app.query(sql`insert into ${quoted(labels)} values ('kept', true), ('left out', false)`)
  await app.query(sql`insert into ${quoted(notes)} values ('kept')`)
  expect(await codes(database, labels)).toEqual([])
  await app.query(sql`insert into ${quoted(notes)} values ('left out')`)
  expect(await codes(database, labels)).toEqual([expect.stringMatching(/^referred:/)])
})

test('one added during the copy stops it before the swap, and nothing is lost', async ({ database }) => {
  const { app, orders, items } = await shop(database)
  const rebuilding = new Rebuilding(database, orders, { keep: 'keep' })
  await rebuilding.began('copy')
  await app.query(sql`insert into ${quoted(items)} values (1, '1')`)
  await expect(rebuilding.end()).rejects.toThrow(/refer to rows that are left out/)
  await abandon(database.url, { table: orders }, quietly())
  expect((await app.query(sql`select from ${quoted(orders)}`)).rowCount).toBe(100)

  await app.query(sql`delete from ${quoted(items)} where a = 1`)
  await new Rebuilding(database, orders, { keep: 'keep' }).end()
  expect((await app.query(sql`select from ${quoted(orders)}`)).rowCount).toBe(50)
  await expect(app.query(sql`insert into ${quoted(items)} values (1, '1')`)).rejects.toThrow(/foreign key/)
})
