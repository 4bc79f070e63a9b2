import { setTimeout } from 'node:timers/promises'
import type pg from 'pg'
import { describe, expect } from 'vitest'
import { backendPid } from '../../src/db/pooler.ts'
import { openSession } from '../../src/db/session.ts'
import { LOCK_LIMITS, underShortLocks } from '../../src/engine/locks/short-locks.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import type { Event } from '../../src/events.ts'
import { quoted } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents, type EventsTable } from '../support/events-table.ts'
import { startTool } from '../support/process.ts'
import { callFunction, readThrough } from '../support/reads.ts'
import { OWNER } from '../support/template.ts'
import { modelOf, monthly, persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { verifyWrites } from '../support/verify-writes.ts'
import { startWriters, type Writers } from '../support/writers.ts'
import { partition } from '../support/commands.ts'

// Who holds a lock is waited for by looking, not by queueing: everybody else goes on.

const ROWS = 500
/** The role of the tool in these tests. */
const SUPERUSER = process.env.EBB_TEST_ROLE === 'superuser'
/** Promised: nobody waits longer because of us. */
const LONGEST_WAIT_MS = 250

/** Keeps the primary key, so that the first thing to be done is under lock. */
const byId = monthly({ by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' })

interface Holder {
  readonly who: string
  /** As the administrator, whose doings are hidden from the tool. */
  readonly hidden?: true
  readonly hold: (client: pg.Client, parts: EventsTable) => Promise<unknown>
  /** How the tool calls it. */
  readonly named: RegExp
  /** How many attempts may queue behind it; none, if not said. */
  readonly mostQueued?: number
}

const HOLDERS: readonly Holder[] = [
  {
    who: 'a reader idle in transaction',
    hold: (client, { events }) => client.query(sql`select from ${quoted(events)} limit 1`),
    named: /pid \d+ \(holder, \w+\), idle in transaction for \d+ s: select/,
  },
  {
    who: 'a reader through a view on a view',
    hold: (client, { viewOnView }) => client.query(sql`select from ${quoted(viewOnView)} limit 1`),
    named: /pid \d+ \(holder, \w+\), idle in transaction/,
  },
  {
    who: 'a writer’s open transaction',
    hold: (client, { events }) =>
      client.query(sql`insert into ${quoted(events)} (user_id, kind, token) values (1, 'open', 'open')`),
    named: /pid \d+ \(holder, \w+\), idle in transaction for \d+ s: insert/,
  },
  {
    who: 'an administrator’s transaction, of which little can be seen',
    hidden: true,
    hold: (client, { events }) => client.query(sql`select from ${quoted(events)} limit 1`),
    mostQueued: 1, // the first attempt, which begins to count how long it has been there
    named: /pid \d+ \(holder, postgres\), holding AccessShareLock \(its query is hidden from this role\)/,
  },
  {
    who: 'somebody who holds what an autovacuum would hold',
    hold: (client, { events }) => client.query(sql`lock table ${quoted(events)} in share update exclusive mode`),
    named: /pid \d+ \(holder, \w+\), idle in transaction/,
  },
  {
    who: 'an administrator who holds what an autovacuum would hold',
    hidden: true,
    hold: (client, { events }) => client.query(sql`lock table ${quoted(events)} in share update exclusive mode`),
    mostQueued: Infinity, // it may be an autovacuum, and an attempt would cancel that
    named: /pid \d+ \(holder, postgres\), holding ShareUpdateExclusiveLock/,
  },
]

describe('a conflicting lock', () => {
  test.for(HOLDERS)(
    'held by $who is named, waited for until the deadline, and blocks no one else',
    async (holder, { database, skip, judgeTimes }) => {
      if (holder.hidden && SUPERUSER) skip('from a superuser nothing is hidden')
      const parts = await createEvents(database, { rows: ROWS })
      const { events } = parts
      const before = await modelOf(database, events)
      const client = await database.session('holder', holder.hidden ? { admin: true } : {})
      await client.query('begin')
      await holder.hold(client, parts)
      await setTimeout(250) // by then it is no short transaction
      const writers = await application(database, parts)
      const options = quietly({ lockLimits: { ...LOCK_LIMITS, deadlineMs: 1_500 } })

      const failure = await partition(database.url, written(events), byId, options).catch((error: unknown) => error)

      expect(failure).toMatchObject({ kind: 'try later', message: expect.stringMatching(holder.named) as string })
      expect(reasons(options.events).join('\n')).toMatch(holder.named)
      const queued = reasons(options.events).filter((reason) => /not granted within lock_timeout/.test(reason))
      expect(queued.length, queued.join('\n')).toBeLessThanOrEqual(holder.mostQueued ?? 0)
      expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
      await client.query('rollback')
      await partition(database.url, written(events), byId, quietly())
      await judgeTimes(await undisturbed(database, parts, writers))
    },
  )

  test('held by a prepared transaction is named by its identifier', async ({ database, judgeTimes }) => {
    const parts = await createEvents(database, { rows: ROWS })
    const client = await database.session('holder')
    await client.query('begin')
    await client.query(
      sql`insert into ${quoted(parts.events)} (user_id, kind, token) values (1, 'prepared', 'prepared')`,
    )
    await client.query(`prepare transaction 'left ''over'`)
    const writers = await application(database, parts)
    const options = quietly({ lockLimits: { ...LOCK_LIMITS, deadlineMs: 1_000 } })

    const failure = await partition(database.url, written(parts.events), byId, options).catch((error: unknown) => error)
    await client.query(`rollback prepared 'left ''over'`)

    const named = /prepared transaction "left 'over"/
    expect(failure).toMatchObject({ kind: 'try later', message: expect.stringMatching(named) as string })
    await partition(database.url, written(parts.events), byId, quietly())
    await judgeTimes(await undisturbed(database, parts, writers))
  })

  test('on a sequence only, held by a session that called nextval, is named', async ({ database, judgeTimes }) => {
    const parts = await createEvents(database, { rows: ROWS })
    const client = await database.session('holder')
    const sequence = (await modelOf(database, parts.events)).sequences[0]?.name
    if (sequence === undefined) throw new Error('no sequence')
    await client.query('begin')
    await client.query('select nextval($1)', [quoted(sequence).text])
    const writers = await application(database, parts)
    const options = quietly({ lockLimits: { ...LOCK_LIMITS, deadlineMs: 1_000 } })

    const failure = await partition(database.url, written(parts.events), byId, options).catch((error: unknown) => error)

    const named = /pid \d+ \(holder, \w+\), idle in transaction for \d+ s: select nextval/
    expect(failure).toMatchObject({ kind: 'try later', message: expect.stringMatching(named) as string })
    await client.query('rollback')
    await partition(database.url, written(parts.events), byId, quietly())
    await judgeTimes(await undisturbed(database, parts, writers))
  })

  test('of a concurrent index build is named too, and the next run builds the index again', async ({
    database,
    judgeTimes,
  }) => {
    const parts = await createEvents(database, { rows: ROWS })
    const client = await database.session('holder')
    await client.query('begin')
    await client.query(sql`insert into ${quoted(parts.events)} (user_id, kind, token) values (1, 'open', 'open')`)
    const writers = await application(database, parts)
    const options = quietly({ lockLimits: { ...LOCK_LIMITS, deadlineMs: 1_500 } })

    const failure = await partition(database.url, written(parts.events), monthly(), options).catch(
      (error: unknown) => error,
    )

    const named = /for pid \d+ \(holder\), idle in transaction/
    expect(failure).toMatchObject({ kind: 'try later', message: expect.stringMatching(named) as string })
    await client.query('rollback')
    await partition(database.url, written(parts.events), monthly(), quietly())
    await judgeTimes(await undisturbed(database, parts, writers))
  })

  test('released in time does not prevent the conversion', async ({ database, judgeTimes }) => {
    const parts = await createEvents(database, { rows: ROWS })
    const client = await database.session('holder')
    await client.query('begin')
    await client.query(sql`select from ${quoted(parts.events)} limit 1`)
    const writers = await application(database, parts)

    const converted = partition(database.url, written(parts.events), byId, quietly())
    await setTimeout(1_000)
    await client.query('commit')

    expect((await converted).nothingToDo).toBe(false)
    await judgeTimes(await undisturbed(database, parts, writers))
  })

  test('held repeatedly for short periods by many sessions is obtained eventually', async ({
    database,
    judgeTimes,
  }) => {
    const parts = await createEvents(database, { rows: ROWS })
    const stop = new AbortController()
    const busy = Array.from({ length: 4 }, (_, i) => comeAndGo(database, parts, i, stop.signal))
    const writers = await application(database, parts)

    const { swap } = await partition(database.url, written(parts.events), byId, quietly())

    stop.abort()
    const errors = (await Promise.all(busy)).flat()
    expect(errors).toEqual([])
    const isUndisturbed = await undisturbed(database, parts, writers, null)
    await judgeTimes(() => {
      expect(swap?.longestWaitCausedMs).toBeLessThan(LONGEST_WAIT_MS)
      isUndisturbed()
    })
  })
})

describe('an autovacuum', () => {
  const eager = { autovacuum_naptime: '1s', autovacuum_max_workers: '6', autovacuum_freeze_max_age: '100000' }

  test('of the ordinary kind is cancelled', async ({ ownServer, judgeTimes }) => {
    const { database } = await ownServer(eager)
    const parts = await createEvents(database, { rows: 50_000 })
    await slowDownVacuum(database, parts)
    await database.admin(
      sql`alter table ${quoted(parts.events)} set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100)`,
    )
    await database.admin(sql`update ${quoted(parts.events)} set kind = 'changed' where id % 10 = 0`)
    await until(() => isVacuumed(database, parts, 'autovacuum'), {
      what: 'an autovacuum of the table',
    })
    const writers = await application(database, parts)

    await partition(database.url, written(parts.events), byId, quietly())

    await judgeTimes(await undisturbed(database, parts, writers, 50_000))
  })

  test('to prevent wraparound is allowed to finish', async ({ ownServer, judgeTimes }) => {
    const { database } = await ownServer(eager)
    const parts = await createEvents(database, { rows: 50_000 })
    await slowDownVacuum(database, parts)
    await database.admin(sql`alter table ${quoted(parts.events)} set (autovacuum_enabled = false)`) // but for this purpose
    await burnTransactions(database, 110_000)
    await until(() => isVacuumed(database, parts, 'to prevent wraparound'), {
      what: 'an autovacuum of the table',
    })
    const writers = await application(database, parts)
    const attempt = () =>
      partition(
        database.url,
        written(parts.events),
        byId,
        quietly({ lockLimits: { ...LOCK_LIMITS, deadlineMs: 3_000 } }),
      ).catch((error: unknown) => error)

    const asOwner = await attempt()
    await database.admin(sql`grant pg_read_all_stats to ${ident(OWNER)}`)
    const seeingAll = await attempt()

    const seen = SUPERUSER ? /an autovacuum to prevent wraparound/ : /pid \d+.*holding ShareUpdateExclusiveLock/
    expect(asOwner).toMatchObject({ kind: 'try later', message: expect.stringMatching(seen) as string })
    expect(seeingAll).toMatchObject({
      kind: 'try later',
      message: expect.stringMatching(/an autovacuum to prevent wraparound.*has to finish/) as string,
    })
    expect(await isVacuumed(database, parts, 'to prevent wraparound')).toBe(true)
    await hurryVacuum(database, parts)
    await partition(database.url, written(parts.events), byId, quietly())
    await judgeTimes(await undisturbed(database, parts, writers, 50_000))
  })
})

describe('a process suspended while it holds the locks of the swap', () => {
  test('loses them soon, and its run can be finished', async ({ database, judgeTimes }) => {
    const parts = await createEvents(database, { rows: ROWS })
    const administrator = await database.session('administrator', { admin: true })
    await slowDownSwap(database, parts)
    const writers = await application(database, parts)

    const tool = startTool({ command: 'partition', url: database.url, table: parts.events, request: byId })
    const renaming = 'alter table % rename to %'
    await until(() => isLockedByTool(administrator, parts, renaming), {
      what: 'the lock of the swap',
    })
    const stopped = performance.now()
    tool.signal('SIGSTOP')
    await until(async () => !(await isLockedByTool(administrator, parts)), { what: 'the lock to be let go' })
    const heldMs = performance.now() - stopped
    tool.signal('SIGCONT')

    expect(heldMs).toBeGreaterThan(1_000) // or it had not been stopped in time
    expect(await tool.end()).toBe(EXIT.tryLater)
    await database.admin('drop event trigger slow')
    await persevere(() => partition(database.url, written(parts.events), byId, quietly()))
    const report = await writers.stop()
    expect(report.errors).toEqual([])
    await verifyWrites(administrator, parts.events, 'token', report, ROWS)
    await judgeTimes(() => expect(heldMs).toBeLessThan(4_000))
  })
})

describe('a commit that takes long', () => {
  test('for a synchronous standby: the locks are free meanwhile, and the end is reported when it has it', async ({
    ownServer,
  }) => {
    const { database } = await ownServer()
    const { events } = await createEvents(database, { rows: 1 })
    const app = await database.session('app')
    const pairs = await Promise.all([openSession(database.url, 'test'), openSession(database.url, 'test')])
    const [session, control] = pairs
    await control.query('set synchronous_commit = local')
    await database.admin(`alter system set synchronous_standby_names = 'absent'`)
    await database.admin('select pg_reload_conf()')
    await until(
      async () =>
        (await app.query<{ is: boolean }>(`select current_setting('synchronous_standby_names') = 'absent' as is`))
          .rows[0]?.is,
    )

    const comment = sql`comment on table ${quoted(events)} is 'swapped'`
    const done = { yet: false }
    const swapping = underShortLocks(
      {
        session,
        pid: await backendPid(session),
        control,
        deadlockTimeoutMs: 1_000,
        durable: async () => void (await session.query(sql`comment on table ${quoted(events)} is 'durable'`)),
      },
      { quiet: events, acquire: [sql`lock table ${quoted(events)}`.text], locks: [] },
      LOCK_LIMITS,
      () => {},
      new AbortController().signal,
      async () => void (await session.query(comment)),
    ).then((times) => {
      done.yet = true
      return times
    })
    const administrator = await database.session('administrator', { admin: true })
    const waiting = `select from pg_stat_activity where datname = current_database() and application_name = 'ebb test' and wait_event = 'SyncRep'`
    await until(async () => (await administrator.query(waiting)).rowCount === 1, { what: 'the wait for the standby' })
    await app.query(`set lock_timeout = '1s'`)
    await app.query(sql`select from ${quoted(events)}`)
    expect(done.yet).toBe(false)

    await database.admin('alter system reset synchronous_standby_names')
    await database.admin('select pg_reload_conf()')
    expect((await swapping).heldMs).toBeLessThan(1_000)
    await Promise.all(pairs.map((one) => one.end()))
  })
})

test('what is committed is not done again, where it could not be made durable', async ({ database }) => {
  const { events } = await createEvents(database, { rows: 1 })
  const [session, control] = await Promise.all([openSession(database.url, 'test'), openSession(database.url, 'test')])
  const row = sql`select from ${quoted(events)} for update`
  const other = await database.session('other')
  await other.query('begin')
  await other.query(row)
  let times = 0
  const locking = underShortLocks(
    {
      session,
      pid: await backendPid(session),
      control,
      deadlockTimeoutMs: 1_000,
      durable: async () => void (await session.query(row)),
    },
    { quiet: null, acquire: [], locks: [] },
    { ...LOCK_LIMITS, deadlineMs: 1_000 },
    () => {},
    new AbortController().signal,
    () => Promise.resolve(void times++),
  )
  await expect(locking).rejects.toMatchObject({ code: '55P03' })
  expect(times).toBe(1)
  await Promise.all([session.end(), control.end()])
})

describe('for any lock order of the application', () => {
  test('repeated conversion and rollback cause no deadlock in it', async ({ database, judgeTimes }) => {
    const parts = await createEvents(database, { rows: ROWS, id: 'serial' })
    const notes = database.table('notes')
    const owner = await database.session('owner')
    await owner.query(
      sql`create table ${quoted(notes)} (event_id bigint references ${quoted(parts.events)} (id), note text)`,
    )
    const stop = new AbortController()
    const sequence = quoted((await modelOf(database, parts.events)).sequences[0]!.name).text
    const story = (name: string, statements: readonly string[]) => tell(database, name, statements, stop.signal)
    const [events, users, view] = [quoted(parts.events).text, quoted(parts.users).text, quoted(parts.view).text]
    const stories = [
      story('parent first', [
        `update ${users} set name = name || '.' where id = 5`,
        `insert into ${events} (user_id, kind) values (5, 'x')`,
      ]),
      story('child first', [
        `insert into ${events} (user_id, kind) values (6, 'x')`,
        `update ${users} set name = name || '.' where id = 6`,
      ]),
      // Of a serial: the sequence of an identity is another one after the swap.
      story('number first', [
        `select nextval('${sequence.replaceAll("'", "''")}')`,
        `insert into ${events} (user_id, kind) values (7, 'x')`,
      ]),
      story('view first', [`select * from ${view} limit 1`, `insert into ${events} (user_id, kind) values (8, 'x')`]),
      story('table first', [`select id from ${events} limit 1`, `select * from ${view} limit 1`]),
      story('notes', [`insert into ${quoted(notes).text} select max(id), 'n' from ${events}`]),
    ]

    const begun = performance.now()
    for (let i = 0; i < 3; i++) {
      const { runId } = await partition(database.url, written(parts.events), byId, quietly())
      await rollback(database.url, { runId }, quietly())
    }
    console.log(`three conversions and three returns in ${Math.round(performance.now() - begun)} ms`)

    stop.abort()
    const told = await Promise.all(stories)
    expect(told.flatMap(({ errors }) => errors)).toEqual([])
    for (const { name, times } of told) expect([name, times > 20]).toEqual([name, true])
    const longest = Math.max(...told.map(({ longestMs }) => longestMs))
    await judgeTimes(() => expect(longest).toBeLessThan(LONGEST_WAIT_MS * 2)) // of two statements and a pause
  })
})

async function application(database: Database, { events, view, countFunction }: EventsTable): Promise<Writers> {
  return startWriters(database, {
    insert: (token) => ({
      text: `insert into ${quoted(events).text} (user_id, kind, token) values ($1, 'click', $2)`,
      values: [1 + Math.floor(Math.random() * 100), token],
    }),
    reads: [readThrough(view, 'id'), callFunction(countFunction)],
    pauseMs: 10,
  })
}

/** Nothing is lost, and nothing has failed; what comes back expects that nobody has waited. */
async function undisturbed(
  database: Database,
  { events }: EventsTable,
  writers: Writers,
  rows: number | null = ROWS,
): Promise<() => void> {
  const report = await writers.stop()
  expect(report.errors).toEqual([])
  if (rows !== null) await verifyWrites(await database.session('check'), events, 'token', report, rows)
  return () => expect(report.longestWaitMs).toBeLessThan(LONGEST_WAIT_MS)
}

function reasons(events: readonly Event[]): string[] {
  return events.flatMap((event) => (event.type === 'waiting' ? [event.reason] : []))
}

/** Short transactions without end, one after the other. */
async function comeAndGo(
  database: Database,
  { events }: EventsTable,
  i: number,
  signal: AbortSignal,
): Promise<unknown[]> {
  const client = await database.session(`busy ${i}`)
  const errors: unknown[] = []
  while (!signal.aborted) {
    try {
      await client.query('begin')
      await client.query(sql`select from ${quoted(events)} limit 1`)
      await client.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'busy')`)
      await setTimeout(10)
      await client.query('commit')
    } catch (error) {
      errors.push(error)
      await client.query('rollback')
    }
  }
  return errors
}

interface Told {
  readonly name: string
  readonly times: number
  readonly longestMs: number
  readonly errors: readonly string[]
}

/** The statements in one transaction with a moment between them, again and again. */
async function tell(
  database: Database,
  name: string,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<Told> {
  const client = await database.session(name)
  const errors: string[] = []
  let [times, longestMs] = [0, 0]
  for (; !signal.aborted; times++) {
    const begun = performance.now()
    try {
      await client.query('begin')
      for (const statement of statements) {
        await client.query(statement)
        await setTimeout(2)
      }
      await client.query('commit')
    } catch (error) {
      errors.push(`${name}: ${String(error)}`)
      await client.query('rollback')
    }
    longestMs = Math.max(longestMs, performance.now() - begun)
    await setTimeout(5)
  }
  return { name, times, longestMs, errors }
}

async function isVacuumed(
  database: Database,
  { events }: EventsTable,
  why: 'autovacuum' | 'to prevent wraparound',
): Promise<boolean> {
  const { rowCount } = await database.admin(
    sql`select from pg_stat_progress_vacuum join pg_stat_activity using (pid)
        where relid = ${quoted(events).text}::regclass and query like ${`%${why}%`}`,
  )
  return rowCount === 1
}

/** So slow that a test can watch. */
async function slowDownVacuum(database: Database, { events }: EventsTable): Promise<void> {
  await database.admin(
    sql`alter table ${quoted(events)} set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)`,
  )
}

/** A vacuum has read its settings before it asks for its lock: all that have begun meanwhile are as slow, and others take their place. */
async function hurryVacuum(database: Database, { events }: EventsTable): Promise<void> {
  let hurried = false
  const hurry = database
    .admin(sql`alter table ${quoted(events)} reset (autovacuum_vacuum_cost_delay, autovacuum_vacuum_cost_limit)`)
    .finally(() => (hurried = true))
  while (!hurried) {
    await setTimeout(200)
    if (!hurried) await terminateVacuums(database)
  }
  await hurry
  // Whoever was in the queue behind that statement is at work now.
  await setTimeout(500)
  await terminateVacuums(database)
}

async function terminateVacuums(database: Database): Promise<void> {
  await database.admin(
    `select pg_terminate_backend(pid) from pg_stat_progress_vacuum where datname = current_database()`,
  )
}

async function burnTransactions(database: Database, count: number): Promise<void> {
  await database.admin(sql`
    create procedure burn(n int) language plpgsql as $$
    begin for i in 1..n loop perform pg_current_xact_id(); commit; end loop; end $$`)
  const administrator = await database.session('burner', { admin: true })
  await administrator.query('set synchronous_commit = off')
  await administrator.query(`call burn(${count})`)
}

/** Makes creating tables slow for whoever holds the table. */
async function slowDownSwap(database: Database, { events }: EventsTable): Promise<void> {
  await database.admin(`
    create function slow() returns event_trigger language plpgsql security definer as $$
    begin
      if exists (select from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock' and granted
          and relation = (select c.oid from pg_class c where c.relname like '%history' and relkind = 'r')) then
        perform pg_sleep(0.3);
      end if;
    end $$;
    create event trigger slow on ddl_command_end when tag in ('CREATE TABLE') execute function slow();
    comment on function slow() is ${"'" + events.name.replaceAll("'", "''") + "'"}`)
}

/** While it is at such a statement, or has come to it last. */
async function isLockedByTool(administrator: pg.Client, { events }: EventsTable, query = '%'): Promise<boolean> {
  const { rowCount } = await administrator.query(sql`
    select from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where a.datname = current_database() and l.granted and l.mode = 'AccessExclusiveLock' and a.application_name like 'ebb partition %' and a.state <> 'idle'
      and a.query like ${query} and l.relation = (select oid from pg_class where relname = ${events.name} and relkind = 'r')`)
  return rowCount !== 0
}
