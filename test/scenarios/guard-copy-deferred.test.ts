import { expect } from 'vitest'
import { SIZES } from '../../src/engine/copy/sizes.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { contentOf } from '../support/purging.ts'
import { test } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { Rebuilding, RollingBack, Splitting } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { splitOrder } from '../engine/split-support.ts'
import { partition } from '../support/commands.ts'

// Constraints that are put off until the commit, while the last changes are caught up with under the lock of a swap.

test('deferred constraints do not stop a swap, nor a rollback', async ({ database }) => {
  const [table, kinds] = [database.table('events'), database.table('kinds')]
  const owner = await database.session('owner')
  for (const statement of [
    sql`create table ${quoted(kinds)} (id int primary key)`,
    sql`insert into ${quoted(kinds)} select generate_series(1, 10)`,
    sql`create table ${quoted(table)} (id int primary key, kind int not null references ${quoted(kinds)} deferrable initially deferred, place int unique deferrable initially deferred)`,
    sql`insert into ${quoted(table)} select g, g % 10 + 1, g from generate_series(1, 1000) g`,
  ])
    await owner.query(statement.text)
  const reader = await database.session('reader')
  await reader.query(sql`begin; lock table ${quoted(table)} in access share mode`.text)
  const rebuilding = new Rebuilding(database, table, {}, { copySizes: SIZES })
  await rebuilding.began('swap')
  await rebuilding.waits(/./)
  await owner.query(sql`update ${quoted(table)} set place = 1001 - place, kind = 3 where id in (1, 1000)`.text)
  await owner.query(sql`insert into ${quoted(table)} values (2000, 4, 2000)`.text)
  await reader.query('commit')
  const { runId } = await rebuilding.end()
  expect(await contentOf(database, table)).toMatchObject({ rows: 1001 })

  await reader.query(sql`begin; lock table ${quoted(table)} in access share mode`.text)
  const back = new RollingBack(database, runId, { copySizes: SIZES })
  await back.began('swap-back')
  await back.waits(/./)
  await owner.query(sql`update ${quoted(table)} set place = 1001 - place, kind = 5 where id in (2, 999)`.text)
  await owner.query(sql`insert into ${quoted(table)} values (2001, 4, 2001)`.text)
  await reader.query('commit')
  await back.end()
  expect(await contentOf(database, table, 'place = 1001 - id or id >= 2000')).toMatchObject({ rows: 996 })
  expect(await contentOf(database, table)).toMatchObject({ rows: 1002 })
})

test('deferred constraints of partitions do not stop an exchange, nor a rollback', async ({ database }) => {
  const { events } = await createEvents(database, { rows: 1_000 })
  const kinds = database.table('kinds')
  const owner = await database.session('owner')
  await partition(database.url, written(events), monthly(), quietly())
  for (const statement of [
    sql`create table ${quoted(kinds)} (kind text primary key)`,
    sql`insert into ${quoted(kinds)} select distinct kind from ${quoted(events)} union select 'marked'`,
    sql`alter table ${quoted(events)} add foreign key (kind) references ${quoted(kinds)} deferrable initially deferred`,
  ])
    await owner.query(statement.text)
  const before = await contentOf(database, events)
  const write = (id: number) => owner.query(sql`update ${quoted(events)} set kind = 'marked' where id = ${id}`)

  const reader = await database.session('reader')
  await reader.query(sql`begin; lock table ${quoted(events)} in access share mode`.text)
  const splitting = new Splitting(database, events, splitOrder({ noArchive: true }), { copySizes: SIZES })
  await splitting.began('swap')
  await splitting.waits(/./)
  await write(7)
  await reader.query('commit')
  const { runId } = await splitting.end()
  expect(await contentOf(database, events, "kind <> 'marked'")).toMatchObject({ rows: 1 })

  await reader.query(sql`begin; lock table ${quoted(events)} in access share mode`.text)
  const back = new RollingBack(database, runId, { copySizes: SIZES })
  await back.began('swap-back')
  await back.waits(/./)
  await write(9)
  await reader.query('commit')
  await back.end()
  expect(await contentOf(database, events, "kind <> 'marked'")).toMatchObject({ rows: 2 })
  expect(await contentOf(database, events)).toMatchObject({ rows: before.rows })
})
