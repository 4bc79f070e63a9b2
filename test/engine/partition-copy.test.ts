import { describe, expect } from 'vitest'
import { readTable } from '../../src/catalog/table/read-table.ts'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { withSession } from '../../src/db/session.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import type { CopyRequest } from '../../src/plan/partition/partition-copy.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partitionByCopy, planPartitionOf } from '../support/commands.ts'

const ROWS = 5_000

describe('partition by copying', () => {
  test('copies the rows of the retention window into partitions', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS, rowSecurity: true, publication: true })
    const before = await read(database, events)
    const owner = await database.session('owner')
    const { rows: kept } = await owner.query<{ n: number; months: number }>(
      sql`select count(*)::int as n, count(distinct date_trunc('month', created_at, 'UTC'))::int as months
          from ${quoted(events)} where created_at >= now() - interval '90 days'`,
    )

    const { plan } = await partitionByCopy(database.url, written(events), request({ noArchive: true }), quietly())

    const after = await read(database, events)
    const ours = after.triggers.filter(({ name }) => name.startsWith('ebb_')).map(({ name }) => name)
    expect(after.kind).toBe('partitioned table')
    expect(compareFacts(factsOf(before), factsOf(after, ours)).map(({ fact }) => fact)).toEqual([
      'constraint Events.pkey',
    ])
    const { rows: found } = await owner.query(
      sql`select count(*)::int as n, count(distinct tableoid)::int as months from ${quoted(events)}`,
    )
    expect(found).toEqual(kept)
    expect(plan.rebuild?.policy?.keep).toEqual({ count: 90, unit: 'day' })
    // A late row finds a place, a new one too.
    await owner.query(
      sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'late', '2020-01-01'), (1, 'new', now() + interval '40 days')`,
    )
  })

  test('needs about as much disk space as planned, excluding rows left out', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 40_000 })
    const owner = await database.session('owner')
    await owner.query(sql`analyze ${quoted(events)}`.text)

    const { plan } = await partitionByCopy(database.url, written(events), request({ noArchive: true }), quietly())

    const { rows } = await owner.query<{ used: number }>(
      sql`select sum(pg_total_relation_size(relid))::int as used from pg_partition_tree(${quoted(events).text}::regclass)`,
    )
    const used = rows[0]?.used ?? 0
    expect(plan.rebuild?.diskBytes).toBeGreaterThan(used / 2)
    expect(plan.rebuild?.diskBytes).toBeLessThan(used * 2)
    expect(plan.evidence.join('\n')).toMatch(/these are about [\d,]+ rows/)
  })

  test('keeps periods from overlapping, which attaching could not', async ({ database, skip }) => {
    if (database.version < 180_000) skip('WITHOUT OVERLAPS exists from 18 on')
    await database.admin('create extension if not exists btree_gist')
    const rates = database.table('rates')
    const owner = await database.session('owner')
    await owner.query(sql`
      create table ${quoted(rates)} (id int, during daterange, at timestamptz not null, primary key (id, during without overlaps))`)
    await owner.query(sql`
      insert into ${quoted(rates)} select n, daterange('2026-01-01', '2026-01-08'), now() from generate_series(1, 10) n`)
    const by = { by: 'at', every: { kind: 'interval', interval: { count: 1, unit: 'month' } }, keep: null } as const

    const attaching = await planPartitionOf(database.url, written(rates), monthly(by), quietly())
    expect(attaching.objections).toMatchObject([{ code: 'temporal:rates_pkey' }])
    const { plan } = await partitionByCopy(database.url, written(rates), request(by), quietly())

    expect(plan.notes).toContainEqual(expect.stringContaining('periods of rows with different at may overlap'))
    const { constraints } = await read(database, rates)
    expect(constraints.find(({ type }) => type === 'primary key')?.definition).toBe(
      'PRIMARY KEY (id, at, during WITHOUT OVERLAPS)',
    )
    const overlapping = sql`insert into ${quoted(rates)} select id, '[2026-01-07,2026-02-01)', at from ${quoted(rates)} limit 1`
    await expect(owner.query(overlapping)).rejects.toMatchObject({ code: '23P01' })
  })

  test('by id, with upserts and foreign keys unchanged', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const before = await read(database, events)

    await partitionByCopy(
      database.url,
      written(events),
      request({ by: 'id', every: { kind: 'ids', ids: 1_000n }, expireBy: 'created_at', keep: null }),
      quietly(),
    )

    const after = await read(database, events)
    const ours = after.triggers.filter(({ name }) => name.startsWith('ebb_')).map(({ name }) => name)
    expect(compareFacts(factsOf(before), factsOf(after, ours))).toEqual([])
    const app = await database.session('app')
    await app.query(
      sql`insert into ${quoted(events)} (id, user_id, kind) values (1, 1, 'click') on conflict (id) do nothing`,
    )
    expect((await app.query(sql`select count(*)::int as n from ${quoted(events)}`)).rows).toEqual([{ n: ROWS }])
  })

  test('does nothing the second time', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const first = await partitionByCopy(database.url, written(events), request({ keep: null }), quietly())

    const second = await partitionByCopy(database.url, written(events), request({ keep: null }), quietly())

    expect(second).toMatchObject({ runId: first.runId, steps: [] })
  })

  test('can be rolled back with all writes since', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS, rowSecurity: true })
    const before = await read(database, events)
    const app = await database.session('app')
    const { runId } = await partitionByCopy(database.url, written(events), request({ noArchive: true }), quietly())
    await app.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'since')`)

    await rollback(database.url, { runId }, quietly())

    expect(compareFacts(factsOf(before), factsOf(await read(database, events)))).toEqual([])
    expect((await app.query(sql`select count(*)::int as n from ${quoted(events)}`)).rows).toEqual([{ n: ROWS + 1 }])
  })
})

function request(overrides: Partial<CopyRequest> = {}): CopyRequest {
  return { ...monthly(), transport: 'server', jobs: 1, noArchive: false, retireAfter: null, ...overrides }
}

async function read(database: Database, table: TableName): Promise<TableModel> {
  const model = await withSession(database.url, 'look', (session) => readTable(session, table, database.version))
  if (model === undefined) throw new Error('the table is gone')
  return model
}
