import type pg from 'pg'
import { describe, expect } from 'vitest'
import type { EngineOptions } from '../../src/engine/options.ts'
import { rightBefore } from '../engine/move-support.ts'
import { planPurgeOf } from '../support/commands.ts'
import { batchesOf, purgeRequest } from '../support/purging.ts'
import { written } from '../support/tool.ts'
import { events, test, type Citus } from './support.ts'

// Rows of other tables that Citus stores go with those that they refer to. EBB_TEST_CITUS_URL.

const OLD = `at < '2026-01-10'`
const OURS = ({ database }: { readonly database?: string | undefined }) => database === 'test'

/** Of each event two lines, of each line a remark, which refers to the event as well. */
async function withLines(owner: pg.Client): Promise<void> {
  await events(owner, 2_000)
  for (const statement of [
    'create table lines (tenant int, event bigint, n int, at timestamptz default now(), primary key (tenant, event, n), foreign key (tenant, event) references events)',
    `select create_distributed_table('lines', 'tenant', colocate_with => 'events')`,
    `create table remarks (tenant int, event bigint, n int, about bigint, foreign key (tenant, event, n) references lines on delete restrict, foreign key (tenant, about) references events)`,
    `select create_distributed_table('remarks', 'tenant', colocate_with => 'events')`,
    'create index on remarks (tenant, event, n)',
    'create index on remarks (tenant, about)',
    'insert into lines select tenant, id, n from events cross join generate_series(1, 2) n',
    'insert into remarks select tenant, event, n, event from lines where n = 1',
    'analyze events',
    'analyze lines',
    'analyze remarks',
  ])
    await owner.query(statement)
}

function purging(citus: Citus, overrides: Partial<EngineOptions> = {}) {
  return citus.purge('events', purgeRequest(OLD, { cascade: true }), { turns: batchesOf(200), ...overrides })
}

const TABLES = ['events', 'lines', 'remarks'] as const

async function totals(citus: Citus, owner: pg.Client): Promise<number[]> {
  const counts: number[] = []
  for (const name of TABLES) counts.push(await citus.total(owner, name))
  return counts
}

describe('rows that refer to those of a table that Citus stores', () => {
  test('are deleted before them, on all nodes, and counted', async ({ citus, owner }) => {
    await withLines(owner)
    const old = await citus.total(owner, 'events', OLD)
    const { objections, evidence } = await planPurgeOf(
      citus.url,
      written(citus.table('events')),
      purgeRequest(OLD, { cascade: true }),
      citus.options(),
    )
    expect(objections).toEqual([])
    expect(evidence.join()).toMatch(/in this order, in one transaction: .*remarks → .*lines → .*events/)
    const { figures, remaining } = await purging(citus)
    expect([figures?.rows, remaining?.matching]).toEqual([old, 0])
    const rows = (name: string) => figures?.tables.find(({ table }) => table.endsWith(name))?.rows
    expect([rows('lines'), rows('remarks')]).toEqual([2 * old, old])
    expect(await totals(citus, owner)).toEqual([2_000 - old, 2 * (2_000 - old), 2_000 - old])
  })

  test('go with those of a local table that Citus manages', async ({ citus, owner }) => {
    for (const statement of [
      'create table events (id bigint primary key, at timestamptz not null)',
      `select citus_add_local_table_to_metadata('events')`,
      `insert into events select n, '2026-01-01'::timestamptz + n * interval '1 hour' from generate_series(1, 400) n`,
      'create table lines (event bigint primary key references events)',
      'insert into lines select id from events where id % 2 = 0',
    ])
      await owner.query(statement)
    const { figures } = await purging(citus)
    expect([figures?.rows, figures?.tables.map(({ rows }) => rows)]).toEqual([215, [215, 107]])
    const { rows } = await owner.query(
      'select (select count(*) from events)::int as e, (select count(*) from lines)::int as l',
    )
    expect(rows).toEqual([{ e: 185, l: 93 }])
  })

  test('stay, all of them, with a row that is changed meanwhile so that it is kept', async ({ citus, owner }) => {
    await withLines(owner)
    const old = await citus.total(owner, 'events', OLD)
    const writer = await citus.session()
    const keep = () => writer.query(`update events set at = '2026-06-01' where id = 15`)
    await rightBefore(/^delete from only /, OURS, keep, () => purging(citus))
    expect(await citus.total(owner, 'lines', 'event = 15')).toBe(2)
    expect(await totals(citus, owner)).toEqual([2_001 - old, 2 * (2_001 - old), 2_001 - old])
  })

  test('go with it if they come meanwhile', async ({ citus, owner }) => {
    await withLines(owner)
    const old = await citus.total(owner, 'events', OLD)
    const writer = await citus.session()
    const refer = () => writer.query('insert into lines values (15, 15, 3)')
    await rightBefore(/^delete from only /, OURS, refer, () => purging(citus))
    expect(await totals(citus, owner)).toEqual([2_000 - old, 2 * (2_000 - old), 2_000 - old])
  })
})
