import type pg from 'pg'
import { describe, expect } from 'vitest'
import { resume, status } from '../../src/engine/runs/runs.ts'
import type { PartitionRequest } from '../../src/plan/language/policy.ts'
import type { Event } from '../../src/events.ts'
import { describeStatus } from '../../src/report/status.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { startTool } from '../support/process.ts'
import { monthly, persevere, quietly, written } from '../support/tool.ts'
import { until as untilSoon } from '../support/until.ts'
import { startWriters } from '../support/writers.ts'
import { partition, planPartitionOf } from '../support/commands.ts'

// From the CHECK that proves the bound of a conversion to its swap, what lies beyond is refused. Nothing that an
// application writes ever is.

const ROWS = 20_000

const until = (isSo: () => boolean | Promise<boolean>, what: string) => untilSoon(isSo, { what })
const byId = monthly({ by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' })

describe('while a conversion waits', () => {
  test('a burst of rows is not rejected', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const [app, holder] = [await database.session('app'), await database.session('holder')]
    await killedAfter(database, events, byId, 'validate-guard')
    await holder.query(`begin; select from ${quoted(events).text} limit 1`)
    const run = begun(database, events, byId)
    await until(() => run.waits, 'the swap to wait')

    await insert(app, events, 20_000)
    await holder.query('commit')
    await run.end
    expect(await rowsOf(database, events)).toBe(2 * ROWS)
    expect(run.notes).toEqual([])
  })

  test('for the validation, ids used up faster than expected move the bound', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const [app, holder] = [await database.session('app'), await database.session('holder')]
    const guard = async () => (await checksOf(database, events)).filter((name) => name.includes('ebb_bound'))
    await killedAfter(database, events, byId, 'guard')
    // Hinders the validation, and no reader or writer.
    await holder.query(`begin; lock table ${quoted(events).text} in share update exclusive mode`)
    const run = begun(database, events, byId)
    await until(() => run.waits, 'the validation to wait')
    expect(await guard()).toEqual(['events_ebb_bound'])

    await insert(app, events, 20_000)
    // Rolled back: nobody sees these, and they are gone all the same.
    await app.query('begin')
    await insert(app, events, 18_000)
    await app.query('rollback')
    const proving = `select from pg_stat_activity where datname = current_database() and query like '% validate constraint %' and pid <> pg_backend_pid() and state = 'active'`
    await until(async () => (await database.admin(proving)).rowCount === 0, 'the proof to be given up')
    await holder.query('commit')
    await until(() => run.notes.length > 0, 'it to begin anew')
    await insert(app, events, 30_000)
    await run.end

    expect(run.notes).toEqual([expect.stringMatching(/are close to 70000, .*: starting over with a later bound$/)])
    expect(await rowsOf(database, events)).toBe(ROWS + 50_000)
    expect((await status(database.url, quietly())).runs.map((one) => one.status)).toEqual(['done', 'abandoned'])
    expect(await guard()).toEqual([])
  })
})

describe('an old plan', () => {
  test('rejects nothing when resumed: ids', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await killedAfter(database, events, byId, 'dry run')
    const app = await database.session('app')
    await insert(app, events, 60_000)
    const writers = await startWriters(database, {
      insert: (token) => sql`insert into ${quoted(events)} (user_id, kind, token) values (1, 'click', ${token})`,
      pauseMs: 2,
    })

    await persevere(() => partition(database.url, written(events), byId, quietly()))
    const { errors, writes } = await writers.stop()
    expect(errors).toEqual([])
    expect(await rowsOf(database, events)).toBe(ROWS + 60_000 + writes)
  })

  test('rejects nothing when resumed: times', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 1_000 })
    await killedAfter(database, events, monthly(), 'primary-key-index')
    const app = await database.session('app')
    await insertJustBeforeTheBound(database, app, events)

    await persevere(() => partition(database.url, written(events), monthly(), quietly()))
    await insert(app, events, 10)
    expect((await status(database.url, quietly())).runs.map((one) => one.status)).toEqual(['done', 'abandoned'])
  })

  test('is not resumed, with advice what to do', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 1_000 })
    await killedAfter(database, events, byId, 'guard')
    expect(describeStatus(await status(database.url, quietly()), [], 'ebb').join('\n')).toMatch(
      /^ +until then public.events rejects rows from 60000 on$/m,
    )
    const app = await database.session('app')
    await app.query(sql`select setval(pg_get_serial_sequence(${quoted(events).text}, 'id'), 50000)`)
    await insert(app, events, 1)
    const holder = await database.session('holder')
    await holder.query(`begin; lock table ${quoted(events).text} in share update exclusive mode`)

    const resumed = resume(database.url, { table: events }, quietly())
    setTimeout(() => void holder.query('commit'), 3_000)
    await expect(resumed).rejects.toMatchObject({
      message: `keys written to ${display(events)} are close to 60000, the bound from which the CHECK rejects rows`,
      advice: { next: 'Run ebb partition again: the new plan uses a later bound.' },
    })
    expect(await checksOf(database, events)).toEqual(['kind known'])
  })
})

describe('the bound lies ahead', () => {
  test('of the clock by a weekend, and of rows dated ahead as well', async ({ database }) => {
    const table = database.table('visits')
    const owner = await database.session('owner')
    await owner.query(
      sql`create table ${quoted(table)} (id bigint, created_at timestamptz not null, primary key (id, created_at))`,
    )
    const request = monthly({ every: { kind: 'interval', interval: { count: 1, unit: 'day' } } })
    const daysAhead = async () => {
      const plan = await planPartitionOf(database.url, written(table), request, quietly())
      return (Number(plan.conversion?.bound.at) / 1000 - Date.now()) / 86_400_000
    }
    expect(await daysAhead()).toBeGreaterThan(3)
    expect(await daysAhead()).toBeLessThan(4)
    await owner.query(sql`insert into ${quoted(table)} values (1, now() + interval '5 days')`)
    expect(await daysAhead()).toBeGreaterThan(8)
    expect(await daysAhead()).toBeLessThan(9)
  })

  test('of ids returned by the sequence, though their rows are not visible yet', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const app = await database.session('app')
    await app.query('begin')
    await insert(app, events, 100_000)
    const { conversion } = await planPartitionOf(database.url, written(events), byId, quietly())
    await app.query('rollback')
    expect(conversion?.bound.at).toBe(170_000n)
  })
})

/** A conversion under way. */
function begun(database: Database, table: TableName, request: PartitionRequest) {
  const run = { waits: false, notes: [] as string[], end: Promise.resolve() as Promise<unknown> }
  const observer = (event: Event) => {
    if (event.type === 'waiting') run.waits = true
    if (event.type === 'note') run.notes.push(event.text)
  }
  run.end = partition(database.url, written(table), request, quietly({ observer }))
  run.end.catch(() => {}) // told by whoever awaits it
  return run
}

async function killedAfter(database: Database, table: TableName, request: PartitionRequest, key: string) {
  const tool = startTool({ command: 'partition', url: database.url, table, request, dieAt: `step finished: ${key}` })
  expect(await tool.end()).toBe('SIGKILL')
  const its = sql`select from pg_stat_activity where datname = current_database() and application_name like 'ebb partition%'`
  await until(async () => (await database.admin(its)).rowCount === 0, 'the server to notice the kill')
}

/** Nobody can set the server's clock; a row that is dated ahead comes as near to the bound. */
async function insertJustBeforeTheBound(database: Database, app: pg.Client, table: TableName): Promise<void> {
  const { rows } = await database.admin<{ at: string }>(
    `select (to_timestamp((plan #>> '{conversion,bound,at,bigint}')::numeric / 1e6) - interval '1 hour')::text as at from ebb.run`,
  )
  await app.query(
    sql`insert into ${quoted(table)} (user_id, kind, created_at) values (1, 'click', ${rows[0]?.at}::timestamptz)`,
  )
}

async function insert(app: pg.Client, table: TableName, rows: number): Promise<void> {
  await app.query(
    sql`insert into ${quoted(table)} (user_id, kind) select 1, 'click' from generate_series(1, ${raw(String(rows))})`,
  )
}

async function rowsOf(database: Database, table: TableName): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`)
  return rows[0]?.n ?? 0
}

async function checksOf(database: Database, table: TableName): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(
    sql`select conname as name from pg_constraint where conrelid = ${quoted(table).text}::regclass and contype = 'c' order by 1`,
  )
  return rows.map(({ name }) => name)
}
