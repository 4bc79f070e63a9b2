import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { beforeEach, describe, expect, vi } from 'vitest'
import type { EngineOptions } from '../../src/engine/options.ts'
import { DEFAULT_PACING, LIGHT_PACE } from '../../src/pacing/limits.ts'
import { Pace } from '../../src/pacing/throttle.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { folder } from '../pacing/support.ts'
import { test, type Database } from '../support/database.ts'
import { Hold } from '../support/hold.ts'
import { Rebuilding, RollingBack, TINY } from '../support/rebuilding.ts'
import { modelOf } from '../support/tool.ts'
import { until } from '../support/until.ts'

// Interleavings that are too rare to be left to chance, each forced by sessions at work. Without the safeguard that
// a test is about, it fails: docs/how-a-copy-is-right.md says why.

const ROWS = 600
const SUPERUSER = process.env.EBB_TEST_ROLE === 'superuser'

describe('while a chunk is being read', () => {
  test('a row moved into a later block is copied once', async ({ database }) => {
    const { table, app } = await filled(database, 'id between 500 and 599')
    const { hold, rebuilding } = await heldAt(database, table, 300)

    const block = await move(app, table, 1)
    expect(block).toBeGreaterThan(await blockOf(app, table, 300))
    expect(block).toBeLessThan(await blockOf(app, table, ROWS))

    await hold.release()
    await rebuilding.end()
    expect(await copiedRows(database)).toBe(501)
    await expectRows(app, table, 500, { moved: 1 })
  })

  test('a row moved into a copied block is not lost', async ({ database }) => {
    const { table, app } = await filled(database, 'id <= 100')
    const { hold, rebuilding } = await heldAt(database, table, 300)

    expect(await move(app, table, 550)).toBeLessThan(await blockOf(app, table, 300))

    await hold.release()
    await rebuilding.end()
    await expectRows(app, table, 500, { moved: 1 })
  })

  test('deleted rows, rows with changed keys, and new rows are correct', async ({ database }) => {
    const { table, app } = await filled(database)
    const { hold, rebuilding } = await heldAt(database, table, 300)

    await app.query(sql`delete from ${quoted(table)} where id in (2, 299, 301, 580)`)
    await app.query(sql`update ${quoted(table)} set id = id + 10000 where id in (3, 298, 302, 581)`)
    await app.query(sql`insert into ${quoted(table)} (id, slot) values (20001, 20001)`)

    await hold.release()
    await rebuilding.end()
    await expectRows(app, table, ROWS - 4 + 1)
    const { rows } = await app.query<{ id: number }>(
      sql`select id from ${quoted(table)} where id > 10000 or id in (2, 3, 298, 299, 301, 302, 580, 581) order by id`,
    )
    expect(rows.map(({ id }) => id)).toEqual([10003, 10298, 10302, 10581, 20001])
  })

  test('a deleted row does not reappear, though other chunks end before this one', async ({ database }) => {
    const { table, app } = await filled(database)
    const { hold, rebuilding } = await heldAt(database, table, 300, { jobs: 2 })

    await app.query(sql`delete from ${quoted(table)} where id in (299, 301)`)
    await until(async () => (await copiedRows(database)) > 550, { what: 'the other chunks to end' })

    await hold.release()
    await rebuilding.end()
    await expectRows(app, table, ROWS - 2)
  })

  test('replicated changes are captured too', async ({ database }) => {
    const { table, app } = await filled(database)
    const { hold, rebuilding } = await heldAt(database, table, 300)

    await database.admin(
      `set session_replication_role = replica; update ${quoted(table).text} set moved = true where id in (1, 599)`,
    )

    await hold.release()
    await rebuilding.end()
    await expectRows(app, table, ROWS, { moved: 2 })
  })
})

describe('while a chunk is still being written, and nobody else is at work', () => {
  /** These tests are sessions that work, too. */
  beforeEach(() => {
    const isShared = vi.spyOn(Pace.prototype, 'isShared', 'get').mockReturnValue(false)
    return () => isShared.mockRestore()
  })

  test('another one runs, and no snapshot is held; a lost one is copied again', async ({ database }) => {
    const { table, app } = await filled(database)
    const stranger = await database.session('stranger', { admin: true })
    const { hold, rebuilding } = await heldAt(database, table, 300, { transport: 'copy' })
    const before = await chunks(database)
    await stranger.query('begin')
    await stranger.query('select from ebb.lease for update')

    await hold.release()
    await until(async () => (await waitingForLease(database)).length === 2, { what: 'two chunks to be written' })
    await sleep(100)
    const [first, ...others] = await waitingForLease(database)
    expect(others).toHaveLength(1)
    expect(await reading(database)).toBe(0)

    await stranger.query(`select pg_terminate_backend(${first})`)
    await stranger.query('commit')
    await expect(rebuilding.end()).rejects.toThrow(/terminating/)
    expect(await chunks(database)).toBe(before + 1)
    await new Rebuilding(database, table, { keep: hold.keep, transport: 'copy' }).end()
    await expectRows(app, table, ROWS)
  })

  test('a pause ends with its reason: a lost chunk ends it', async ({ database }) => {
    const pauseFile = join(await folder(), 'pause')
    const { table } = await filled(database)
    const stranger = await database.session('stranger', { admin: true })
    const pacing = { ...DEFAULT_PACING, settings: { ...LIGHT_PACE, pauseFile } }
    const { hold, rebuilding } = await heldAt(database, table, 300, { transport: 'copy' }, { pacing })
    await stranger.query('begin')
    await stranger.query('select from ebb.lease for update')
    await writeFile(pauseFile, '')

    await hold.release()
    await rebuilding.waits(/pause file/)
    const [writing] = await waitingForLease(database)
    await stranger.query(`select pg_terminate_backend(${writing})`)
    await expect(rebuilding.end()).rejects.toThrow(/terminating/)
  })
})

describe('catching up', () => {
  test('applies a change that was logged early and committed late', async ({ database }) => {
    const { table, app } = await filled(database)
    const late = await database.session('late')
    const { hold, rebuilding } = await heldAt(database, table, 300)

    await late.query('begin')
    await late.query(sql`update ${quoted(table)} set moved = true where id = 1`)
    await app.query(sql`update ${quoted(table)} set moved = true where id between 2 and 20`)
    await hold.release()
    // Everything that was committed has been caught up with by now.
    await rebuilding.began('swap')
    await late.query('commit')

    await rebuilding.end()
    await expectRows(app, table, ROWS, { moved: 20 })
  })

  test('reports new changes apart from the backlog', async ({ database }) => {
    const { table, app } = await filled(database)
    const { runId } = await new Rebuilding(database, table).end()
    await app.query(sql`update ${quoted(table)} set moved = true where id <= 20`)

    const back = new RollingBack(database, runId)
    await back.end()
    const told = back.events.flatMap((event) =>
      event.type === 'progress' && event.progress.unit === 'changes' ? [event.progress] : [],
    )
    expect(told.map(({ what }) => what)).toEqual(Array(20).fill('applying changes, 0/s arriving'))
    expect(told.map(({ done, total }) => total - done)).toEqual(Array.from({ length: 20 }, (_, i) => 19 - i))
    expect(told.at(-1)).toMatchObject({ remainingSeconds: 0 })
  })

  test('handles rows that exchange unique values', async ({ database }) => {
    const { table, app } = await filled(database)
    const { rebuilding, blocker } = await stoppedBeforeIndexes(database, table)

    await app.query('begin')
    await app.query(sql`update ${quoted(table)} set slot = -1 where id = 7`)
    await app.query(sql`update ${quoted(table)} set slot = 7 where id = 8`)
    await app.query(sql`update ${quoted(table)} set slot = 8 where id = 7`)
    await app.query('commit')

    await blocker.query('commit')
    await rebuilding.end()
    const { rows } = await app.query(sql`select id, slot from ${quoted(table)} where id in (7, 8) order by id`)
    expect(rows).toEqual([
      { id: 7, slot: 8 },
      { id: 8, slot: 7 },
    ])
  })
})

describe('a long blocker of the swap', () => {
  test('leaves only a few changes to apply under the lock', async ({ database }) => {
    const { table, app } = await filled(database)
    const reader = await database.session('reader')
    const { hold, rebuilding } = await heldAt(database, table, 300, {}, { copySizes: ROOMY })
    await reader.query('begin')
    await reader.query(sql`select count(*) from ${quoted(table)}`)

    await hold.release()
    await rebuilding.waits(/reader/)
    for (let i = 0; i < 5; i++) await app.query(sql`update ${quoted(table)} set moved = not moved`)
    await reader.query('commit')

    await rebuilding.end()
    const waitings = rebuilding.events.filter((event) => event.type === 'waiting').map(({ reason }) => reason)
    expect(waitings.filter((reason) => /have not been applied/.test(reason))).toEqual([])
    await expectRows(app, table, ROWS, { moved: ROWS })
  })
})

describe('a batch', () => {
  test('is the last one once the lease is taken over', async ({ database }) => {
    const { table, app } = await filled(database)
    const { rebuilding, blocker } = await stoppedBeforeIndexes(database, table)
    await app.query(sql`update ${quoted(table)} set moved = true where id <= 5`)
    // Somebody takes over in the moment of the first batch, as nobody from outside could time it.
    await blocker.query(`
      create function taken_over() returns trigger language plpgsql as
      $$ begin update ebb.lease set token = token + 1; return null; end $$`)
    const [log] = await logNames(database)
    await blocker.query(`create trigger taken_over after delete on ebb."${log}" execute function taken_over()`)
    await blocker.query('commit')

    await expect(rebuilding.end()).rejects.toThrow(/another run has taken over/)
    expect(await logged(database)).toBe(4)
  })
})

describe('before the swap', () => {
  test('a copy that differs from the table is detected', async ({ database }) => {
    const { table, app } = await filled(database)
    const { rebuilding, blocker, shadow } = await stoppedBeforeIndexes(database, table)

    await blocker.query(sql`update ${quoted(shadow)} set moved = true where id = 5`)

    await blocker.query('commit')
    await expect(rebuilding.end()).rejects.toThrow(/with other contents/)
    await expectRows(app, table, ROWS, { moved: 0 })
  })

  test('a reader with an older snapshot is waited for, and reads the correct rows', async ({ database }) => {
    const { table, app } = await filled(database)
    const reader = await database.session('reader')
    await reader.query('begin isolation level repeatable read')
    await reader.query('select from pg_class limit 1')

    const rebuilding = new Rebuilding(database, table)
    await rebuilding.waits(/for transactions that began before.*reader/)

    expect((await reader.query(sql`select count(*)::int as n from ${quoted(table)}`)).rows).toEqual([{ n: ROWS }])
    await reader.query('commit')
    await rebuilding.end()
    await expectRows(app, table, ROWS)
  })

  test('a large backlog is applied before taking the lock', async ({ database, skip }) => {
    if (SUPERUSER) skip('a superuser sees that it is no autovacuum, and would not ask for its lock')
    const { table, app } = await filled(database)
    const reader = await openReader(database, table)
    const rebuilding = new Rebuilding(database, table, {}, { copySizes: { ...TINY, batchEntries: 1_000 } })
    await rebuilding.waits(/for transactions that began before/)
    const seemsToVacuum = await database.session('stranger', { admin: true })
    await seemsToVacuum.query('begin')
    await seemsToVacuum.query(sql`lock table ${quoted(table)} in share update exclusive mode`.text)
    await reader.query('commit')
    await until(() => isAskedFor(database, table, 'ShareUpdateExclusiveLock'), {
      what: 'the swap to ask for its locks',
    })

    for (let changes = 0; changes <= 2_000; changes += ROWS)
      await app.query(sql`update ${quoted(table)} set moved = true`)

    await seemsToVacuum.query('commit')
    await rebuilding.waits(/the log has changes that have not been applied to the copy/)
    await rebuilding.end()
    await expectRows(app, table, ROWS, { moved: ROWS })
  })
})

describe('the application', () => {
  test('can delete rows elsewhere in spite of the copy and the retired table', async ({ database }) => {
    const { table, app } = await filled(database)
    const users = database.table('users')
    await app.query(sql`create table ${quoted(users)} as select n as id from generate_series(1, 20) n`)
    await app.query(sql`alter table ${quoted(users)} add primary key (id)`)
    await app.query(
      sql`alter table ${quoted(table)} add constraint "of user" foreign key (slot) references ${quoted(users)} on update cascade not valid`,
    )
    await app.query(sql`update ${quoted(table)} set slot = null where slot > 20`)
    await app.query(sql`alter table ${quoted(table)} validate constraint "of user"`)
    const leave = async (id: number) => {
      await app.query(sql`delete from ${quoted(table)} where slot = ${id}`)
      await app.query(sql`delete from ${quoted(users)} where id = ${id}`)
    }
    const before = factsOf(await modelOf(database, table))

    const reader = await openReader(database, table)
    const rebuilding = new Rebuilding(database, table)
    await rebuilding.waits(/for transactions that began before|a lock was not granted/)
    await leave(1)
    await app.query(sql`update ${quoted(users)} set id = 22 where id = 2`)
    await reader.query('commit')
    const { runId } = await rebuilding.end()
    await leave(3)
    const other = await openReader(database, table)
    const back = new RollingBack(database, runId)
    await back.waits(/for transactions that began before|a lock was not granted/)
    await leave(4)
    await other.query('commit')
    await back.end()

    expect(compareFacts(before, factsOf(await modelOf(database, table)))).toEqual([])
    await expectRows(app, table, ROWS - 3)
    await expect(app.query(sql`delete from ${quoted(users)} where id = 5`)).rejects.toThrow(/of user/)
  })
})

/** Has read the table, and goes on in the same transaction. */
async function isAskedFor(database: Database, table: TableName, mode: string): Promise<boolean> {
  const { rowCount } = await database.admin(
    sql`select from pg_locks where database = (select oid from pg_database where datname = current_database()) and relation = ${quoted(table).text}::regclass and mode = ${mode} and not granted`,
  )
  return rowCount === 1
}

async function openReader(database: Database, table: TableName): Promise<pg.Client> {
  const reader = await database.session('reader')
  await reader.query('begin isolation level repeatable read')
  await reader.query(sql`select from ${quoted(table)} limit 1`)
  return reader
}

interface Filled {
  readonly table: TableName
  readonly app: pg.Client
}

/** Rows in the order of their ids, some ten a block; those that are `gone` have left room where they were. */
async function filled(database: Database, gone = 'false'): Promise<Filled> {
  const table = database.table('ledger')
  const app = await database.session('app')
  const place = quoted(table).text
  await app.query(`
    create table ${place} (id int constraint ledger_pkey primary key, slot int unique, moved boolean not null default false,
      padding text default repeat('-', 700)) with (autovacuum_enabled = off)`)
  await app.query(`insert into ${place} (id, slot) select n, n from generate_series(1, ${ROWS}) n`)
  await app.query(`delete from ${place} where ${gone}`)
  await app.query(`vacuum analyze ${place}`)
  return { table, app }
}

/** Batches as large as those of users, and chunks of a block, so that one of them can be held. */
const ROOMY = { chunkBlocks: 1, batchEntries: 5_000, shortLog: 500 }

async function heldAt(
  database: Database,
  table: TableName,
  id: number,
  request: Partial<RebuildRequest> = {},
  options: Partial<EngineOptions> = {},
) {
  const hold = await Hold.at(database, `id = ${id}`)
  const rebuilding = new Rebuilding(database, table, { keep: hold.keep, ...request }, options)
  await Promise.race([hold.reached(), rebuilding.end()])
  return { hold, rebuilding }
}

/** A rebuild that has copied everything, caught up once, and waits for the shadow to be free to build indexes. */
async function stoppedBeforeIndexes(database: Database, table: TableName) {
  const { hold, rebuilding } = await heldAt(database, table, 300)
  const shadow = { schema: table.schema, name: await rebuilding.shadow(database) }
  const blocker = await database.session('blocker')
  await blocker.query('begin')
  await blocker.query(sql`lock table ${quoted(shadow)} in row exclusive mode`.text)
  await hold.release()
  await rebuilding.began('index:ledger_pkey')
  return { rebuilding, shadow, blocker }
}

/** Writes a row anew, too large for its block; returns the block that it is in then. */
async function move(app: pg.Client, table: TableName, id: number): Promise<number> {
  await app.query(sql`update ${quoted(table)} set moved = true, padding = repeat('+', 1500) where id = ${id}`)
  return blockOf(app, table, id)
}

async function blockOf(app: pg.Client, table: TableName, id: number): Promise<number> {
  const { rows } = await app.query<{ block: number }>(
    sql`select (ctid::text::point)[0]::int as block from ${quoted(table)} where id = ${id}`,
  )
  return rows[0]?.block ?? -1
}

async function logNames(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ log: string }>('select log_name as log from ebb.capture')
  return rows.map(({ log }) => log)
}

async function logged(database: Database): Promise<number> {
  const [log] = await logNames(database)
  const { rows: counted } = await database.admin<{ n: number }>(`select count(*)::int as n from ebb."${log}"`)
  return counted[0]?.n ?? -1
}

/** The sessions that wait to make sure of the lease, the earlier first. */
async function waitingForLease(database: Database): Promise<number[]> {
  const { rows } = await database.admin<{ pid: number }>(`
    select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%"lease"%for share%' order by xact_start`)
  return rows.map(({ pid }) => pid)
}

/** Sessions that read rows, or have read them in a transaction that is still open. */
async function reading(database: Database): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(`
    select count(*)::int as n from pg_stat_activity
    where datname = current_database() and query like 'copy %' and state <> 'idle'`)
  return rows[0]?.n ?? -1
}

async function chunks(database: Database): Promise<number> {
  return (await database.admin<{ n: number }>('select count(*)::int as n from ebb.chunk')).rows[0]?.n ?? -1
}

async function copiedRows(database: Database): Promise<number> {
  const { rows } = await database.admin<{ n: number }>('select coalesce(sum(rows), 0)::int as n from ebb.chunk')
  return rows[0]?.n ?? 0
}

async function expectRows(app: pg.Client, table: TableName, n: number, { moved = 0 } = {}): Promise<void> {
  const { rows } = await app.query(
    sql`select count(*)::int as n, count(distinct id)::int as ids, count(*) filter (where moved)::int as moved from ${quoted(table)}`,
  )
  expect(rows).toEqual([{ n, ids: n, moved }])
}
