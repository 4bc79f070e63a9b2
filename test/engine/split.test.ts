import { describe, expect } from 'vitest'
import { readTable } from '../../src/catalog/table/read-table.ts'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { withSession } from '../../src/db/session.ts'
import { abandon, retire, rollback } from '../../src/engine/runs/runs.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { companion, display, quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { splitOrder } from './split-support.ts'
import { partition, planSplitOf, split, writeCandidates } from '../support/commands.ts'

const ROWS = 5_000
const WEEK = { count: 1, unit: 'week' } as const

describe('split', () => {
  test('exchanges the history for monthly partitions, leaving expired rows behind', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS, rowSecurity: true, publication: true })
    await partition(database.url, written(events), monthly(), quietly())
    const before = await read(database, events)
    const owner = await database.session('owner')
    const kept = await owner.query(
      sql`select count(*)::int as n, count(distinct date_trunc('month', created_at, 'UTC'))::int as months
          from ${quoted(events)} where created_at >= now() - interval '90 days'`,
    )

    const { runId } = await split(
      database.url,
      written(events),
      splitOrder({ keep: { count: 90, unit: 'day' }, noArchive: true }),
      quietly(),
    )

    expect(
      compareFacts(factsOf(before), factsOf(await read(database, events), await captures(database, events))),
    ).toEqual([])
    const { rows: found } = await owner.query(
      sql`select count(*)::int as n, count(distinct tableoid)::int as months from ${quoted(events)}`,
    )
    expect(found).toEqual(kept.rows)
    await owner.query(
      sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'late', '2020-01-01'), (1, 'marked', now())`,
    )
    await retire(database.url, { runId }, quietly())
    expect(await leftovers(database)).toEqual([])
  })

  test.for([[null], ['history']])('does nothing the second time (partition: %s)', async ([named], { database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await partition(database.url, written(events), monthly(), quietly())
    const order = splitOrder({
      partition: named === null ? null : { schema: null, name: companion(events.name, '_history') },
      noArchive: true,
    })
    const { runId } = await split(database.url, written(events), order, quietly())
    await writeCandidates(database.url, written(events), { where: 'id <= 10' }, quietly())

    const again = await split(database.url, written(events), order, quietly())
    expect(again).toMatchObject({ runId, nothingToDo: true, steps: [] })

    await retire(database.url, { runId }, quietly())
    expect(await split(database.url, written(events), order, quietly())).toMatchObject({ runId, nothingToDo: true })
    await expect(split(database.url, written(events), { ...order, retireAfter: WEEK }, quietly())).rejects.toThrow(
      named === null ? /no partition of .* is wider/ : /has no partition/,
    )
  })

  test('starts again after a rollback', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await partition(database.url, written(events), monthly(), quietly())
    const order = splitOrder({ noArchive: true })
    const { runId } = await split(database.url, written(events), order, quietly())
    expect(await rollback(database.url, { table: events }, quietly())).toMatchObject({ rolledBack: runId })

    // It is still partitioned, and rotate still manages it.
    expect((await database.admin('select from ebb.partition_set')).rows).toHaveLength(1)
    const again = await split(database.url, written(events), order, quietly())
    expect(again).toMatchObject({ nothingToDo: false })
    expect(again.runId).not.toBe(runId)
  })

  test('is rolled back first, and then the conversion before it, by the name of the table', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const converted = await partition(database.url, written(events), monthly(), quietly())
    const { runId } = await split(database.url, written(events), splitOrder({ noArchive: true }), quietly())
    expect(await rollback(database.url, { table: events }, quietly())).toMatchObject({ rolledBack: runId })
    expect(await rollback(database.url, { table: events }, quietly())).toMatchObject({ rolledBack: converted.runId })
    expect((await database.admin('select from ebb.partition_set')).rows).toEqual([])
    await expect(rollback(database.url, { table: events }, quietly())).rejects.toThrow('is rolled back')
  })

  test('needs about as much disk space as planned, excluding rows left behind', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 40_000 })
    await partition(database.url, written(events), monthly(), quietly())
    const owner = await database.session('owner')
    await owner.query(sql`analyze ${quoted(events)}`.text)

    const order = splitOrder({ keep: { count: 90, unit: 'day' }, noArchive: true })
    const { plan } = await split(database.url, written(events), order, quietly())

    const { rows } = await owner.query<{ used: number }>(
      sql`select sum(pg_total_relation_size(relid))::int as used from pg_partition_tree(${quoted(events).text}::regclass)`,
    )
    const used = rows[0]?.used ?? 0
    expect(plan.rebuild?.diskBytes).toBeGreaterThan(used / 2)
    expect(plan.rebuild?.diskBytes).toBeLessThan(used * 2)
    expect(plan.evidence.join('\n')).toMatch(/these are about [\d,]+ rows/)
  })

  test('keeps all rows without --keep', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await partition(database.url, written(events), monthly(), quietly())

    const { plan } = await split(database.url, written(events), splitOrder(), quietly())

    const owner = await database.session('owner')
    expect((await owner.query(sql`select count(*)::int as n from ${quoted(events)}`)).rows).toEqual([{ n: ROWS }])
    expect(plan.goal).toMatch(/into 1[45] partitions$/)
  })

  test('splits one wide partition after the other, once the previous retired one is dropped', async ({ database }) => {
    const table = database.table('readings')
    const owner = await database.session('owner')
    await owner.query(
      sql`create table ${quoted(table)} (id int, at date, primary key (id, at)) partition by range (at)`.text,
    )
    for (const [from, to] of [
      ['minvalue', `'2026-03-01'`],
      [`'2026-03-01'`, `'2026-06-01'`],
      [`'2026-06-01'`, `'2026-07-01'`],
    ] as const)
      await owner.query(
        sql`create table ${quoted(database.table(`part ${to}`))} partition of ${quoted(table)} for values from (${raw(from)}) to (${raw(to)})`
          .text,
      )
    await owner.query(
      sql`insert into ${quoted(table)} select n, '2026-01-15'::date + n from generate_series(0, 150) n`.text,
    )
    const again = () =>
      split(
        database.url,
        written(table),
        splitOrder({ every: { kind: 'interval', interval: { count: 1, unit: 'month' } } }),
        quietly(),
      )

    const first = await again()
    expect(first.plan.goal).toMatch(/split .*03-01.* into 2 partitions/)
    await expect(again()).rejects.toMatchObject({ plan: { objections: [{ code: 'captured' }] } })
    await retire(database.url, { runId: first.runId }, quietly())

    const second = await again()
    expect(second.plan.goal).toMatch(/split .*06-01.* into 3 partitions/)
    await rollback(database.url, { runId: second.runId }, quietly())
    await retire(database.url, { runId: (await again()).runId }, quietly())
    expect(await again()).toMatchObject({ nothingToDo: true, steps: [] })
    expect((await owner.query(sql`select from ${quoted(table)}`)).rowCount).toBe(151)
  })

  test('creates no partitions for empty periods', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await partition(database.url, written(events), monthly(), quietly())
    const all = await planSplitOf(database.url, written(events), splitOrder(), quietly())
    const keep = { count: 10, unit: 'year' } as const

    const plan = await planSplitOf(database.url, written(events), splitOrder({ keep, noArchive: true }), quietly())

    expect(plan.objections).toEqual([])
    expect(plan.split?.leaves).toEqual(all.split?.leaves)
  })

  test('describes the dependent objects of the table, and those of the partition alone', async ({ database }) => {
    const parts = await createEvents(database, { rows: ROWS, rowSecurity: true, publication: true })
    const { events } = parts
    const { plan: conversion } = await partition(database.url, written(events), monthly(), quietly())
    const history = conversion.conversion!.history
    const owner = await database.session('owner')
    await owner.query(sql`create index "just here" on ${quoted(history)} (token)`.text)
    await owner.query(sql`alter table ${quoted(history)} add constraint "old ones" check (id > 0)`.text)
    const table = await read(database, events)

    const { dependents: dependents } = await planSplitOf(database.url, written(events), splitOrder(), quietly())

    const told = (fate: string) => dependents.filter((one) => one.outcome === fate).map(({ name: thing }) => thing)
    expect(told('rebuilt')).toEqual(
      table.indexes.map(({ name, constraint }) => `${constraint === null ? 'index' : 'constraint'} ${name}`),
    )
    expect(told('carried').slice(1)).toEqual([
      'check kind known',
      ...table.constraints.filter(({ type }) => type === 'foreign key').map(({ name }) => `foreign key ${name}`),
      ...table.triggers.map(({ name }) => `trigger ${name}`),
    ])
    expect(told('kept')).toEqual(
      expect.arrayContaining([
        `policy ${parts.policy}`,
        `rule No deletes. At all`,
        `view ${display(parts.view)}`,
        `statistics ${display(parts.statistics)}`,
        `publication ${parts.publication}`,
      ]),
    )
    const alone = dependents
      .filter(({ how }) => how.startsWith(`on ${display(history)} only`))
      .map(({ name: thing }) => thing)
    expect(alone.filter((thing) => !thing.startsWith('statistics'))).toEqual(['index just here', 'check old ones'])
  })

  test('can be rolled back with all writes since', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await partition(database.url, written(events), monthly(), quietly())
    const before = await read(database, events)
    const { runId } = await split(
      database.url,
      written(events),
      splitOrder({ keep: { count: 90, unit: 'day' }, noArchive: true }),
      quietly(),
    )
    const app = await database.session('app')
    await app.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'since')`)
    await app.query(sql`delete from ${quoted(events)} where id = ${ROWS}`)

    await rollback(database.url, { runId }, quietly())

    expect(compareFacts(factsOf(before), factsOf(await read(database, events)))).toEqual([])
    const { rows } = await app.query(
      sql`select count(*)::int as n, count(*) filter (where kind = 'since')::int as since from ${quoted(events)}`,
    )
    expect(rows).toEqual([{ n: ROWS, since: 1 }])
    expect(await leftovers(database)).toEqual([])
  })

  test('leaves no trace when abandoned', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const { plan } = await partition(database.url, written(events), monthly(), quietly())
    const before = await read(database, events)
    const stop = new AbortController()
    const stopping = quietly({
      signal: stop.signal,
      observer: (event) => {
        if (event.type === 'step started' && event.step.key === 'verify') stop.abort()
      },
    })
    await expect(split(database.url, written(events), splitOrder(), stopping)).rejects.toThrow()

    await abandon(database.url, { table: events }, quietly())

    expect(plan.conversion?.history).toBeDefined()
    expect(compareFacts(factsOf(before), factsOf(await read(database, events)))).toEqual([])
    expect(await leftovers(database)).toEqual([])
  })
})

async function read(database: Database, table: TableName): Promise<TableModel> {
  const model = await withSession(database.url, 'look', (session) => readTable(session, table, database.version))
  if (model === undefined) throw new Error('the table is gone')
  return model
}

async function captures(database: Database, table: TableName): Promise<string[]> {
  return (await read(database, table)).triggers.filter(({ name }) => name.startsWith('ebb_')).map(({ name }) => name)
}

/** Tables and triggers of ours that are no part of the journal. */
async function leftovers(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(`
    select relname as name from pg_class where relname ~ '_retired|_ebb|^ebb_.*(log|capture)' and relkind in ('r', 'i', 'p')
    union all select tgname from pg_trigger where tgname like 'ebb%' union all select proname from pg_proc where proname like 'ebb%'
    union all select conname from pg_constraint where conname like 'ebb%'`)
  return rows.map(({ name }) => name)
}
