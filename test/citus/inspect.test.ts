import { expect } from 'vitest'
import { advise } from '../../src/engine/commands/advise.ts'
import { inspect } from '../../src/engine/commands/inspect.ts'
import { describeInspection } from '../../src/report/inspection.ts'
import { planPartitionOf, planRebuildOf } from '../support/commands.ts'
import { citusTest as test } from '../support/citus.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'

test('every kind of table is called what it is, and refused where Ebb cannot work on it', async ({ cluster }) => {
  await cluster.admin('set citus.shard_count = 4')
  await cluster.admin('create table distributed (id bigint primary key, created_at timestamptz not null)')
  await cluster.admin(`select create_distributed_table('distributed', 'id')`)
  await cluster.admin(`insert into distributed select i, now() from generate_series(1, 1000) i`)
  await cluster.admin('create table reference (id int primary key, created_at timestamptz not null)')
  await cluster.admin(`select create_reference_table('reference')`)
  await cluster.admin('create table managed (id int primary key references reference, created_at timestamptz not null)')
  await cluster.admin('create table local (id int primary key, created_at timestamptz not null)')
  await cluster.admin('analyze distributed')

  const options = quietly({ journalSchema: cluster.journalSchema })
  const kinds = new Map<string, string | undefined>()
  for (const name of ['distributed', 'reference', 'managed', 'local']) {
    const table = written(cluster.table(name))
    const inspection = await inspect(cluster.url, table, options)
    kinds.set(name, inspection.citus?.kind)
    const plans = [
      await planPartitionOf(cluster.url, table, monthly(), options),
      await planRebuildOf(cluster.url, table, rebuildRequest(), options),
    ]
    const refused = plans.map(({ objections }) => objections.some(({ code }) => code === 'citus'))
    expect(refused).toEqual(name === 'local' ? [false, false] : [true, true])
  }
  expect([...kinds.values()]).toEqual(['distributed', 'reference', 'managed local', undefined])

  const inspection = await inspect(cluster.url, written(cluster.table('distributed')), options)
  const told = describeInspection(inspection).join('\n')
  expect(told).toMatch(
    /Citus +distributed by id, 4 shards on 2 nodes\n +size +[1-9].*\n +rows +about 1,000\n +\S+:\d+: 2 shards, /,
  )
  // Of a node that does not answer nothing is known.
  const { citus } = inspection
  const silent = citus === null ? null : { ...citus, shares: citus.shares.map((one) => ({ ...one, bytes: null })) }
  expect(describeInspection({ ...inspection, citus: silent }).join('\n')).toMatch(
    /size +unknown: \S+:\d+, \S+ cannot be reached\n[^]*: 2 shards, size unknown/,
  )
  const advice = advise(cluster.url, written(cluster.table('distributed')), { keep: null, olderThan: null }, options)
  await expect(advice).rejects.toThrow(/advise on .*distributed/)
})
