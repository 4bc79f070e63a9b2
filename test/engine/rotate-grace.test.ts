import { describe, expect, onTestFinished } from 'vitest'
import type { SetReport } from '../../src/engine/commands/rotate.ts'
import { planReattachOf, reattach } from '../../src/engine/commands/reattach.ts'
import { status } from '../../src/engine/runs/status.ts'
import { ObjectionsError } from '../../src/errors.ts'
import type { Step } from '../../src/plan/language/step.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import {
  countOf,
  isThere,
  journalOf,
  leafOf,
  monthlyEvents,
  monthsOf,
  options,
  planOf,
  rotateOne,
} from './rotate-support.ts'

const GRACED = { keep: '2 months', grace: '7 days' }
const HOLD = { hold: { count: 30, unit: 'day' }, accept: [] } as const

/** A set whose partitions of three and four months ago are detached for a week. */
async function graced(database: Database): Promise<{ readonly table: TableName; readonly old: TableName }> {
  const table = await monthlyEvents(database, -4, 1)
  const report = await rotateOne(database, table, GRACED)
  expect(report.failed).toEqual([])
  return { table, old: leafOf(database, table, -4) }
}

/** Why detached partitions stay. */
function reasonsOf({ skipped }: SetReport): string[] {
  return skipped.flatMap(({ reason }) => (reason.startsWith('it was detached') ? [reason] : []))
}

/** As if all of it had been detached that much earlier. */
async function later(database: Database, by: string): Promise<void> {
  await database.admin(
    sql`update ${ident('ebb', 'retirement')} set detached_at = detached_at - ${by}::interval, since = since - ${by}::interval`,
  )
}

describe('a grace period', () => {
  test('a partition stays as a table until it is over, is listed with its day, and is dropped then', async ({
    database,
  }) => {
    const { table, old } = await graced(database)
    expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
    expect(await countOf(database, old)).toBe(1)
    const { detached } = await status(database.url, options())
    expect(detached.map(({ partition, kept }) => [partition, kept])).toEqual([
      [old, null],
      [leafOf(database, table, -3), null],
    ])
    expect(detached[0]!.goesAt!.getTime() - detached[0]!.detachedAt.getTime()).toBe(7 * 86_400_000)
    // What is registered counts, so the next rotations need not say it.
    const early = await rotateOne(database, table)
    expect(early.retired).toEqual([])
    expect(reasonsOf(early)[0]).toContain('ebb reattach')
    await later(database, '6 days 23 hours')
    expect((await rotateOne(database, table)).retired).toEqual([])
    await later(database, '1 hour')
    expect((await rotateOne(database, table)).retired.map(({ outcome }) => outcome)).toEqual(['dropped', 'dropped'])
    expect(await isThere(database, old)).toBe(false)
    expect(await journalOf(database, table)).toEqual(expect.arrayContaining(['detached', 'dropped']))
    expect((await database.admin('select from ebb.retirement')).rows).toEqual([])
  })

  test('what was written to, renamed, or is on hold is not dropped', async ({ database }) => {
    const { table, old } = await graced(database)
    const other = leafOf(database, table, -3)
    await database.admin(sql`update ${quoted(old)} set token = 'late'`)
    await database.admin(sql`alter table ${quoted(other)} rename to precious`)
    await later(database, '8 days')
    const report = await rotateOne(database, table)
    expect([report.failed, report.retired]).toEqual([[], []])
    expect(reasonsOf(report)).toEqual([
      expect.stringContaining('written to since'),
      expect.stringContaining('renamed, it is not dropped'),
    ])
    expect((await status(database.url, options())).detached.map(({ kept }) => kept)).toEqual(['written', 'renamed'])
    await database.admin(
      sql`alter table ${quoted({ schema: other.schema, name: 'precious' })} rename to ${ident(other.name)}`,
    )
    await database.admin(
      sql`insert into ebb.hold (schema_name, table_name, until) values (${table.schema}, ${table.name}, now() + interval '1 day')`,
    )
    expect((await rotateOne(database, table)).retired).toEqual([])
    expect((await rotateOne(database, table, { accept: ['hold'] })).retired).toHaveLength(1)
    expect((await rotateOne(database, table, { accept: ['hold', 'written'] })).retired).toHaveLength(1)
  })

  test('a write after the plan, before the lock, keeps it', async ({ database }) => {
    const { table, old } = await graced(database)
    await later(database, '8 days')
    const writer = await database.session('writer')
    await writer.query('begin')
    await writer.query(sql`update ${quoted(old)} set token = 'late'`)
    let waited = false
    const report = await rotateOne(
      database,
      table,
      {},
      {
        observer: (event) => {
          if (event.type !== 'waiting' || waited) return
          waited = true
          void writer.query('commit')
        },
      },
    )
    expect(waited).toBe(true)
    expect(report.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining('it was written to')])
    expect(await countOf(database, old)).toBe(1)
  })

  test('killed at any statement, the next rotation goes on, and the period is kept', async ({ database }) => {
    const table = await monthlyEvents(database, -5, 1)
    // Another partition is due each time.
    for (const [key, keep] of [
      ['detach:', '4 months'],
      ['watch:', '3 months'],
      ['drop:', '3 months'],
    ] as const) {
      const asked = { ...GRACED, keep, accept: ['shorter-keep'] }
      const kill = async (step: Step) => {
        if (step.key.startsWith(key))
          await database.admin(
            `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'ebb rotate%' and datname = current_database()`,
          )
      }
      if (key === 'drop:') await later(database, '8 days')
      const killing: Promise<void>[] = []
      await rotateOne(database, table, asked, {
        observer: (event) => void (event.type === 'step started' && killing.push(kill(event.step))),
      })
      await Promise.all(killing)
      expect(killing.length).toBeGreaterThan(0)
      const next = await rotateOne(database, table, asked)
      expect(next.failed).toEqual([])
      if (key === 'drop:') continue
      const { rows } = await database.admin<{ watched: boolean; left: boolean }>(sql`
        select bool_and(detached_at is not null) as watched, bool_and(detached_at > now() - interval '1 minute') as left from ebb.retirement`)
      expect(rows).toEqual([{ watched: true, left: true }])
    }
    expect(await isThere(database, leafOf(database, table, -5))).toBe(false)
    expect((await database.admin('select from ebb.retirement')).rows).toEqual([])
  })

  test('a write that nobody could notice, or that was noticed before, is not taken for none', async ({ database }) => {
    const { table, old } = await graced(database)
    const other = leafOf(database, table, -3)
    // One was written to while it was not watched, the other before its trigger was switched off.
    await database.admin(sql`drop trigger ebb_archived_write on ${quoted(old)}`)
    await database.admin(
      sql`update ${ident('ebb', 'retirement')} set detached_at = null where partition_name = ${old.name}`,
    )
    await database.admin(sql`update ${quoted(old)} set token = 'late'`)
    await database.admin(sql`update ${quoted(other)} set token = 'late'`)
    await database.admin(sql`alter table ${quoted(other)} disable trigger all`)
    const { evidence } = await planReattachOf(database.url, old, HOLD, options())
    expect(evidence.join()).toContain('whether it was written to since is not known')
    await later(database, '8 days')
    const report = await rotateOne(database, table)
    expect([report.failed, report.retired]).toEqual([[], []])
    expect(reasonsOf(report)).toEqual([
      expect.stringContaining('nothing noticed writes: its grace period begins again'),
      expect.stringContaining('it was written to since'),
    ])
    expect((await rotateOne(database, table)).retired).toEqual([])
    await later(database, '8 days')
    const last = await rotateOne(database, table)
    expect(last.retired).toMatchObject([
      { partition: old, from: expect.stringMatching(/^\d{4}-\d\d-01 00:00 UTC$/) as string },
    ])
    expect(reasonsOf(last)).toEqual([expect.stringContaining('it was written to since')])
  })

  test('a write in it still counts after an archive that was begun and failed', async ({ database }) => {
    const { table, old } = await graced(database)
    await database.admin(sql`update ${quoted(old)} set token = 'late'`)
    await later(database, '8 days')
    const folder = await archiveFolder()
    onTestFinished(folder.close)
    const stop = new AbortController()
    await rotateOne(
      database,
      table,
      { archive: archiveTo(folder.uri), noArchive: false },
      {
        signal: stop.signal,
        observer: (event) =>
          void (event.type === 'step finished' && event.step.key.startsWith('guard:') && stop.abort()),
      },
    )
    const report = await rotateOne(database, table)
    expect(reasonsOf(report)).toEqual([expect.stringContaining('it was written to since')])
    expect(await countOf(database, old)).toBe(1)
  })

  test('goes on if the table is renamed', async ({ database }) => {
    const { table, old } = await graced(database)
    await database.admin(sql`alter table ${quoted(table)} rename to events_v2`)
    await later(database, '8 days')
    await rotateOne(database, { ...table, name: 'events_v2' }, { keep: '2 months' })
    expect(await isThere(database, old)).toBe(false)
  })
})

describe('ebb reattach', () => {
  test('attaches it again without a scan, and no rotation removes it until its hold is over', async ({ database }) => {
    const { table, old } = await graced(database)
    const plan = await planReattachOf(database.url, old, HOLD, options())
    // The CHECK that PostgreSQL has left proves the bounds.
    expect(plan.steps.map(({ key }) => key.replace(/:.*/, ''))).toEqual(['attach'])
    expect(plan.objections).toEqual([])
    await reattach(database.url, old, HOLD, options())
    expect(await monthsOf(database, table)).toEqual([-4, -2, -1, 0, 1, 2, 3])
    const { rows } = await database.admin(
      sql`select from pg_trigger where tgname = 'ebb_archived_write' and tgrelid = ${quoted(old).text}::regclass`,
    )
    expect(rows).toEqual([])
    const next = await rotateOne(database, table)
    expect(next.skipped.map(({ reason }) => reason)).toContainEqual(expect.stringContaining('on hold'))
    // The hold is on its range only.
    await later(database, '8 days')
    const due = await rotateOne(database, table)
    expect(due.failed).toEqual([])
    expect(due.retired.map(({ partition }) => partition)).toEqual([leafOf(database, table, -3)])
    await database.admin(`update ebb.hold set until = now()`)
    expect((await rotateOne(database, table)).retired.map(({ partition }) => partition)).toEqual([old])
    expect(await isThere(database, old)).toBe(true)
  })

  test('a CHECK is added first where there is none, and killed in between the command is repeated', async ({
    database,
  }) => {
    const { table, old } = await graced(database)
    const { rows } = await database.admin<{ name: string }>(
      sql`select conname as name from pg_constraint where contype = 'c' and conrelid = ${quoted(old).text}::regclass`,
    )
    await database.admin(sql`alter table ${quoted(old)} drop constraint ${ident(rows[0]!.name)}`)
    const stop = new AbortController()
    const stopping = reattach(
      database.url,
      old,
      HOLD,
      options({ signal: stop.signal, observer: (event) => void (event.type === 'step finished' && stop.abort()) }),
    )
    await expect(stopping).rejects.toThrow(/stopped/)
    await reattach(database.url, old, HOLD, options())
    expect(await monthsOf(database, table)).toContain(-4)
    expect((await database.admin(`select from pg_constraint where conname = 'ebb_bounds'`)).rows).toEqual([])
  })

  test('says what does not fit any more', async ({ database }) => {
    const { table, old } = await graced(database)
    const codes = async () =>
      (await planReattachOf(database.url, old, HOLD, options())).objections.map(({ code }) => code)
    await database.admin(sql`create table kinds (kind int primary key)`)
    await database.admin(sql`update ${quoted(table)} set token = ''`)
    await database.admin(
      sql`alter table ${quoted(table)} add column kind int references kinds, alter token set not null, add constraint c check (id > 0)`,
    )
    await database.admin(
      sql`alter table ${quoted(table)} add column "per %s" int not null default 7, add column twice bigint generated always as (id * 2) stored, alter token type varchar(40)`,
    )
    await database.admin(sql`create index at_idx on ${quoted(table)} (at)`)
    await database.admin(sql`update ${quoted(old)} set token = 'x'`)
    expect((await codes()).toSorted()).toEqual([
      'lacks:at_idx',
      'lacks:c',
      'lacks:events_kind_fkey',
      'lacks:kind',
      'lacks:per %s',
      'lacks:token',
      'lacks:token',
      'lacks:twice',
      'written',
    ])
    await expect(reattach(database.url, old, HOLD, options())).rejects.toThrow(ObjectionsError)
    const { objections } = await planReattachOf(database.url, old, HOLD, options())
    for (const { fix } of objections) {
      const [, statement] = /^First: (.*);$/.exec(fix) ?? []
      if (statement !== undefined) await database.admin(statement)
    }
    expect(await codes()).toEqual(['written'])
    await reattach(database.url, old, { ...HOLD, accept: ['written'] }, options())
    expect(await monthsOf(database, table)).toContain(-4)
  })

  test('not beside rows of its range in a DEFAULT partition; and that is locked after the table', async ({
    database,
  }) => {
    const { table, old } = await graced(database)
    const session = await database.session('fallback')
    // Its columns are in another order.
    await session.query(
      sql`create table fallback (token text, at timestamptz not null, id bigint not null, primary key (id, at))`,
    )
    await session.query(sql`alter table ${quoted(table)} attach partition fallback default`)
    const free = await planReattachOf(database.url, old, HOLD, options())
    const attach = free.steps.at(-1)!
    expect(attach.locks.map(({ table: { name }, mode }) => [name, mode])).toEqual([
      [table.name, 'ACCESS EXCLUSIVE'],
      ['fallback', 'ACCESS EXCLUSIVE'],
      [old.name, 'ACCESS EXCLUSIVE'],
    ])
    await database.admin(sql`insert into ${quoted(table)} (at) select at from ${quoted(old)}`)
    const { objections } = await planReattachOf(database.url, old, HOLD, options())
    expect(objections.map(({ code }) => code)).toEqual(['range-taken:public.fallback'])
    await session.query(/: (with .*;)$/.exec(objections[0]!.fix)![1]!)
    await reattach(database.url, old, { ...HOLD, accept: ['written'] }, options())
    expect(await countOf(database, old)).toBe(2)
  })

  test('its range may be taken, its table gone, and other tables are not its business', async ({ database }) => {
    const { table, old } = await graced(database)
    await expect(planReattachOf(database.url, table, HOLD, options())).rejects.toThrow(
      /not a partition that ebb rotate has detached/,
    )
    const { rows } = await database.admin<{ bounds: string }>(
      sql`select bounds from ebb.retirement where partition_name = ${old.name}`,
    )
    await database.admin(`create table taken partition of ${quoted(table).text} ${rows[0]!.bounds}`)
    expect((await planReattachOf(database.url, old, HOLD, options())).objections.map(({ code }) => code)).toEqual([
      expect.stringMatching(/^range-taken:/),
    ])
    expect((await planOf(database, table)).leftovers).toEqual([])
  })
})
