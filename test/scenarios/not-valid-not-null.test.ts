import { describe, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { expectPurged, purgeRequest } from '../support/purging.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { planPartitionOf } from '../support/commands.ts'

// From PostgreSQL 18 on a NOT NULL may be NOT VALID: the column counts as not null, and old rows hold null all the same.
// A walk along its index would miss them.

/** A table with an index on `kind`, which is not null since yesterday and null in some rows. */
async function nullsUnderNotNull(database: Database): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('owner')
  const statements = [
    'create table visits (id int primary key, at timestamptz not null default now(), kind int)',
    `insert into visits select n, now() - n * interval '1 minute', nullif(n % 100, 0) from generate_series(1, 20000) n`,
    'alter table visits add constraint kind_known not null kind not valid',
    'create index on visits (kind)',
    'analyze visits',
  ]
  for (const statement of statements) await owner.query(statement.replaceAll('visits', quoted(table).text))
  return table
}

describe('a NOT NULL that is NOT VALID', () => {
  test.beforeEach(({ database, skip }) => {
    if (database.version < 180_000) skip('it exists from 18 on')
  })

  test('does not hide rows from a purge', async ({ database }) => {
    await expectPurged(database, await nullsUnderNotNull(database), purgeRequest('kind is null'))
  })

  test('prevents a conversion, which says how to validate it', async ({ database }) => {
    const table = await nullsUnderNotNull(database)

    const byTime = await planPartitionOf(database.url, written(table), monthly({ by: 'at' }), quietly())
    expect(byTime.objections).toMatchObject([{ code: 'not-valid:kind_known' }])

    const owner = await database.session('owner')
    await owner.query(`alter table ${quoted(table).text} alter at drop not null`)
    await owner.query(`alter table ${quoted(table).text} add constraint at_known not null at not valid`)
    const plan = await planPartitionOf(database.url, written(table), monthly({ by: 'at' }), quietly())
    expect(plan.objections.map(({ code }) => code).toSorted()).toEqual([
      'key-nullable',
      'not-valid:at_known',
      'not-valid:kind_known',
    ])
    expect(plan.objections.find(({ code }) => code === 'key-nullable')?.fix).toMatch(/validate constraint "at_known"/)
  })
})
