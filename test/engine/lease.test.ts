import { describe, expect } from 'vitest'
import { EbbError } from '../../src/errors.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { assertLease, releaseLease, takeLease } from '../../src/journal/lease.ts'
import { migrateJournal } from '../../src/journal/migrate.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { startTool } from '../support/process.ts'
import { modelOf, monthly, persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { partition } from '../support/commands.ts'

// One run at a time on a table, whoever starts it and wherever.

const byId = monthly({ by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' })

describe('two processes on one table', () => {
  test('one works, the other names the lease holder', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 500 })
    const holder = await database.session('holder')
    await holder.query('begin')
    await holder.query(sql`select from ${quoted(events)} limit 1`)

    const first = startTool({ command: 'partition', url: database.url, table: events, request: byId })
    await first.says('waiting')
    const second = await partition(database.url, written(events), byId, quietly()).catch((error: unknown) => error)
    await holder.query('commit')

    expect(second).toBeInstanceOf(EbbError)
    expect((second as EbbError).message).toMatch(/^ebb partition [0-9a-f]{6} \(backend \d+\) is running on /)
    expect((second as EbbError).kind).toBe('try later')
    expect(await first.end()).toBe(EXIT.done)
    expect((await partition(database.url, written(events), byId, quietly())).nothingToDo).toBe(true)
  })

  test('started simultaneously, one converts and the other finds it done', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 500 })

    const outcomes = await Promise.all(
      [1, 2, 3].map(() => persevere(() => partition(database.url, written(events), byId, quietly()))),
    )

    expect(outcomes.filter(({ nothingToDo }) => !nothingToDo)).toHaveLength(1)
    expect((await modelOf(database, events)).kind).toBe('partitioned table')
  })

  test('leases of several tables are taken in one order, or none', async ({ database }) => {
    const [one, other] = [await database.session('one'), await database.session('other')]
    await migrateJournal(one, 'ebb')
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ schema: 'public', name })) as [TableName, TableName, TableName]
    await one.query(`set application_name = 'ebb one'`)
    await other.query(`set application_name = 'ebb other'`)

    const lease = await takeLease(one, 'ebb', c, 'ebb one', [b])
    expect([lease.table, lease.others.map(({ table }) => table)]).toEqual([c, [b]])
    // What comes later in the order is not asked for, and what came before is let go.
    await expect(takeLease(other, 'ebb', c, 'ebb other', [b, a])).rejects.toThrow(/ebb one .* is running on public.b/)
    const { rows } = await one.query<{ table: string; free: boolean }>(
      `select table_name as table, expires_at <= clock_timestamp() as free from ebb.lease order by 1`,
    )
    expect(rows).toEqual([
      { table: 'a', free: true },
      { table: 'b', free: false },
      { table: 'c', free: false },
    ])
    await assertLease(one, 'ebb', lease)
    await releaseLease(one, 'ebb', lease)
    await takeLease(other, 'ebb', b, 'ebb other')
    await expect(assertLease(one, 'ebb', lease)).rejects.toThrow(/has taken over public.c or public.b/)
  })

  test('the other takes over once the first is dead', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 500 })
    const holder = await database.session('holder')
    await holder.query('begin')
    await holder.query(sql`select from ${quoted(events)} limit 1`)
    const first = startTool({ command: 'partition', url: database.url, table: events, request: byId })
    await first.says('waiting')

    first.signal('SIGKILL')
    await first.end()
    await holder.query('commit')

    expect((await persevere(() => partition(database.url, written(events), byId, quietly()))).nothingToDo).toBe(false)
  })

  test('a process without heartbeat for too long can change nothing any more', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 500 })
    const before = await modelOf(database, events)
    const holder = await database.session('holder')
    await holder.query('begin')
    await holder.query(sql`select from ${quoted(events)} limit 1`)
    const first = startTool({ command: 'partition', url: database.url, table: events, request: byId })
    await first.says('waiting')
    first.signal('SIGSTOP')

    // A minute passes.
    await database.admin(`update ebb.lease set expires_at = clock_timestamp() - interval '1 second'`)
    const taken = await partition(
      database.url,
      written(events),
      byId,
      quietly({ lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1000, deadlineMs: 300 } }),
    ).catch((error: unknown) => error)
    first.signal('SIGCONT')
    await holder.query('commit')

    expect(taken).toMatchObject({ kind: 'try later', message: expect.stringMatching(/could not lock/) as string })
    expect(await first.end()).toBe(EXIT.failed)
    expect(first.said.at(-1)?.message).toMatch(/another run has taken over/)
    expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
    expect((await partition(database.url, written(events), byId, quietly())).nothingToDo).toBe(false)
  })

  test('a plan made before another run is not executed after it', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 500 })
    await partition(database.url, written(events), monthly(), quietly())
    const other = database.table('other')
    const owner = await database.session('owner')
    await owner.query(sql`create table ${quoted(other)} (created_at timestamptz not null)`)
    // Plans are made in sessions that say so; this holds up what comes after, the lease.
    const gate = await database.session('gate', { admin: true })
    await gate.query('begin')
    await gate.query('lock table ebb.lease')

    const late = partition(database.url, written(other), monthly(), quietly()).catch((error: unknown) => error)
    await until(
      async () =>
        (
          await database.admin(`select from pg_locks l join pg_class c on c.oid = l.relation
      where c.relname = 'lease' and not l.granted`)
        ).rowCount === 1,
    )
    await gate.query(
      `insert into ebb.run (command, schema_name, table_name, request, plan, ebb_version, status)
       values ('partition', $1, $2, '{}', '{}', '0', 'done')`,
      [other.schema, other.name],
    )
    await gate.query('commit')

    expect(await late).toMatchObject({
      kind: 'try later',
      message: expect.stringMatching(/another run has changed .* in the meantime/) as string,
    })
    expect((await modelOf(database, other)).constraints.filter(({ type }) => type === 'check')).toEqual([])
  })
})
