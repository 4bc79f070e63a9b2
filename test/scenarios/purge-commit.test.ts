import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { CutLine } from '../support/cut-line.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, contentOf, purgeRequest } from '../support/purging.ts'
import { persevere, quietly, written } from '../support/tool.ts'
import { purge } from '../support/commands.ts'

// The moment at which a batch commits: it is done or it is not, and the journal tells which, whoever has heard of it.

const ROWS = 600
const SMALL = { turns: batchesOf(5) }
const request = purgeRequest('odd', { orderBy: 'id' })

/** Every other row is odd. `visits` stands for the table's name. */
async function visits(database: Database, ...more: string[]): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('owner')
  for (const statement of [
    'create table visits (id int primary key, odd boolean not null)',
    `insert into visits select n, n % 2 = 1 from generate_series(1, ${ROWS}) n`,
    ...more,
    'analyze visits',
  ])
    await owner.query(statement.replaceAll('visits', quoted(table).text))
  return table
}

/** The journal has each row that is gone, once. */
async function expectAudited(database: Database, table: TableName): Promise<number> {
  const { rows: left } = await contentOf(database, table)
  const { rows } = await database.admin<{ gone: number }>(
    `select coalesce(sum(rows), 0)::int as gone from ebb.purge_batch`,
  )
  expect(rows[0]?.gone).toBe(ROWS - left)
  return ROWS - left
}

/** What it fails with; tries again while a session that is lost is thought to be at work. */
async function unlessAtWork(command: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    const outcome = await command().catch((error: unknown) => error)
    if (!(outcome instanceof Error && /is at work on/.test(outcome.message))) return outcome
    await setTimeout(50)
  }
}

describe.for(['before the commit', 'after the commit'] as const)('a connection lost %s', (moment) => {
  test('costs no row its journal entry, and no entry its row', async ({ database }) => {
    const table = await visits(database)
    const line = await CutLine.to(database)
    const again = () => purge(line.url, written(table), request, { ...quietly(), ...SMALL })
    let gone = 0
    for (let commits = 8; line.cuts < 4; commits++) {
      line.cutAt(commits, moment)
      const { cuts } = line
      // The server may still be winding up what the line has left behind.
      const lost: unknown = await unlessAtWork(again)
      expect(lost).toMatchObject({ kind: 'try later' })
      expect(line.cuts).toBe(cuts + 1)
      const now = await expectAudited(database, table)
      expect(now).toBeGreaterThanOrEqual(gone)
      gone = now
    }
    expect(gone).toBeGreaterThan(0)
    line.cutAt(Infinity, moment)
    await persevere(again)
    expect(await expectAudited(database, table)).toBe(ROWS / 2)
    expect(await contentOf(database, table, 'not odd')).toMatchObject({ rows: 0 })
  })
})

test('a row rejected by a deferred trigger is set aside, and reported', async ({ database }) => {
  const table = await visits(
    database,
    `create function minds() returns trigger language plpgsql as $$ begin if old.id = 301 then raise 'not this one'; end if; return old; end $$`,
    `create constraint trigger minds after delete on visits deferrable initially deferred for each row execute function minds()`,
  )
  const { figures } = await purge(database.url, written(table), request, { ...quietly(), ...SMALL })
  expect(figures?.refused).toEqual([{ rows: 1, why: expect.stringMatching(/in minds\(\)/) as string }])
  expect(await expectAudited(database, table)).toBe(ROWS / 2 - 1)
  const owner = await database.session('owner')
  await owner.query(sql`drop trigger minds on ${quoted(table)}`.text)
  await purge(database.url, written(table), request, { ...quietly(), ...SMALL })
  expect(await expectAudited(database, table)).toBe(ROWS / 2)
})
