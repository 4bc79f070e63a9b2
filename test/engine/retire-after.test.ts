import { describe, expect } from 'vitest'
import type { Retirements } from '../../src/engine/runs/retire-due.ts'
import { retirable } from '../../src/engine/runs/retired.ts'
import { planRetirements, rotate, type RotateRequest } from '../../src/engine/commands/rotate.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { Interval } from '../../src/grid/interval.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { Rebuilding } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partition, partitionByCopy, split } from '../support/commands.ts'

// `--retire-after`: the former table of a copy is let go by the first rotation after that time, and never before.

const WEEK: Interval = { count: 1, unit: 'week' }
const ALL: RotateRequest = {
  tables: 'all',
  keep: null,
  retire: 'drop',
  grace: null,
  archive: null,
  noArchive: false,
  forget: false,
  accept: [],
}

describe('a retired table with a retention', () => {
  test.for<[string, Interval, string]>([
    ['hour', { count: 3, unit: 'hour' }, '3 hours'],
    ['week', WEEK, '7 days'],
  ])('is dropped at the end of it and not before (%s)', async ([, retireAfter, same], { database }) => {
    const { table } = await rebuilt(database, retireAfter)

    await ended(database, `interval '${same}' - interval '1 minute'`)
    expect(await rotated(database)).toEqual({ dropped: [], failed: [] })
    expect(await planRetirements(database.url, ALL, quietly())).toEqual([])
    expect(await retirable(database.url, quietly())).toMatchObject([{ table, due: false }])

    await ended(database, `interval '${same}'`)
    expect(await retirable(database.url, quietly())).toMatchObject([{ table, due: true }])
    expect(await planRetirements(database.url, ALL, quietly())).toMatchObject([
      { steps: [{ key: 'retire:drop' }, { key: 'retire:capture' }] },
    ])
    expect((await rotated(database)).dropped).toMatchObject([{ table }])
    expect(await retirable(database.url, quietly())).toEqual([])
    expect(await rotated(database)).toEqual({ dropped: [], failed: [] })
  })

  test.for<[Interval, string]>([
    [{ count: 3, unit: 'hour' }, '3 hours'],
    [{ count: 90, unit: 'day' }, '90 days'],
    [{ count: 2, unit: 'week' }, '14 days'],
    [{ count: 1, unit: 'month' }, '1 month'],
    [{ count: 2, unit: 'quarter' }, '6 months'],
    [{ count: 1, unit: 'year' }, '1 year'],
  ])('is due by PostgreSQL’s calendar: %s', async ([retireAfter, same], { database }) => {
    await rebuilt(database, retireAfter)
    const { rows } = await database.admin<{ at: Date }>(`select ended_at + interval '${same}' as at from ebb.run`)
    expect(await retirable(database.url, quietly())).toMatchObject([{ goesAt: rows[0]?.at }])
  })

  test('is kept if no retention was given', async ({ database }) => {
    await rebuilt(database, null)
    await ended(database, `interval '100 years'`)
    expect(await rotated(database)).toEqual({ dropped: [], failed: [] })
    expect(await retirable(database.url, quietly())).toMatchObject([{ goesAt: null, due: false }])
  })

  test('is kept if other tables are rotated', async ({ database }) => {
    const { table } = await rebuilt(database, WEEK)
    const other = database.table('other')
    const owner = await database.session('owner')
    await owner.query(sql`create table ${quoted(other)} (at timestamptz not null) partition by range (at)`)
    await ended(database, `interval '1 week'`)

    expect((await rotated(database, [written(other)])).dropped).toEqual([])
    expect((await rotated(database, [written(table)])).dropped).toMatchObject([{ table }])
  })

  test('is kept while the run is unfinished', async ({ database }) => {
    const { table } = await plain(database)
    const rebuilding = new Rebuilding(database, table, { retireAfter: WEEK })
    const reader = await database.session('reader')
    await reader.query('begin isolation level repeatable read; select from pg_class limit 1')
    await rebuilding.began('swap')
    await database.admin(
      `update ebb.run set started_at = now() - interval '1 year', ended_at = now() - interval '1 year'`,
    )

    expect(await rotated(database)).toEqual({ dropped: [], failed: [] })
    await reader.query('commit')
    await rebuilding.end()
  })

  test('is gone once the run has been rolled back', async ({ database }) => {
    const { table, runId } = await rebuilt(database, WEEK)
    await rollback(database.url, { runId }, quietly())
    await ended(database, `interval '1 year'`)

    expect(await rotated(database)).toEqual({ dropped: [], failed: [] })
    const owner = await database.session('owner')
    expect((await owner.query(sql`select from ${quoted(table)}`)).rowCount).toBe(50)
  })

  test('that cannot be dropped is reported, and dropped the next time', async ({ database }) => {
    const { table } = await rebuilt(database, WEEK)
    await ended(database, `interval '1 week'`)
    const reader = await database.session('reader')
    await reader.query('begin')
    await reader.query(sql`select from ${quoted(table)}`)
    const lockLimits = { lockTimeoutMs: 20, workTimeoutMs: 1_000, deadlineMs: 100 }
    const { retired: former } = await rotate(database.url, ALL, quietly({ lockLimits }))
    expect(former.dropped).toEqual([])
    expect(former.failed.map(({ what }) => what).join()).toMatch(/_retired/)

    await reader.query('commit')
    expect((await rotated(database)).dropped).toMatchObject([{ table }])
  })

  test('also after partition --method copy', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 1_000 })
    const request = { ...monthly(), transport: 'server', jobs: 1, noArchive: true, retireAfter: WEEK } as const
    await partitionByCopy(database.url, written(events), request, quietly())
    await ended(database, `interval '1 week'`)
    expect((await rotated(database)).dropped).toMatchObject([{ command: 'partition-copy', table: events }])
  })

  test('also after split', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 1_000 })
    await partition(database.url, written(events), monthly({ keep: null }), quietly())
    const order = { partition: null, every: null, keep: null, transport: 'server', jobs: 1, noArchive: true } as const
    await split(database.url, written(events), { ...order, retireAfter: WEEK }, quietly())
    await ended(database, `interval '1 week'`)
    expect((await rotated(database)).dropped).toMatchObject([{ command: 'split', table: events }])
  })
})

async function plain(database: Database): Promise<{ table: TableName }> {
  const table = database.table('plain')
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(table)} (id int primary key)`)
  await owner.query(sql`insert into ${quoted(table)} select n from generate_series(1, 50) n`)
  return { table }
}

async function rebuilt(database: Database, retireAfter: Interval | null) {
  const { table } = await plain(database)
  const { runId } = await new Rebuilding(database, table, { retireAfter }).end()
  return { table, runId }
}

/** As if it had been so long ago. */
async function ended(database: Database, ago: string): Promise<void> {
  await database.admin(`update ebb.run set ended_at = clock_timestamp() - (${ago}) where ended_at is not null`)
}

async function rotated(database: Database, tables: RotateRequest['tables'] = 'all') {
  const nothing: unknown = { dropped: [], failed: [] }
  const { retired } = await rotate(database.url, { ...ALL, tables }, quietly()).catch((error: Error) => {
    if (/^no table is managed by rotate/.test(error.message)) return { retired: nothing as Retirements }
    throw error
  })
  return retired
}
