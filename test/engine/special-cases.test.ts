import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import { factsOf } from '../../src/plan/table/facts.ts'
import { partition, planPartitionOf, planPurgeOf, planRebuildOf, rebuild } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { modelOf, monthly, quietly, written } from '../support/tool.ts'

// What PostgreSQL would refuse in the swap, or after much of a copy, is carried or said before.

const T = { schema: 'public', name: 't' }
const byMonth = monthly({ by: 'at', keep: null })

test('a view that groups by the primary key prevents a change of the key, and nothing else', async ({ database }) => {
  await filled(database, 'create view v as select id, b, count(*) from t group by id')
  expect(await codesOf(planPartitionOf(database.url, written(T), byMonth, quietly()))).toEqual([
    'key-dependent:view public.v',
  ])
  await rebuild(database.url, written(T), rebuildRequest(), quietly())
})

test('an identity whose sequence exceeds its column type is carried over, and restored', async ({ database }) => {
  await filled(
    database,
    'alter table t alter id type int',
    'alter sequence t_id_seq as bigint maxvalue 9000000000 increment by 3',
  )
  const before = factsOf(await modelOf(database, T))
  const { runId } = await partition(database.url, written(T), byMonth, quietly())
  const [was, is] = [before, factsOf(await modelOf(database, T))].map((facts) => facts['sequence public.t_id_seq'])
  expect(is).toBe(was)
  await rollback(database.url, { runId }, quietly())
  expect(factsOf(await modelOf(database, T))).toEqual(before)
})

test('columns named like Ebb’s own', async ({ database }) => {
  await filled(database, 'alter table t add ebb_at int', 'create index on t (ebb_at)')
  const plans = [
    planRebuildOf(database.url, written(T), rebuildRequest(), quietly()),
    planPurgeOf(database.url, written(T), purgeRequest('id <= 10'), quietly()),
  ]
  for (const plan of plans) expect(await codesOf(plan)).toEqual(['reserved-column:ebb_at'])
})

test('values that COPY may reject are copied within the server', async ({ database }) => {
  await filled(
    database,
    'create domain positive as int',
    'create type pair as (a positive, b int)',
    'alter table t add c positive default -1, add d aclitem, add e int[]',
    'alter domain positive add check (value > 0) not valid',
  )
  const planned = (transport: 'auto' | 'copy') =>
    planRebuildOf(database.url, written(T), rebuildRequest({ transport }), quietly())
  expect(await codesOf(planned('copy'))).toEqual(['transport-copy'])
  const { steps, notes } = await planned('auto')
  expect(steps.find(({ kind }) => kind === 'copy')).toMatchObject({ transport: 'server' })
  expect(notes.join()).toMatch(/column c is of domain .*positive, .*; column d has no binary form \(aclitem\)$/)
})

async function codesOf(
  plan: Promise<{ readonly objections: readonly { readonly code: string }[] }>,
): Promise<string[]> {
  return (await plan).objections.map(({ code }) => code)
}

async function filled(database: Database, ...more: string[]): Promise<void> {
  const owner = await database.session('owner')
  await owner.query(
    'create table t (id bigint generated always as identity primary key, at timestamptz not null, b text)',
  )
  await owner.query(`insert into t (at) select now() - g * interval '1 day' from generate_series(1, 60) g`)
  for (const statement of more) await owner.query(statement)
  await owner.query('analyze t')
}
