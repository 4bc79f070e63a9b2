import { describe, expect } from 'vitest'
import { readServer } from '../../src/catalog/server-model.ts'
import { withSession, type Session } from '../../src/db/session.ts'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { readSituation } from '../../src/engine/rotate/read-situation.ts'
import { retire as retirePartition } from '../../src/engine/rotate/retire.ts'
import { retirable } from '../../src/engine/runs/retired.ts'
import { resume, retire, status } from '../../src/engine/runs/runs.ts'
import { withTable } from '../../src/engine/table-context.ts'
import { holdRows } from '../../src/journal/holds.ts'
import { migrateJournal } from '../../src/journal/migrate.ts'
import type { Retire } from '../../src/plan/rotate/request.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'
import { sql } from '../../src/sql/sql.ts'
import { retireDue } from '../../src/engine/runs/retire-due.ts'
import type { Event } from '../../src/events.ts'
import { codes } from '../plan/support/gist.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { partition, planPurgeOf, planRebuildOf, planSplitOf, purge, rebuild, split } from '../support/commands.ts'
import { createEvents } from '../support/events-table.ts'
import { Rebuilding, Splitting } from '../support/rebuilding.ts'
import { splitOrder } from './split-support.ts'
import { until } from '../support/until.ts'
import { countOf, isThere, leafOf, monthlyEvents, options, request, rotateOne } from './rotate-support.ts'
import { test, type Database } from '../support/database.ts'
import { purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'

// A hold on a table is one on its partitions, and the other way round.

async function visits(database: Database): Promise<Session> {
  const owner = await database.session('owner')
  await owner.query(`
    create table visits (id int primary key, old boolean default true) partition by range (id);
    create table visits_1 partition of visits for values from (0) to (100);
    create table visits_2 partition of visits for values from (100) to (300) partition by range (id);
    create table visits_2a partition of visits_2 for values from (100) to (200);
    create table pages (id int primary key, visit int references visits on delete cascade);
    create index on pages (visit);
    insert into visits select generate_series(1, 190); insert into pages select n, n from generate_series(1, 190) n; analyze`)
  await migrateJournal(owner, 'ebb')
  return owner
}

test('a hold is seen by what removes rows of a partition of its table, of the table of its partition, or of dependents', async ({
  database,
}) => {
  const owner = await visits(database)
  const held = async (table: string) => {
    const request = purgeRequest('id % 3 = 0', { cascade: true })
    const { objections } = await planPurgeOf(database.url, parseTableName(table), request, quietly())
    return objections.map(({ code, what }) => [code, /rows of (\S+) are on hold/.exec(what)?.[1]])
  }
  const hold = async (table: string, bounds: string | null, until = '1 day') => {
    await owner.query('delete from ebb.hold')
    const values = [table, bounds, until]
    await owner.query(
      `insert into ebb.hold (schema_name, table_name, bounds, until) values ('public', $1, $2, now() + $3::interval)`,
      values,
    )
  }
  const ALL = ['visits', 'visits_1', 'visits_2', 'visits_2a', 'pages'] as const
  const under = async () => {
    const found: string[] = []
    for (const table of ALL) if ((await held(table)).some(([code]) => code === 'hold')) found.push(table)
    return found
  }

  await hold('visits', null)
  expect(await under()).toEqual(['visits', 'visits_1', 'visits_2', 'visits_2a'])
  expect(await held('visits_1')).toEqual([['hold', 'public.visits']])
  const { objections } = await planRebuildOf(
    database.url,
    parseTableName('visits_1'),
    rebuildRequest({ keep: 'id > 50' }),
    quietly(),
  )
  expect(objections.map(({ code }) => code)).toContain('hold')

  // Of a partition of a partition nothing is decided by bounds.
  await hold('visits', 'FOR VALUES FROM (0) TO (50)')
  expect(await under()).toEqual(['visits', 'visits_1', 'visits_2a'])
  await hold('visits_2a', null)
  expect(await under()).toEqual(['visits', 'visits_2', 'visits_2a'])
  // A purge with --cascade would delete its rows, too.
  await hold('pages', null)
  expect(await under()).toEqual([...ALL])
  await hold('pages', null, '-1 day')
  expect(await under()).toEqual([])
})

async function holdOn(database: Database, table: TableName, bounds: string | null = null): Promise<void> {
  await database.admin(sql`insert into ebb.hold (schema_name, table_name, bounds, until)
    values (${table.schema}, ${table.name}, ${bounds}, now() + interval '1 day')`)
}

describe('a hold made while a run is at work, or interrupted, is obeyed', () => {
  test('by the next batch of a purge, and of its resumption', async ({ database }) => {
    const owner = await visits(database)
    // A row that waits until the test has put others of the table on hold.
    await owner.query(`create table gate (); create function wait() returns trigger language plpgsql as $$ begin
      while old.id = 151 and not exists (select from public.gate) loop perform pg_catalog.pg_sleep(0.01); end loop;
      return old; end $$;
      create trigger waiting before delete on pages for each row execute function wait()`)
    const order = purgeRequest('id > 140', { cascade: true })
    const table = parseTableName('visits')
    const work = purge(database.url, table, order, quietly()).catch((error: unknown) => error)
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`
    await until(async () => (await database.admin(waits)).rowCount === 1, { what: 'a batch to wait' })
    await holdOn(database, { schema: 'public', name: 'pages' })
    await database.admin('insert into gate default values')

    const held = {
      kind: 'objections',
      message: expect.stringMatching(/rows of public.pages are on hold until/) as string,
    }
    expect(await work).toMatchObject(held)
    const left = async () => (await database.admin(`select from visits where id = 151`)).rowCount
    expect(await left()).toBe(1)
    await expect(purge(database.url, table, order, quietly())).rejects.toMatchObject(held)
    await expect(resume(database.url, null, quietly())).rejects.toMatchObject(held)
    expect(await left()).toBe(1)
    await resume(database.url, null, { ...quietly(), accept: ['hold'] })
    expect(await left()).toBe(0)
  })

  test('by the swap of a rebuild that leaves rows out, and of its resumption', async ({ database }) => {
    await visits(database)
    const pages = { schema: 'public', name: 'pages' }
    // The swap waits for a reader.
    const reader = await database.session('reader')
    await reader.query('begin; select from pages limit 1')
    const work = new Rebuilding(database, pages, { keep: 'id > 50' })
    await work.waits(/./)
    // It is of another table: the run goes on when it is resumed.
    await holdOn(database, { schema: 'public', name: 'visits' }, 'FOR VALUES FROM (100) TO (200)')
    await reader.query('rollback')
    await expect(work.end()).rejects.toMatchObject({
      message: expect.stringMatching(/restored meanwhile/) as string,
      kind: 'try later',
    })
    await holdOn(database, pages)
    await expect(resume(database.url, null, quietly())).rejects.toThrow(/rows of public.pages are on hold/)
    await database.admin(sql`delete from ebb.hold where table_name = 'pages'`)
    await resume(database.url, null, quietly())

    // What is restored into the retired table is on hold, too.
    const [old] = await retirable(database.url, quietly())
    await holdOn(database, old?.retired?.name ?? pages)
    await expect(retire(database.url, null, quietly())).rejects.toThrow(/are on hold/)
    await retire(database.url, null, { ...quietly(), accept: ['hold'] })
  })

  test('by the swap of a split that leaves rows out, and before it begins', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 60 })
    await partition(database.url, written(events), monthly(), quietly())
    const history = { ...events, name: `${events.name}_history` }
    const order = splitOrder({ keep: { count: 90, unit: 'day' }, noArchive: true })
    await holdOn(database, history)
    expect(codes(await planSplitOf(database.url, written(events), order, quietly()))).toEqual(['hold'])
    await database.admin('delete from ebb.hold')

    // The swap waits for a reader, and sees what is on hold when it ends.
    const reader = await database.session('reader')
    await reader.query(sql`begin; select from ${quoted(history)} limit 1`.text)
    const work = new Splitting(database, events, order)
    await work.waits(/./)
    await holdOn(database, history)
    await reader.query('rollback')
    await expect(work.end()).rejects.toMatchObject({ message: expect.stringMatching(/restored meanwhile/) as string })
    await expect(split(database.url, written(events), order, quietly())).rejects.toThrow(/events_history are on hold/)
    await database.admin('delete from ebb.hold')
    expect(await split(database.url, written(events), order, quietly())).toMatchObject({ nothingToDo: false })
  })

  test('by ebb retire, of one table or all, with an archive of the rows left out or without', async ({ database }) => {
    await visits(database)
    const folder = await archiveFolder()
    const pages = { schema: 'public', name: 'pages' }
    await database.admin(
      'create table notes (id int primary key); insert into notes select generate_series(1, 90); alter table notes owner to ebb_owner; analyze notes',
    )
    const archived = { noArchive: false, archive: archiveTo(folder.uri) }
    for (const [table, how] of [
      [pages, archived],
      [{ ...pages, name: 'notes' }, {}],
    ] as const)
      await rebuild(database.url, written(table), rebuildRequest({ keep: 'id > 50', ...how }), quietly())
    const retired = await retirable(database.url, quietly())
    expect(retired).toHaveLength(2)
    const names = retired.flatMap(({ retired: of }) => of?.name ?? [])

    // The drop waits for a reader.
    const reader = await database.session('reader')
    for (const [i, { runId }] of retired.entries()) {
      await reader.query(sql`begin; select from ${quoted(names[i]!)} limit 1`.text)
      const events: Event[] = []
      const work = retire(database.url, { runId }, quietly({ observer: (event) => void events.push(event) })).catch(
        (error: unknown) => error,
      )
      await until(() => events.some(({ type }) => type === 'waiting'), { what: 'the drop to wait' })
      await holdOn(database, names[i]!)
      await reader.query('rollback')
      expect(await work).toMatchObject({ message: expect.stringMatching(/restored meanwhile/) as string })
    }
    const { dropped, failed } = await retireDue(database.url, retired, quietly())
    expect(dropped).toEqual([])
    expect(failed.map(({ error }) => error.message)).toEqual(
      names.map(({ name }) => expect.stringMatching(new RegExp(`public.${name} are on hold`)) as string),
    )
    await database.admin(sql`delete from ebb.hold where table_name = ${names[0]!.name}`)
    expect((await retireDue(database.url, retired, quietly())).dropped).toHaveLength(1)
    expect([await isThere(database, names[0]!), await isThere(database, names[1]!)]).toEqual([false, true])
    await folder.close()
  })

  test('by the detach, the drop and the truncation of a rotation', async ({ database }) => {
    const table = await monthlyEvents(database, -5, 1)
    const server = await withSession(database.url, 'test', (session) => readServer(session, 'ebb'))
    await withTable({ target: database.url, server, ...options(), command: 'rotate' }, table, async (context) => {
      const situation = await readSituation(context.session, server, table, 'ebb', 'thorough')
      const retiring = (method: Retire = 'drop', holdsAccepted = false) => {
        const plan = planRotation(situation!, request({ keep: '2 months', retire: method }))
        const steps = plan.steps
        const all = { context, set: situation!.set, plan, lockLimits: LOCK_LIMITS, steps, store: null, holdsAccepted }
        return (which: number) => retirePartition(all, plan.retire[which]!)
      }
      const [first, second] = [leafOf(database, table, -5), leafOf(database, table, -4)]
      await holdOn(database, first)
      await expect(retiring()(0)).rejects.toThrow(/are on hold/)
      await expect(retiring('truncate')(0)).rejects.toThrow(/are on hold/)
      expect(await countOf(database, first)).toBe(1)
      expect(await retiring()(1)).toMatchObject({ outcome: 'dropped' })
      expect(await isThere(database, second)).toBe(false)
      expect(await retiring('drop', true)(0)).toMatchObject({ outcome: 'dropped' })
    })
  })

  test('by a rotation that finds a partition detached', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const old = leafOf(database, table, -4)
    await migrateJournal(await database.session('somebody'), 'ebb')
    await database.admin(sql`insert into ebb.retirement (partition_oid, schema_name, table_name, partition_schema, partition_name, method, bounds, bytes)
      select c.oid, ${table.schema}, ${table.name}, ${old.schema}, ${old.name}, 'drop', pg_get_expr(relpartbound, c.oid), 0
      from pg_class c where c.oid = ${quoted(old).text}::regclass`)
    const owner = await database.session('somebody')
    await owner.query(sql`alter table ${quoted(table)} detach partition ${quoted(old)}`)
    await holdOn(database, old)
    const report = await rotateOne(database, table, { keep: '2 months' })
    expect(report.skipped.map(({ partition, reason }) => [partition.name, reason])).toContainEqual([
      old.name,
      expect.stringMatching(/detached it .*, and rows are on hold until/),
    ])
    expect(await isThere(database, old)).toBe(true)
    await rotateOne(database, table, { keep: '2 months', accept: ['hold'] })
    expect(await isThere(database, old)).toBe(false)
  })
})

test('rows that are restored again are held longer, not twice', async ({ database }) => {
  const owner = await visits(database)
  const { rows } = await owner.query<{
    id: string
  }>(`insert into ebb.run (command, schema_name, table_name, request, plan, ebb_version, status)
    select 'restore', 'public', 'visits', '{}', '{}', '0', 'done' from generate_series(1, 3) returning id::text`)
  const hold = async (run: number, days: number, bounds: string | null = null) => {
    const keep = { count: days, unit: 'day' } as const
    await holdRows(owner, 'ebb', rows[run]?.id ?? '', { table: { schema: 'public', name: 'visits' }, bounds, keep })
    const { holds } = await status(database.url, quietly())
    return holds.map(({ bounds: of, until: end, runId }) => [
      of,
      Math.round((end.getTime() - Date.now()) / 86_400_000),
      runId,
    ])
  }
  expect(await hold(0, 30)).toEqual([[null, 30, rows[0]?.id]])
  expect(await hold(0, 30)).toEqual([[null, 30, rows[0]?.id]])
  expect(await hold(1, 60)).toEqual([[null, 60, rows[1]?.id]])
  expect(await hold(2, 7)).toEqual([[null, 60, rows[1]?.id]])
  const bounds = 'FOR VALUES FROM (0) TO (50)'
  expect(await hold(2, 90, bounds)).toEqual([
    [null, 60, rows[1]?.id],
    [bounds, 90, rows[2]?.id],
  ])
})
