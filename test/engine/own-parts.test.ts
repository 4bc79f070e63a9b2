import { describe, expect } from 'vitest'
import { readPartitionedTable } from '../../src/catalog/partitions/partitioned-table.ts'
import { withSession } from '../../src/db/session.ts'
import { commonParts } from '../../src/plan/table/own-parts.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, raw, sql } from '../../src/sql/sql.ts'
import { split } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { quietly, written } from '../support/tool.ts'
import { addMonths, monthlyEvents, planOf, rotateOne } from './rotate-support.ts'
import { splitOrder } from './split-support.ts'

// A set that somebody else has made, of whose partitions each has what the table itself has not.

describe('new partitions get the properties of their siblings', () => {
  test('when created ahead', async ({ database }) => {
    const table = await furnished(database, 'events', -1, 1)
    const before = await wholeOf(database, table)
    expect(before.parts).toHaveLength(11)

    const { failed, created } = await rotateOne(database, table)
    expect(failed).toEqual([])
    expect(created).toHaveLength(3)
    expect(await wholeOf(database, table)).toEqual(before)
    // What this was all about: a second row with the same id.
    const owner = await database.session('owner')
    const insert = () =>
      owner.query(sql`insert into ${quoted(table)} (id, at, b) values (7, now() + interval '2 months', 1)`)
    await insert()
    await expect(insert()).rejects.toThrow(/duplicate key/)
    expect((await owner.query('select n from fired')).rows).toEqual([{ n: 1 }])
  })

  test('when a wide one is split', async ({ database }) => {
    const table = await furnished(database, 'events', -1, 1, true)
    const before = await wholeOf(database, table)
    const owner = await database.session('owner')
    await owner.query('truncate fired')

    await split(database.url, written(table), splitOrder({ every: MONTH, noArchive: true }), quietly())
    expect(await wholeOf(database, table)).toEqual(before)
    expect((await owner.query('select n from fired')).rows).toEqual([])
  })

  test('and differing siblings are an objection', async ({ database }) => {
    const table = await furnished(database, 'events', -1, 1)
    const set = await read(database, table)
    await database.admin(sql`alter table ${quoted(set.partitions[0]!.name)} drop constraint positive`)
    const { objections, create } = await planOf(database, table)
    expect(objections.map(({ code }) => code)).toEqual(['siblings:check'])
    expect(create).toEqual([])
    await rotateOne(database, table, { accept: ['siblings:check'] })
    expect((await read(database, table)).partitions).toHaveLength(5)
  })
})

const MONTH = { kind: 'interval', interval: { count: 1, unit: 'month' } } as const

/** `wide`: the first of the partitions is three months wide. */
async function furnished(database: Database, name: string, from: number, to: number, wide = false): Promise<TableName> {
  const columns = raw('id bigint not null default 0, at timestamptz not null, b int default 3, unique (at, id)')
  const table = await monthlyEvents(database, from, to, name, columns)
  const owner = await database.session('owner')
  const reader = await database.role('reader')
  if (wide) await addMonths(owner, database, table, from - 3, from)
  await owner.query(sql`delete from ${quoted(table)}`)
  const schema = table.schema
  await owner.query(sql`create table ${ident(schema, 'users')} (id int primary key)`)
  await owner.query(sql`insert into ${ident(schema, 'users')} values (1), (3)`)
  await owner.query('create table fired (n int)')
  await owner.query(
    `create function fire() returns trigger language plpgsql as 'begin insert into public.fired values (new.b); return new; end'`,
  )
  for (const { name: leaf } of (await read(database, table)).partitions)
    for (const statement of [
      'alter table % add primary key (id) with (fillfactor = 80)',
      'alter table % add unique (id, b) deferrable',
      'alter table % add constraint positive check (b > 0)',
      `alter table % add constraint of_user foreign key (b) references ${ident(schema, 'users').text}`,
      'alter table % alter b set default 1, alter b set not null',
      'create index on % (lower(b::text)) where b > 1',
      'create trigger mark after insert or update of b on % for each row when (new.b = 1) execute function public.fire()',
      'alter table % enable always trigger mark',
      `grant select, insert (b) on % to ${ident(reader).text}`,
      'alter table % set (fillfactor = 70)',
      'alter table % replica identity full',
      `create policy own on % for select to ${ident(reader).text} using (b > 1)`,
    ])
      await owner.query(statement.replaceAll('%', quoted(leaf).text))
  await owner.query(sql`insert into ${quoted(table)} (id, at) select extract(epoch from p.at), p.at
    from (select now() - interval '1 hour' as at) p`)
  if (wide)
    await owner.query(
      sql`insert into ${quoted(table)} (id, at) select g, now() - make_interval(months => 2) - g * interval '1 day' from generate_series(1, 40) g`,
    )
  return table
}

function read(database: Database, table: TableName) {
  return withSession(database.url, 'look', async (session) => {
    const set = await readPartitionedTable(session, table)
    if (set === undefined) throw new Error('no set')
    return set
  })
}

/** What all partitions have, apart from names; and how they are stored. */
async function wholeOf(database: Database, table: TableName) {
  const set = await read(database, table)
  const kinds = commonParts(set).map((part) => ({ ...part, name: '' }))
  const stored = set.partitions.map(({ options, identity }) => JSON.stringify({ options, identity }))
  return { parts: kinds.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)), stored: [...new Set(stored)] }
}
