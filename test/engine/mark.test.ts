import type { EngineOptions } from '../../src/engine/options.ts'
import type { Event } from '../../src/events.ts'
import { describe, expect } from 'vitest'
import type { PurgeResult } from '../../src/engine/commands/purge.ts'
import { abandon, resume } from '../../src/engine/runs/runs.ts'
import type { MarkRequest } from '../../src/plan/purge/mark.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, contentOf, markRequest, matching } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { mark, planMarkOf } from '../support/commands.ts'

const SMALL = { turns: batchesOf(70) }

async function invoices(database: Database, mark: string): Promise<TableName> {
  const table = database.table('invoices')
  const owner = await database.session('setup')
  const place = quoted(table)
  await owner.query(
    sql`create table ${place} (id bigint primary key, status text, "Deleted.at" ${raw(mark)}, note text)`.text,
  )
  await owner.query(
    sql`insert into ${place} select n, case when n % 3 = 0 then 'void' else 'paid' end, null, repeat('x', 100) from generate_series(1, 1000) n`
      .text,
  )
  await owner.query(sql`analyze ${place}`.text)
  return table
}

function request(overrides: Partial<MarkRequest> = {}): MarkRequest {
  return markRequest(`status = 'void'`, 'Deleted.at', overrides)
}

function markRows(
  database: Database,
  table: TableName,
  overrides: Partial<MarkRequest> = {},
  options: Partial<EngineOptions> = SMALL,
): Promise<PurgeResult> {
  return mark(database.url, written(table), request(overrides), quietly(options))
}

async function marks(database: Database, table: TableName): Promise<{ marked: number; others: number; kinds: number }> {
  const { rows } = await database.admin<{ marked: number; others: number; kinds: number }>(sql`
    select count("Deleted.at")::int as marked, count(distinct "Deleted.at"::text)::int as kinds,
      count(*) filter (where status = 'paid' and "Deleted.at" is not null)::int as others from ${quoted(table)}`)
  return rows[0] ?? { marked: -1, others: -1, kinds: -1 }
}

describe('matching rows are marked, and no others', () => {
  test.for(['timestamptz', 'timestamptz(3)', 'timestamp', 'date', 'boolean'])('in a %s', async (type, { database }) => {
    const table = await invoices(database, type)
    const { figures, remaining } = await markRows(database, table)
    expect(figures).toMatchObject({ rows: 333, locked: 0 })
    expect(figures?.batches).toBeGreaterThan(4)
    expect(remaining).toMatchObject({ matching: 0 })
    expect(await marks(database, table)).toEqual({ marked: 333, others: 0, kinds: 1 })
  })

  test('rows already marked keep their mark', async ({ database }) => {
    const table = await invoices(database, 'timestamptz')
    await database.admin(sql`update ${quoted(table)} set "Deleted.at" = '2020-01-01' where id in (3, 4, 6)`)
    expect((await markRows(database, table)).figures?.rows).toBe(331)
    const { rows } = await database.admin(
      sql`select array_agg(id::int order by id) as ids from ${quoted(table)} where "Deleted.at" = '2020-01-01'`,
    )
    expect(rows).toEqual([{ ids: [3, 4, 6] }])
    expect((await markRows(database, table)).runId).toBeNull()
  })
})

test('a row changed so that it no longer matches while a batch waits is not marked', async ({ database }) => {
  const table = await invoices(database, 'boolean')
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`update ${quoted(table)} set status = 'paid' where id = 300`.text)
  const waited: unknown[] = []
  const observer = (event: Event) => void (event.type === 'waiting' && waited.push(event))
  const marking = markRows(database, table, {}, { ...SMALL, observer })
  await until(() => waited.length > 0, { what: 'the batch to wait for a row' })
  await app.query('commit')
  expect((await marking).figures?.rows).toBe(332)
  expect(await marks(database, table)).toMatchObject({ marked: 332, others: 0 })
})

test('an interrupted run is resumed, or ended in its current state', async ({ database }) => {
  const table = await invoices(database, 'timestamptz')
  const interrupted = async (batches: number) => {
    const abort = new AbortController()
    let turn = 0
    const turns = {
      turn: () => {
        if (++turn > batches) abort.abort()
        return Promise.resolve({ rows: 10 })
      },
    }
    await expect(markRows(database, table, {}, { turns, signal: abort.signal })).rejects.toThrow(
      'stopped on request, while marking',
    )
  }
  await interrupted(2)
  const before = (await marks(database, table)).marked
  expect(before).toBeGreaterThan(0)
  await resume(database.url, { table }, quietly())
  expect(await marks(database, table)).toEqual({ marked: 333, others: 0, kinds: 1 })

  await database.admin(sql`update ${quoted(table)} set "Deleted.at" = null`)
  await interrupted(2)
  const left = await contentOf(database, table)
  await abandon(database.url, { table }, quietly())
  expect(await contentOf(database, table)).toEqual(left)
})

test('a column that cannot hold a mark is an objection', async ({ database }) => {
  const table = await invoices(database, 'text')
  for (const column of ['Deleted.at', 'nowhere']) {
    const { objections, steps } = await planMarkOf(database.url, written(table), request({ column }), quietly())
    expect(objections.map(({ code }) => code)).toEqual(['mark-column'])
    expect(steps).toEqual([])
  }
})

test('marking all rows requires an option', async ({ database }) => {
  const table = await invoices(database, 'boolean')
  const { objections } = await planMarkOf(database.url, written(table), markRequest('id > 0', 'Deleted.at'), quietly())
  expect(objections.map(({ code }) => code)).toEqual(['all-rows'])
  expect((await markRows(database, table, { rows: matching('id > 0'), allRows: true })).figures?.rows).toBe(1000)
})
