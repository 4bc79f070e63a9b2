import { expect } from 'vitest'
import { advise } from '../../src/engine/commands/advise.ts'
import { inspect } from '../../src/engine/commands/inspect.ts'
import type { Plan } from '../../src/plan/language/step.ts'
import { describeAdvice } from '../../src/report/advice.ts'
import { describeInspection } from '../../src/report/inspection.ts'
import {
  planMarkOf,
  planPartitionCopyOf,
  planPartitionOf,
  planPurgeOf,
  planRebuildOf,
  planSplitOf,
} from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { markRequest, purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { splitOrder } from './split-support.ts'

// Of a table without statistics the planner assumes rows from its size: 1,264 or so, of a table that has one.

const T = { schema: 'public', name: 't' }
const UNKNOWN = 'not analyzed: number of rows unknown'
const old = `at < now() - interval '1 day'`

test('no plan counts the rows of a table that was never analyzed', async ({ database }) => {
  await made(database, ONE_ROW)
  const copy = { ...monthly({ by: 'at' }), ...rebuildRequest(), keep: monthly().keep }
  const mark = markRequest(old, 'gone', { allRows: true })
  const options = [written(T), quietly()] as const
  const plans: Record<string, Plan> = {
    rebuild: await planRebuildOf(database.url, options[0], rebuildRequest({ keep: old }), options[1]),
    whole: await planRebuildOf(database.url, options[0], rebuildRequest(), options[1]),
    attach: await planPartitionOf(database.url, options[0], monthly({ by: 'at' }), options[1]),
    copy: await planPartitionCopyOf(database.url, options[0], copy, options[1]),
    purge: await planPurgeOf(database.url, options[0], purgeRequest(old, { allRows: true }), options[1]),
    mark: await planMarkOf(database.url, options[0], mark, options[1]),
  }
  for (const [command, plan] of Object.entries(plans)) {
    expect(plan.objections, command).toEqual([])
    const says = textOf(plan)
    expect(says, command).toContain(UNKNOWN)
    expect(says, command).not.toMatch(/\d[\d,]* (?:of .*)?rows?\b/)
  }
})

test('nor does a split of such a partition', async ({ database }) => {
  await made(
    database,
    `create table t (id int, at timestamptz not null) partition by range (at)`,
    `create table t_old partition of t for values from (minvalue) to ('2026-01-01') with (autovacuum_enabled = false)`,
    `create table t_new partition of t for values from ('2026-01-01') to ('2026-02-01') with (autovacuum_enabled = false)`,
    `alter table t add primary key (id, at)`,
    `insert into t values (1, '2025-10-10'), (2, '2025-12-12')`,
  )
  const order = splitOrder({ keep: null, every: { kind: 'interval', interval: { count: 1, unit: 'month' } } })
  const says = textOf(await planSplitOf(database.url, written(T), order, quietly()))
  expect(says).toContain(`public.t_old: ${UNKNOWN}`)
  expect(says).toContain(`copy the rows (${UNKNOWN})`)
})

test('advice reports its figures as guesses, and an inspection counts nothing', async ({ database }) => {
  await made(database, ONE_ROW)
  const advice = await advise(database.url, written(T), { keep: old, olderThan: null }, quietly())
  const says = describeAdvice(advice).join('\n')
  expect(says).toContain(`public.t: ${UNKNOWN}`)
  expect(says).not.toMatch(/^public\.t: about|^kept: about/m)
  expect(says).toMatch(/never analyzed, so rows are guesses/)
  expect(describeInspection(await inspect(database.url, written(T), quietly())).join('\n')).toContain(UNKNOWN)
})

test('statistics of an empty table count as missing, and a table without pages has no rows', async ({ database }) => {
  await made(database, EMPTY, 'analyze t', 'insert into t (at) values (now())')
  const request = rebuildRequest()
  expect(textOf(await planRebuildOf(database.url, written(T), request, quietly()))).toContain(UNKNOWN)
  await made(database, 'truncate t')
  expect(textOf(await planRebuildOf(database.url, written(T), request, quietly()))).toContain('copy about 0 rows')
  await made(database, 'insert into t (at) values (now())', 'analyze t')
  const says = textOf(await planRebuildOf(database.url, written(T), request, quietly()))
  expect(says).toContain('copy about 1 row\n')
  expect(says).toContain('1 of 1 rows are kept')
})

const EMPTY = `create table t (id int generated always as identity primary key, at timestamptz not null, gone boolean)
  with (autovacuum_enabled = false)`
const ONE_ROW = `${EMPTY}; insert into t (at) values (now() - interval '2 days')`

async function made(database: Database, ...statements: string[]): Promise<void> {
  const client = await database.session('set up')
  for (const statement of statements) await client.query(statement)
}

/** What a plan tells people. */
function textOf({ evidence, steps }: Plan): string {
  return [...evidence, ...steps.flatMap(({ title, cost }) => [title, cost])].join('\n')
}
