import { expect } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { partition, planPartitionCopyOf, planPartitionOf, planSplitOf } from '../support/commands.ts'
import { test } from '../support/database.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { splitOrder } from './split-support.ts'

test('a trigger that sets the key is reported beforehand, and can be accepted', async ({ database }) => {
  const table = database.table('visits')
  const owner = await database.session('owner')
  await owner.query(
    sql`create table ${quoted(table)} (id bigint generated always as identity primary key, at timestamptz not null, b text)`,
  )
  await owner.query(
    sql`insert into ${quoted(table)} (at) select now() - g * interval '1 day' from generate_series(1, 60) g`,
  )
  const body = (text: string) =>
    owner.query(`create or replace function public.fill() returns trigger language plpgsql as $$ begin ${text} end $$`)
  await body('new.at := coalesce(new.at, now()); return new;')
  await owner.query(
    sql`create trigger fill before insert on ${quoted(table)} for each row execute function public.fill()`,
  )

  const request = monthly({ by: 'at', keep: null })
  const copying = { ...request, transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const
  const planned = async () => [
    await planPartitionOf(database.url, written(table), request, quietly()),
    await planPartitionCopyOf(database.url, written(table), copying, quietly()),
  ]
  const codes = async () => (await planned()).map(({ objections }) => objections.map(({ code }) => code).join())
  expect(await codes()).toEqual(['key-trigger:fill', 'key-trigger:fill'])

  await body(`new.b := 'x'; return new;`)
  expect(await codes()).toEqual(['', ''])
  await body(`raise debug '%', tg_table_name; return new;`)
  for (const { notes } of await planned())
    expect(notes.join()).toContain('trigger fill asks for the table it fires for')

  // Accepted: whoever writes has always given it a value.
  await body('new.at := coalesce(new.at, now()); return new;')
  await partition(database.url, written(table), { ...request, accept: ['key-trigger:fill'] }, quietly())
  await owner.query(sql`insert into ${quoted(table)} (at) values (now())`)
  await expect(owner.query(sql`insert into ${quoted(table)} (b) values ('x')`)).rejects.toThrow(/no partition/)

  const split = async (accept: string[]) =>
    (await planSplitOf(database.url, written(table), splitOrder({ noArchive: true }), quietly({ accept }))).objections
  expect((await split([])).map(({ code }) => code)).toEqual(['key-trigger:fill'])
  expect(await split(['key-trigger:fill'])).toEqual([])
})
