import { expect } from 'vitest'
import { afterOthers } from '../../src/engine/after-others.ts'
import { carryOut } from '../../src/engine/run.ts'
import { mark } from '../../src/engine/commands/mark.ts'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { EXIT, exitCodeOfRotation } from '../../src/cli/exit-codes.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { TableBusyError } from '../../src/journal/lease.ts'
import { engineOptions } from '../../src/requests/common.ts'
import { MARK } from '../../src/requests/mark.ts'
import { ROTATE } from '../../src/requests/rotate.ts'
import { propertiesOf } from '../../src/requests/properties.ts'
import { readValues, type Spec } from '../../src/requests/spec.ts'
import { Faults } from '../../src/requests/faults.ts'
import type { Options } from '../../src/requests/option.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { written } from '../support/tool.ts'
import { monthlyEvents, options, request, rotateOne } from './rotate-support.ts'

/** Another run on the table, as long as its session lives. */
async function atWork(database: Database, table: TableName) {
  const holder = await database.session('ebb purge abc123')
  await holder.query(sql`
    insert into ebb.lease (schema_name, table_name, token, holder, backend_pid, expires_at)
    values (${table.schema}, ${table.name}, 1, 'ebb purge abc123', pg_backend_pid(), now() + interval '1 hour')
    on conflict (schema_name, table_name) do update set holder = excluded.holder, expires_at = excluded.expires_at, token = lease.token + 1`)
  return holder
}

test('another run on the table is waited for, if that is asked for', async ({ database }) => {
  const table = await monthlyEvents(database, -2, 1)
  await rotateOne(database, table)
  // Something has to be due: else no lease is taken.
  const newest = `select inhrelid::regclass from pg_inherits where inhparent = '${quoted(table).text}'::regclass order by inhrelid desc limit 1`
  await database.admin(`do $$ begin execute format('drop table %s', (${newest})); end $$`)
  const holder = await atWork(database, table)
  const asked = request({ tables: [table] })

  expect(exitCodeOfRotation(await rotate(database.url, asked, options()))).toBe(EXIT.tryLater)
  const tooShort = await rotate(database.url, asked, options({ waitMs: 50 }))
  expect(exitCodeOfRotation(tooShort)).toBe(EXIT.tryLater)
  expect(tooShort.sets[0]?.failed[0]?.error).toBeInstanceOf(TableBusyError)

  const reasons: string[] = []
  const observer: EngineOptions['observer'] = (event) => {
    if (event.type !== 'waiting') return
    reasons.push(event.reason)
    if (reasons.length === 2) void holder.end()
  }
  expect(exitCodeOfRotation(await rotate(database.url, asked, options({ waitMs: 60_000, observer })))).toBe(EXIT.done)
  expect(reasons.length).toBeGreaterThanOrEqual(2)
  expect(reasons[0]).toMatch(
    /^for ebb purge abc123 \((from [\d.:]+, )?backend \d+, since 20\d\d-.* UTC\), which is running on public\./,
  )
})

test('the plan is made after the wait, and a signal ends it', async ({ database }) => {
  const session = await database.session('setup')
  const table = database.table('items')
  await session.query(sql`create table ${quoted(table)} (id int primary key, deleted_at timestamptz)`)
  await session.query(sql`insert into ${quoted(table)} (id) select generate_series(1, 3)`)
  const asked = {
    rows: { kind: 'matching', where: 'id <= 2' },
    column: 'deleted_at',
    allRows: false,
    vacuum: false,
  } as const
  await carryOut(database.url, table, mark, asked, options())
  await session.query(sql`update ${quoted(table)} set deleted_at = null`)
  const holder = await atWork(database, table)
  const stop = new AbortController()
  const stopping = options({ waitMs: 60_000, signal: stop.signal, observer: () => stop.abort() })
  await expect(carryOut(database.url, table, mark, asked, stopping)).rejects.toMatchObject({ kind: 'stopped' })
  let told = false
  const observer: EngineOptions['observer'] = (event) => {
    if (event.type !== 'waiting' || told) return
    told = true
    // What the other run leaves is what counts.
    void session.query(sql`alter table ${quoted(table)} add column note text`).then(() => holder.end())
  }
  await carryOut(database.url, table, mark, asked, options({ waitMs: 60_000, observer }))
  expect(told).toBe(true)
  const { rows } = await session.query<{ marked: number }>(
    sql`select count(deleted_at)::int as marked from ${quoted(table)}`,
  )
  expect(rows[0]?.marked).toBe(2)
})

test('where another of its tables is taken, it is tried again now and then', async ({ database }) => {
  const table = { schema: 'public', name: 'free' }
  await database.admin('create table public.free ()')
  let tries = 0
  const work = () => {
    tries++
    return Promise.reject(new TableBusyError('the other table is taken', { state: 'Nothing.', next: 'Wait.' }))
  }
  await expect(afterOthers(database.url, written(table), options({ waitMs: 600 }), work)).rejects.toThrow('is taken')
  expect(tries).toBeLessThanOrEqual(5)
})

test.for<[what: unknown, ms: number | undefined]>([
  [undefined, undefined],
  [true, 600_000],
  ['2 hours', 7_200_000],
  [1500, 1500],
])('wait: %s', ([wait, ms]) => {
  expect(waitOf(ROTATE, { tables: ['events'], wait })).toBe(ms)
})

test('without a time it is as long as the deadline', () => {
  expect(waitOf(MARK, { table: 'events', where: 'void', column: 'd', wait: true })).toBe(60_000)
  expect(waitOf(ROTATE, { tables: ['events'], wait: true, deadlineMs: 5 })).toBe(5)
})

function waitOf<O extends Options>(spec: Spec<O>, given: object): number | undefined {
  const faults = new Faults()
  const values = readValues(spec, propertiesOf(spec.options, given, faults), faults)
  faults.throwIfAny()
  return engineOptions(values, spec.pace).waitMs
}
