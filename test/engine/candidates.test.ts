import { Writable } from 'node:stream'
import { describe, expect } from 'vitest'
import {
  approveCandidates,
  candidateSets,
  dropCandidates,
  exportCandidates,
  sampleCandidates,
} from '../../src/engine/purge/candidates/review.ts'
import { type CandidatesResult } from '../../src/engine/commands/candidates.ts'
import type { PurgeResult } from '../../src/engine/commands/purge.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { Event } from '../../src/events.ts'
import { batchStatement } from '../../src/plan/purge/batch.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, candidatesOf, contentOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { isWaiting, until } from '../support/until.ts'
import { planCandidatesOf, planPurgeOf, writeCandidates } from '../support/commands.ts'

const SMALL = { turns: batchesOf(70) }

async function visits(database: Database, rows = 1000, columns = ''): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('setup')
  const place = quoted(table)
  await owner.query(
    sql`create table ${place} (id bigint primary key, t text, amount numeric, at timestamptz${raw(columns)})`.text,
  )
  await owner.query(
    sql`insert into ${place} select n, 'visit ' || n, n / 10.0, now() - n * interval '1 minute' from generate_series(1, ${raw(String(rows))}) n`
      .text,
  )
  await owner.query(sql`analyze ${place}`.text)
  return table
}

function write(
  database: Database,
  table: TableName,
  where: string,
  options: Partial<EngineOptions> = SMALL,
): Promise<CandidatesResult> {
  return writeCandidates(database.url, written(table), { where }, quietly(options))
}

function purgeSet(
  database: Database,
  table: TableName,
  { runId }: CandidatesResult,
  options: Partial<EngineOptions> = SMALL,
): Promise<PurgeResult> {
  const candidates = candidatesOf(runId)
  return purgeRows(database, table, purgeRequest(candidates), options)
}

describe('a candidate set', () => {
  test('contains the keys of the matching rows, and locks none of them', async ({ database }) => {
    const table = await visits(database)
    const before = await contentOf(database, table)
    const plan = await planCandidatesOf(database.url, written(table), { where: 'id % 3 = 0' }, quietly())
    expect(plan.objections).toEqual([])
    expect(await candidateSets(database.url, quietly())).toEqual([])

    const result = await write(database, table, 'id % 3 = 0')
    expect(result.set).toMatchObject({ rows: 333, key: [{ name: 'id' }] })
    expect(result.set?.bytes).toBeGreaterThan(333 * 30)
    expect(await contentOf(database, table)).toEqual(before)
    const { rows } = await database.admin<{ xmax: string }>(
      sql`select distinct xmax::text as xmax from ${quoted(table)}`,
    )
    expect(rows).toEqual([{ xmax: '0' }])
  })

  test('is purged completely, and nothing else', async ({ database }) => {
    const table = await visits(database)
    const kept = await contentOf(database, table, 'id % 3 = 0')
    const set = await write(database, table, 'id % 3 = 0')
    // What came to match since is no candidate.
    await database.admin(sql`insert into ${quoted(table)} values (3000, 'late', 1, now())`)
    const { figures, remaining } = await purgeSet(database, table, set)
    expect(figures).toMatchObject({ rows: 333 })
    expect(figures?.batches).toBeGreaterThan(4)
    expect(remaining).toMatchObject({ matching: 0, drift: { changed: 0, gone: 333 } })
    expect(await contentOf(database, table, 'id = 3000')).toEqual(kept)
  })
})

describe('rows changed since the recording are kept', () => {
  test.for([
    ['a value', `set t = 'other' where id = 300`],
    ['a value by its form alone', `set amount = amount::numeric(10, 5) where id = 300`],
    ['a value to NULL', `set t = null where id = 300`],
  ] as const)('%s', async ([, change], { database }) => {
    const table = await visits(database)
    const set = await write(database, table, 'id % 3 = 0')
    await database.admin(sql`update ${quoted(table)} ${raw(change)}`)
    const { figures, remaining } = await purgeSet(database, table, set)
    expect(figures?.rows).toBe(332)
    expect(remaining?.drift).toEqual({ changed: 1, gone: 332 })
    expect(await contentOf(database, table, 'id <> 300')).toMatchObject({ rows: 1 })
  })

  test('also if they are changed while a batch waits for them', async ({ database }) => {
    const table = await visits(database, 100)
    const set = await write(database, table, 'id <= 50')
    const app = await database.session('app')
    await app.query('begin')
    await app.query(sql`update ${quoted(table)} set t = 'kept' where id = 25`.text)
    const waited: unknown[] = []
    const observer = (event: Event) => void (event.type === 'waiting' && waited.push(event))
    const purging = purgeSet(database, table, set, { ...SMALL, observer })
    await until(() => waited.length > 0, { what: 'the purge to wait for a row' })
    await app.query('commit')
    const { figures, remaining } = await purging
    expect(figures?.rows).toBe(49)
    expect(remaining?.drift).toEqual({ changed: 1, gone: 49 })
  })

  test('and a batch that waited for one checks it again', async ({ database }) => {
    const table = await visits(database, 100)
    const set = await write(database, table, 'id <= 50')
    const candidates = candidatesOf(set.runId)
    const request = purgeRequest(candidates)
    const { purge } = await planPurgeOf(database.url, written(table), request, quietly())
    const [leaf] = purge?.leaves ?? []
    if (purge == null || leaf === undefined) throw new Error('nothing to purge')
    const [app, tool] = [await database.session('app'), await database.session('tool')]
    await app.query('begin')
    await app.query(sql`update ${quoted(table)} set t = 'kept' where id = 25`.text)
    const batch = tool.query<{ gone: number }>(
      batchStatement(purge, leaf, { after: null, upto: null }, raw('100'), 'quick'),
    )
    await until(() => isWaiting(app, 'tool'))
    await app.query('commit')
    expect((await batch).rows[0]?.gone).toBe(49)
  })

  test('but not rows that were only rewritten, vacuumed, or updated to the same values', async ({ database }) => {
    const table = await visits(database)
    const set = await write(database, table, 'id % 3 = 0')
    await database.admin(sql`update ${quoted(table)} set t = t where id < 500`)
    await database.admin(sql`vacuum (full, freeze) ${quoted(table)}`.text)
    const { figures } = await purgeSet(database, table, set)
    expect(figures?.rows).toBe(333)
  })

  test('deleted ones are reported, and empty slices cost nothing', async ({ database }) => {
    const table = await visits(database)
    const set = await write(database, table, 'id % 3 = 0')
    await database.admin(sql`delete from ${quoted(table)} where id between 100 and 900`)
    const { figures, remaining } = await purgeSet(database, table, set, { turns: batchesOf(10) })
    expect(figures?.rows).toBe(66)
    expect(remaining).toMatchObject({ matching: 0, drift: { changed: 0, gone: 333 } })
  })
})

test('locked rows are skipped and revisited', async ({ database }) => {
  const table = await visits(database)
  const set = await write(database, table, 'id % 3 = 0')
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`select from ${quoted(table)} where id = 300 for update`.text)
  const lockLimits = { lockTimeoutMs: 50, workTimeoutMs: 1000, deadlineMs: 300 }
  const first = await purgeSet(database, table, set, { ...SMALL, lockLimits })
  expect(first.figures).toMatchObject({ rows: 332, locked: 1 })
  expect(first.remaining?.matching).toBe(1)
  await app.query('rollback')
  expect((await purgeSet(database, table, set)).figures?.rows).toBe(1)
})

describe('between recording and purging', () => {
  test('a sample is shown, keys are exported, the approval is recorded, the set is dropped', async ({ database }) => {
    const table = await visits(database)
    const { runId } = await write(database, table, 'id % 3 = 0')
    const id = runId ?? ''
    const place = quietly()
    const sample = (await sampleCandidates(database.url, id, 20, place)).map(
      (row) => JSON.parse(row) as { id: number; t: string },
    )
    expect(new Set(sample.map((row) => row.id)).size).toBe(20)
    for (const row of sample) expect(row).toMatchObject({ t: `visit ${row.id}` })

    let csv = ''
    const out = new Writable({ write: (chunk, _, done) => ((csv += String(chunk)), done()) })
    await exportCandidates(database.url, id, out, place)
    const lines = csv.trimEnd().split('\n')
    expect([lines[0], lines[1], lines.length]).toEqual(['id', '3', 334])

    const approved = await approveCandidates(database.url, id, { approvedBy: 'Ann', ticket: 'OPS-7' }, place)
    expect(approved).toMatchObject({ approvedBy: 'Ann', ticket: 'OPS-7' })
    await dropCandidates(database.url, id, place)
    expect(await candidateSets(database.url, place)).toEqual([])
    const { rows } = await database.admin(`select from pg_tables where tablename like 'candidates\\_%'`)
    expect(rows).toEqual([])
  })

  test('without a key rows could not be found again', async ({ database }) => {
    const table = database.table('visits')
    await (await database.session('setup')).query(sql`create table ${quoted(table)} (a int)`.text)
    const { objections } = await planCandidatesOf(database.url, written(table), { where: 'a > 1' }, quietly())
    expect(objections.map(({ code }) => code)).toEqual(['no-key'])
  })

  test('a table whose key has changed is refused', async ({ database }) => {
    const table = await visits(database)
    const set = await write(database, table, 'id % 3 = 0')
    const owner = await database.session('owner')
    await owner.query(sql`alter table ${quoted(table)} alter id type numeric`.text)
    const candidates = candidatesOf(set.runId)
    const { objections } = await planPurgeOf(database.url, written(table), purgeRequest(candidates), quietly())
    expect(objections.map(({ code }) => code)).toEqual(['candidates-key'])
  })
})

test('of tables that inherit from another, each by its own', async ({ database }) => {
  const table = await visits(database, 100)
  const [place, child] = [quoted(table), quoted(database.table('visits_old'))]
  const owner = await database.session('setup')
  await owner.query(sql`create table ${child} (primary key (id)) inherits (${place})`.text)
  await owner.query(sql`insert into ${child} select * from ${place} where id <= 20`.text)
  const recorded = await write(database, table, 'id <= 30')
  expect(recorded.set?.rows).toBe(50)
  const { figures } = await purgeSet(database, table, recorded)
  expect(figures?.rows).toBe(50)
  expect((await contentOf(database, table)).rows).toBe(70)
})

test('of a partitioned table, by a key of several columns', async ({ database }) => {
  const table = database.table('visits')
  const owner = await database.session('setup')
  const place = quoted(table)
  for (const statement of [
    sql`create table ${place} (at date not null, "Tenant.id" text collate "C" not null, t int, primary key ("Tenant.id", at)) partition by range (at)`,
    sql`create table january partition of ${place} for values from ('2026-01-01') to ('2026-02-01')`,
    sql`create table february ("Tenant.id" text collate "C" not null, t int, at date not null)`,
    sql`alter table ${place} attach partition february for values from ('2026-02-01') to ('2026-03-01')`,
    sql`insert into ${place} select date '2026-01-01' + n % 58, 'n"' || n, n from generate_series(1, 1000) n`,
    sql`analyze ${place}`,
  ])
    await owner.query(statement.text)
  const kept = await contentOf(database, table, 't % 3 = 0')
  const set = await write(database, table, 't % 3 = 0')
  expect(set.set).toMatchObject({ rows: 333 })
  const { figures, remaining } = await purgeSet(database, table, set, { turns: batchesOf(9) })
  expect(figures?.rows).toBe(333)
  expect(remaining?.drift).toEqual({ changed: 0, gone: 333 })
  expect(await contentOf(database, table)).toEqual(kept)
})
