import { expect } from 'vitest'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { parseInterval, type Interval } from '../../src/grid/interval.ts'
import { KEPT_DAYS } from '../../src/journal/prune.ts'
import { keepJournal } from '../../src/journal/retention.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { request as rotation } from '../engine/rotate-support.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { partition } from '../support/commands.ts'
import { monthly, quietly, written } from '../support/tool.ts'

// What is said once for a table holds for every later command, also for one that does not say it.

const SEVEN_YEARS = parseInterval('7 years')

test('a purge is kept as long as was asked for its table, also by commands that do not ask', async ({ database }) => {
  const [table, other] = [await events(database), await events(database, 'others')]
  const [asked, first] = [await purged(database, table, SEVEN_YEARS), await purged(database, other)]
  await ended(database, asked, `${KEPT_DAYS + 1} days`)
  await ended(database, first, `${KEPT_DAYS + 1} days`)
  await ended(database, await copied(database, asked), '7 years 1 hour')
  const almost = await copied(database, asked)
  await ended(database, almost, '7 years -1 hour')

  const [second, third] = [await purged(database, table), await purged(database, other)]
  expect(await runs(database)).toEqual([asked, almost, second, third])
  expect(await column(database, `select count(*)::text from ebb.purge_batch where run_id = ${asked}`)).toEqual(['1'])
})

test('the longest time asked for is in force, and not less than without', async ({ database }) => {
  const table = await events(database)
  const first = await purged(database, table, parseInterval('3 years'))
  const session = await database.session('another command')
  for (const text of ['28 quarters', '2 years']) await keepJournal(session, 'ebb', table, parseInterval(text))
  const kept = await database.admin(
    'select schema_name, table_name, keep::text, recorded_by from ebb.journal_retention',
  )
  expect(kept.rows).toEqual([
    { schema_name: table.schema, table_name: table.name, keep: '7 years', recorded_by: 'ebb_owner' },
  ])

  await database.admin(`update ebb.journal_retention set keep = '1 day'`)
  await ended(database, first, `${KEPT_DAYS - 1} days`)
  const second = await purged(database, table)
  expect(await runs(database)).toEqual([first, second])
})

test('partitions that rotate removed are kept in the journal as long', async ({ database }) => {
  const table = await events(database)
  await partition(database.url, written(table), monthly({ keep: parseInterval('3 months') }), quietly())
  const rotated = (keepJournal?: Interval) =>
    rotate(database.url, rotation({ tables: [table] }), quietly(keepJournal === undefined ? {} : { keepJournal }))
  const line = (name: string, ago: string, of = table.name) =>
    database.admin(`
      insert into ebb.rotation (at, schema_name, table_name, partition_name, action)
      values (now() - interval '${ago}', '${table.schema}', '${of}', '${name}', 'dropped')`)
  await rotated(SEVEN_YEARS)
  await line('eight years ago', '8 years')
  await line('six years ago', '6 years')
  await line('of another table', '6 years', 'another')
  await line('last of another table', '5 years', 'another')
  await line('today', '0 days')

  await rotated()
  const left = await column(database, `select partition_name from ebb.rotation where action = 'dropped' order by at`)
  expect(left).toEqual(['six years ago', 'last of another table', 'today'])
})

test('it is recorded before anything is removed', async ({ database }) => {
  const table = await events(database)
  await purged(database, table)
  await database.admin("alter table ebb.journal_retention add constraint too_long check (keep < interval '1 year')")
  const { rows } = await database.admin<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`.text)
  await expect(purged(database, table, SEVEN_YEARS)).rejects.toThrow(/too_long/)
  expect((await database.admin(sql`select count(*)::int as n from ${quoted(table)}`.text)).rows).toEqual(rows)
})

async function events(database: Database, name = 'events'): Promise<TableName> {
  const table = database.table(name)
  const owner = await database.session('owner')
  const place = quoted(table)
  for (const statement of [
    sql`create table ${place} (id bigint generated always as identity, created_at timestamptz not null default now(), primary key (id))`,
    sql`insert into ${place} (created_at) select now() from generate_series(1, 50)`,
    sql`analyze ${place}`,
  ])
    await owner.query(statement.text)
  return table
}

/** Purges the first row that is left; returns the number of the run. */
async function purged(database: Database, table: TableName, keepJournal?: Interval): Promise<string> {
  const { rows } = await database.admin<{ id: string }>(sql`select min(id) as id from ${quoted(table)}`.text)
  const options = { turns: batchesOf(10), ...(keepJournal === undefined ? {} : { keepJournal }) }
  const { runId } = await purgeRows(database, table, purgeRequest(`id = ${rows[0]?.id}`), options)
  return runId ?? 'none'
}

/** As if it had ended so long ago. */
async function ended(database: Database, id: string, ago: string): Promise<void> {
  await database.admin(`update ebb.run set ended_at = now() - interval '${ago}' where id = ${id}`)
}

/** As if the same had been done again; returns the number of that run. */
async function copied(database: Database, id: string): Promise<string> {
  const { rows } = await database.admin<{ id: string }>(`
    insert into ebb.run (command, schema_name, table_name, request, plan, status, ebb_version)
    select command, schema_name, table_name, request, plan, status, ebb_version from ebb.run where id = ${id}
    returning id::text`)
  return rows[0]?.id ?? 'none'
}

async function runs(database: Database): Promise<string[]> {
  return column(database, 'select id::text from ebb.run order by ebb.run.id')
}

async function column(database: Database, query: string): Promise<string[]> {
  const { rows } = await database.admin<Record<string, string>>(query)
  return rows.map((row) => Object.values(row)[0] ?? '')
}
