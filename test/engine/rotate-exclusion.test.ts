import { describe, expect, onTestFinished } from 'vitest'
import { reattach } from '../../src/engine/commands/reattach.ts'
import { literal, raw, sql } from '../../src/sql/sql.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { countOf, leafOf, monthlyEvents, monthsOf, options, rotateOne } from './rotate-support.ts'

// PostgreSQL never takes an index by which rows exclude each other for the part of another: attaching a table that has
// the same makes a second one, or fails where it is a primary key.

const KINDS = [
  ['EXCLUDE', 170_000, 'exclude using btree (id with =, at with =)'],
  ['a primary key without overlaps', 180_000, 'primary key (at, during without overlaps)'],
  ['a unique constraint without overlaps', 180_000, 'unique (at, during without overlaps)'],
] as const

async function excluding(database: Database, constraint: string): Promise<TableName> {
  await database.admin('create extension if not exists btree_gist')
  const columns = `id bigint generated always as identity, at timestamptz not null, token text,
    during int4range not null default int4range(1, 2), ${constraint}`
  return monthlyEvents(database, -4, 1, 'events', raw(columns))
}

/** How many constraints of the kind each table has: one. */
async function expectOneEach(database: Database, ...tables: TableName[]): Promise<void> {
  for (const table of tables) {
    const { rowCount } = await database.admin(
      sql`select from pg_index where indrelid = ${literal(quoted(table).text)}::regclass and indisexclusion`,
    )
    expect([table.name, rowCount]).toEqual([table.name, 1])
  }
}

describe.for(KINDS)('a set with %s', ([, version, constraint]) => {
  test('gets partitions with one index of it each', async ({ database, skip }) => {
    if (database.version < version) skip('another version')
    const table = await excluding(database, constraint)
    const { created, failed } = await rotateOne(database, table)
    expect(failed).toEqual([])
    expect(created.length).toBeGreaterThan(0)
    await expectOneEach(database, ...created.map(({ partition }) => partition))
  })

  test('has expired partitions truncated', async ({ database, skip }) => {
    if (database.version < version) skip('another version')
    const table = await excluding(database, constraint)
    const folder = await archiveFolder()
    onTestFinished(folder.close)
    const archive = archiveTo(folder.uri)
    const report = await rotateOne(database, table, { keep: '3 months', retire: 'truncate', noArchive: false, archive })
    expect(report.failed).toEqual([])
    expect(report.retired.map(({ outcome }) => outcome)).toEqual(['truncated'])
    await expectOneEach(database, leafOf(database, table, -4))
  })

  test('takes a detached partition back', async ({ database, skip }) => {
    if (database.version < version) skip('another version')
    const table = await excluding(database, constraint)
    const old = leafOf(database, table, -4)
    await rotateOne(database, table, { keep: '3 months', grace: '7 days' })
    expect(await monthsOf(database, table)).not.toContain(-4)
    await reattach(database.url, old, { hold: { count: 30, unit: 'day' }, accept: [] }, options())
    expect(await monthsOf(database, table)).toContain(-4)
    expect(await countOf(database, old)).toBe(1)
    await expectOneEach(database, old)
  })
})
