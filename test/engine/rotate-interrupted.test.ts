import { EbbError } from '../../src/errors.ts'
import { asError } from '../../src/engine/many-tables.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { readServer } from '../../src/catalog/server-model.ts'
import { withSession } from '../../src/db/session.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { readSituation } from '../../src/engine/rotate/read-situation.ts'
import { retire } from '../../src/engine/rotate/retire.ts'
import { withTable } from '../../src/engine/table-context.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { exitCodeOfRotation } from '../../src/cli/exit-codes.ts'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { isWaiting, until } from '../support/until.ts'
import { verifyWrites } from '../support/verify-writes.ts'
import { startWriters } from '../support/writers.ts'
import {
  countOf,
  isThere,
  journalOf,
  leafOf,
  monthlyEvents,
  monthsOf,
  options,
  planOf,
  request,
  rotateOne,
} from './rotate-support.ts'

/** What another tool leaves that gives up while a reader keeps it waiting. */
async function halfDetach(database: Database, table: TableName, leaf: TableName): Promise<void> {
  const reader = await database.session('reader')
  const tool = await database.session('other tool')
  await reader.query('begin')
  await reader.query(sql`select from ${quoted(table)} limit 1`)
  const detaching = tool
    .query(sql`alter table ${quoted(table)} detach partition ${quoted(leaf)} concurrently`)
    .catch((error: unknown) => error)
  await until(() => isWaiting(reader, 'other tool'))
  await database.admin(`select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'other tool'`)
  await detaching
  await reader.query('rollback')
  const { rowCount } = await database.admin('select from pg_inherits where inhdetachpending')
  expect(rowCount).toBe(1)
}

describe('an interrupted detach', () => {
  test('of an old partition is finished first, whichever process left it', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const old = leafOf(database, table, -4)
    await halfDetach(database, table, old)
    expect((await planOf(database, table, { keep: '2 months' })).finalize).toHaveLength(1)

    const report = await rotateOne(database, table, { keep: '2 months' })
    expect(report.failed).toEqual([])
    expect(report.finalized).toEqual([old])
    expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
    expect((await journalOf(database, table))[0]).toBe('finalized')
    // It was not us who wanted it gone, so it stays as a table.
    expect(await countOf(database, old)).toBe(1)
    expect(await isThere(database, leafOf(database, table, -3))).toBe(false)
  })

  test('of the current one is finished, and rows have a partition again', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    await halfDetach(database, table, leafOf(database, table, 0))
    await expect(database.admin(sql`insert into ${quoted(table)} (at) values (now())`)).rejects.toThrow('no partition')
    await rotateOne(database, table)
    await database.admin(sql`insert into ${quoted(table)} (at) values (now())`)
    expect(await monthsOf(database, table)).toEqual([-4, -3, -2, -1, 0, 1, 2, 3])
  })

  test('that cannot be finished yet does not prevent creating partitions', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    await halfDetach(database, table, leafOf(database, table, -4))
    const reader = await database.session('old reader')
    await reader.query('begin isolation level repeatable read')
    await reader.query('select count(*) from pg_class')
    const reasons: string[] = []
    const report = await rotate(
      database.url,
      request({ tables: [table], keep: '2 months' }),
      options({
        lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1000, deadlineMs: 300 },
        observer: (event) => void (event.type === 'waiting' && reasons.push(event.reason)),
      }),
    )
    expect(exitCodeOfRotation(report)).toBe(75)
    expect(reasons[0]).toContain('old reader')
    expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    await reader.query('commit')
    expect((await rotateOne(database, table, { keep: '2 months' })).failed).toEqual([])
    expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
  })
})

describe('a rotation killed between detach and drop', () => {
  /** A reader of the referenced table lets the partition be detached, and keeps it from being dropped. */
  async function detachedNotDropped(database: Database): Promise<TableName> {
    const kinds = database.table('kinds')
    const session = await database.session('setup')
    await session.query(sql`create table ${quoted(kinds)} (kind int primary key)`)
    const columns = sql`id bigint generated always as identity, at timestamptz not null, kind int references ${quoted(kinds)}, primary key (id, at)`
    const table = await monthlyEvents(database, -3, 1, 'events', columns)
    const reader = await database.session('reader')
    await reader.query('begin')
    await reader.query(sql`select from ${quoted(kinds)}`)
    const stop = new AbortController()
    const rotating = rotateOne(database, table, { keep: '2 months' }, { signal: stop.signal })
    await until(async () => (await journalOf(database, table).catch((): string[] => [])).includes('detached'))
    stop.abort()
    const report = await rotating
    expect(report.failed).toHaveLength(1)
    expect(report.created).toHaveLength(3)
    await reader.query('rollback')
    expect(await isThere(database, leafOf(database, table, -3))).toBe(true)
    return table
  }

  test('is completed by the next one', async ({ database }) => {
    const table = await detachedNotDropped(database)
    const report = await rotateOne(database, table, { keep: '2 months' })
    expect(report.failed).toEqual([])
    expect(report.retired.map(({ outcome }) => outcome)).toEqual(['dropped'])
    expect(await isThere(database, leafOf(database, table, -3))).toBe(false)
    expect((await database.admin('select from ebb.retirement')).rows).toEqual([])
  })

  test('never drops another table of the same name', async ({ database }) => {
    const table = await detachedNotDropped(database)
    const left = leafOf(database, table, -3)
    await database.admin(sql`alter table ${quoted(left)} rename to kept`)
    const session = await database.session('somebody')
    await session.query(sql`create table ${quoted(left)} (precious text)`)
    const report = await rotateOne(database, table, { keep: '2 months' })
    expect(report.failed).toEqual([])
    expect(report.retired).toEqual([])
    expect(await isThere(database, left)).toBe(true)
    expect(await isThere(database, { schema: left.schema, name: 'kept' })).toBe(true)
  })
})

describe('another session working on the set', () => {
  test('is waited for by polling, and no one queues behind us', async ({ database }) => {
    const table = await monthlyEvents(database, -3, 1)
    const reader = await database.session('long reader')
    await reader.query('begin')
    await reader.query(sql`select from ${quoted(table)}`)
    const reasons: string[] = []
    const rotating = rotateOne(
      database,
      table,
      { keep: '2 months' },
      { observer: (event) => void (event.type === 'waiting' && reasons.push(event.reason)) },
    )
    await until(() => reasons.length > 2)
    const { rowCount } = await database.admin('select from pg_inherits where inhdetachpending')
    expect(rowCount).toBe(0)
    expect(reasons.at(-1)).toContain('long reader')
    await reader.query('commit')
    expect((await rotating).retired).toHaveLength(1)
  })

  test('reading the partition itself makes us yield to the queue; the detach is finished later', async ({
    database,
    judgeTimes,
  }) => {
    const table = await monthlyEvents(database, -3, 1)
    const leaf = leafOf(database, table, -3)
    const first = await database.session('first reader')
    const second = await database.session('second reader')
    await first.query('begin')
    await first.query(sql`select from ${quoted(leaf)}`)
    const notes: string[] = []
    const rotating = rotateOne(
      database,
      table,
      { keep: '2 months' },
      { observer: (event) => void (event.type === 'note' && notes.push(event.text)) },
    )
    await until(async () => (await database.admin('select from pg_inherits where inhdetachpending')).rowCount === 1)
    const began = performance.now()
    await second.query(sql`select from ${quoted(leaf)}`)
    const waitedMs = performance.now() - began
    expect(notes.join()).toContain('is waiting for us')
    await first.query('commit')
    expect((await rotating).retired.map(({ outcome }) => outcome)).toEqual(['dropped'])
    expect(await isThere(database, leaf)).toBe(false)
    await judgeTimes(() => expect(waitedMs).toBeLessThan(250))
  })
})

test('a partition whose row type is used elsewhere, or that a trigger elsewhere is from, stays attached', async ({
  database,
}) => {
  const table = await monthlyEvents(database, -5, 1)
  const session = await database.session('setup')
  const user = database.table('user of the type')
  const nothing = database.table('nothing')
  await session.query(sql`create table ${quoted(user)} (one ${raw(quoted(leafOf(database, table, -5)).text)})`)
  await session.query(
    sql`create function ${quoted(nothing)}() returns trigger language plpgsql as 'begin return null; end'`,
  )
  await session.query(
    sql`create constraint trigger watcher after insert on ${quoted(user)} from ${quoted(leafOf(database, table, -4))} for each row execute function ${quoted(nothing)}()`,
  )
  const report = await rotateOne(database, table, { keep: '2 months' })
  expect(report.skipped.map(({ reason }) => reason).filter((reason) => reason.startsWith('other'))).toEqual([
    expect.stringContaining('other objects depend on it: table'),
    expect.stringContaining('other objects depend on it: trigger watcher on table'),
  ])
  expect(report.created).toHaveLength(3)
  expect(await monthsOf(database, table)).toEqual([-5, -4, -2, -1, 0, 1, 2, 3])
})

test('killed repeatedly, it is completed by the next that is not', async ({ database }) => {
  const table = await monthlyEvents(database, -12, 1)
  await rotateOne(database, table) // so that the policy and the runway are there
  const leaves = Array.from({ length: 10 }, (_, i) => leafOf(database, table, i - 12))
  const { text } = sql`insert into ${quoted(table)} (token, at) values ($1, now())`
  const writers = await startWriters(database, { insert: (token) => ({ text, values: [token] }) })
  for (const afterMs of [5, 10, 20, 30, 40, 50, 60, 80]) {
    const rotating = rotateOne(database, table, { keep: '2 months' }).catch((error: unknown) => error)
    await until(
      async () =>
        (
          await database.admin(
            `select from pg_locks l join pg_stat_activity a using (pid) where datname = current_database() and application_name like 'ebb rotate%'`,
          )
        ).rowCount,
      { timeoutMs: 1000 },
    ).catch(() => {})
    await sleep(afterMs)
    await database.admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'ebb rotate%' and datname = current_database()`,
    )
    await rotating
  }
  const report = await rotateOne(database, table, { keep: '2 months' })
  expect(report.failed).toEqual([])
  expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
  for (const leaf of leaves) expect(await isThere(database, leaf)).toBe(false)
  expect((await database.admin('select from ebb.retirement')).rows).toEqual([])
  const written = await writers.stop()
  expect(written.errors).toEqual([])
  await verifyWrites(await database.session('judge'), table, 'token', written, 4)
})

test('two at once: the second names the first', async ({ database }) => {
  const table = await monthlyEvents(database, -4, 1)
  const holder = await database.session('holder')
  await holder.query('begin')
  await holder.query(sql`lock table only ${quoted(table)} in access share mode`)
  const waits = new AbortController()
  const observer: EngineOptions['observer'] = ({ type }) => {
    if (type === 'waiting') waits.abort()
  }
  const first = rotateOne(database, table, { keep: '2 months' }, { observer })
  await until(() => Promise.resolve(waits.signal.aborted))
  const second = await rotateOne(database, table, { keep: '2 months' })
  expect(second.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining('is running on')])
  await holder.query('rollback')
  expect((await first).failed).toEqual([])
  expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
})

test('a partition whose bounds changed since the plan is left alone', async ({ database }) => {
  const table = await monthlyEvents(database, -3, 1)
  const server = await withSession(database.url, 'test', (session) => readServer(session, 'ebb'))
  await withTable({ target: database.url, server, ...options(), command: 'rotate' }, table, async (context) => {
    const situation = await readSituation(context.session, server, table, 'ebb', 'thorough')
    const plan = planRotation(situation!, request({ keep: '2 months' }))
    const old = quoted(plan.retire[0]!.partition.name)
    const somebody = await database.session('somebody')
    await somebody.query(sql`alter table ${quoted(table)} detach partition ${old}`)
    await somebody.query(
      sql`alter table ${quoted(table)} attach partition ${old} for values from (minvalue) to (${raw(plan.retire[0]!.partition.range!.toText === null ? '' : `'${plan.retire[0]!.partition.range!.toText}'`)})`,
    )
    const retiring = {
      context,
      set: situation!.set,
      plan,
      lockLimits: LOCK_LIMITS,
      steps: plan.steps,
      store: null,
      holdsAccepted: false,
    }
    await expect(retire(retiring, plan.retire[0]!)).rejects.toThrow('its bounds are FOR VALUES FROM (MINVALUE)')
  })
  expect(await isThere(database, leafOf(database, table, -3))).toBe(true)
})

test('partitions that exchange names during the run: the one that now has the name is kept', async ({ database }) => {
  const table = await monthlyEvents(database, -3, 4)
  const [old, young, between] = [-3, 0, 'between'].map((offset) => leafOf(database, table, offset))
  const holder = await database.session('holder')
  await holder.query('begin')
  await holder.query(sql`lock table only ${quoted(table)} in access share mode`)
  const waited = new AbortController()
  const observer: EngineOptions['observer'] = ({ type }) => {
    if (type === 'waiting') waited.abort()
  }
  const rotating = rotateOne(database, table, { keep: '2 months' }, { observer })
  await until(() => Promise.resolve(waited.signal.aborted))
  const somebody = await database.session('somebody')
  for (const [from, to] of [
    [old, between],
    [young, old],
    [between, young],
  ] as const)
    await somebody.query(sql`alter table ${quoted(from!)} rename to ${ident(to!.name)}`)
  await holder.query('rollback')
  const { failed, retired } = await rotating
  expect(retired).toEqual([])
  expect(failed.map(({ error }) => error.message).join()).toMatch(/has changed since the plan was made: it is gone/)
  expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
})

test('a lost connection is retryable in every form', () => {
  const told = asError(new Error('Client has encountered a connection error and is not queryable'))
  expect(told).toBeInstanceOf(EbbError)
  expect((told as EbbError).kind).toBe('try later')
  expect(asError(new Error('other')).message).toBe('other')
})
