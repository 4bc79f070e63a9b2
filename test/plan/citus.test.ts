import { describe, expect, test } from 'vitest'
import { areColocated, describeCitus, type CitusTable } from '../../src/catalog/citus.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { citusObjections } from '../../src/plan/table/objections/citus.ts'
import { gist, partition, partitions, request, setOf, situation } from './rotate-support.ts'

// What Ebb does on tables that Citus stores. The tables are as its catalogue (13.2, a coordinator and two workers) was read.

const NODES = ['127.0.0.1:9701', '127.0.0.1:9702']
const DISTRIBUTED: CitusTable = {
  kind: 'distributed',
  distributionColumn: 'tenant_id',
  colocationId: 1,
  shards: 8,
  nodes: NODES,
  columnar: false,
  of: null,
  onCoordinator: true,
}
const ONE_SHARD: CitusTable = {
  ...DISTRIBUTED,
  distributionColumn: null,
  colocationId: 4,
  shards: 1,
  nodes: NODES.slice(0, 1),
}
const REFERENCE: CitusTable = {
  ...DISTRIBUTED,
  kind: 'reference',
  distributionColumn: null,
  colocationId: 3,
  shards: 1,
  nodes: ['127.0.0.1:9700', ...NODES],
}
const MANAGED: CitusTable = {
  ...DISTRIBUTED,
  kind: 'managed local',
  distributionColumn: null,
  colocationId: null,
  shards: 1,
  nodes: ['127.0.0.1:9700'],
}
const LOCAL: CitusTable = { ...MANAGED, kind: 'plain local', shards: 0, nodes: [] }
const SHARD: CitusTable = { ...LOCAL, kind: 'shard', of: { schema: 'public', name: 'events' } }

const EVENTS = { schema: 'public', name: 'events' }
const codes = (command: string, citus: CitusTable) => citusObjections(command, EVENTS, citus).map(({ code }) => code)

describe('tables of Citus', () => {
  test('are described by where their rows are', () => {
    expect(
      [DISTRIBUTED, ONE_SHARD, REFERENCE, MANAGED, LOCAL, SHARD, { ...DISTRIBUTED, columnar: true }].map(describeCitus),
    ).toEqual([
      'distributed by tenant_id, 8 shards on 2 nodes',
      'distributed whole, 1 shard on 1 node',
      'a reference table, the same rows on 3 nodes',
      'a local table that Citus manages, on the coordinator',
      'a local table that Citus does not know',
      'a shard of public.events',
      'columnar, distributed by tenant_id, 8 shards on 2 nodes',
    ])
    expect(areColocated(DISTRIBUTED, { ...DISTRIBUTED, shards: 4 })).toBe(true)
    expect(areColocated(DISTRIBUTED, ONE_SHARD)).toBe(false)
    expect(areColocated(REFERENCE, REFERENCE)).toBe(false)
  })

  test('are rotated, and refused by what exchanges tables', () => {
    expect(codes('rotate', DISTRIBUTED)).toEqual([])
    for (const command of ['partition', 'partition-copy', 'split', 'rebuild', 'rollback'])
      for (const citus of [DISTRIBUTED, ONE_SHARD, REFERENCE, MANAGED]) expect(codes(command, citus)).toEqual(['citus'])
    // What nobody has thought of is refused, too.
    expect(codes('something new', DISTRIBUTED)).toEqual(['citus'])
  })

  test('that are local to Citus, too, are ordinary ones', () => {
    for (const command of ['partition', 'rebuild', 'purge', 'rotate']) expect(codes(command, LOCAL)).toEqual([])
    expect(codes('purge', { ...LOCAL, onCoordinator: false })).toEqual([])
  })

  test('are worked on by their name, on the coordinator', () => {
    expect(citusObjections('purge', { schema: 'public', name: 'events_102008' }, SHARD)).toMatchObject([
      { code: 'citus-shard', fix: expect.stringMatching(/: public.events$/) as string },
    ])
    expect(codes('rotate', { ...DISTRIBUTED, onCoordinator: false })).toEqual(['citus-worker'])
  })

  test('have a way out by Citus’ own functions, which names the same place for the rows', () => {
    const [refused] = citusObjections('partition', EVENTS, DISTRIBUTED)
    expect(refused?.what).toBe(
      'public.events is distributed by Citus by tenant_id, and ebb partition exchanges tables by their names, of which Citus’ catalogue would know nothing',
    )
    expect(refused?.fix).toContain(
      `select undistribute_table('"public"."events"'); then ebb partition public.events …, then select create_distributed_table('"public"."events"', 'tenant_id');`,
    )
    expect(citusObjections('rebuild', EVENTS, REFERENCE)[0]?.fix).toContain('ebb purge public.events --where')
    expect(citusObjections('split', EVENTS, MANAGED)[0]?.fix).toContain('citus_add_local_table_to_metadata')
  })
})

describe('the rotation of a set that Citus stores', () => {
  const MONTHS = partitions(
    '2026-01-01',
    '2026-02-01',
    '2026-03-01',
    '2026-04-01',
    '2026-05-01',
    '2026-06-01',
    '2026-07-01',
  ).map((one, i) => ({ ...one, oid: String(100 + i) }))
  const plan = (list = MONTHS, asked: Parameters<typeof request>[0] = {}) =>
    planRotation(situation(setOf(list, { citus: DISTRIBUTED }), '2026-06-15'), request(asked))

  test('detaches under a short lock on all nodes, not concurrently, and takes no lock to be rid of an autovacuum', () => {
    const { steps, objections } = plan()
    expect(objections).toEqual([])
    expect(steps.map(({ kind, key }) => [kind, key.split(':')[0]])).toEqual([
      ['short lock', 'create'],
      ['short lock', 'create'],
      ['short lock', 'create'],
      ['short lock', 'detach'],
      ['short lock', 'drop'],
      ['short lock', 'detach'],
      ['short lock', 'drop'],
    ])
    for (const step of steps) expect(step).toMatchObject({ onAllNodes: true, quiet: null })
    const detach = steps.find(({ key }) => key.startsWith('detach:'))
    expect(detach?.statements).toEqual(['alter table "public"."events" detach partition "public"."p_2026-01-01"'])
    expect(detach).toMatchObject({
      acquire: ['lock table only "public"."events" in access exclusive mode'],
      workTimeoutMs: 1_000,
    })
    // The same set elsewhere.
    expect(planRotation(situation(setOf(MONTHS), '2026-06-15'), request()).steps.map(({ kind }) => kind)).toContain(
      'detach',
    )
  })

  test('keeps what is to be archived, or dropped later, and still creates partitions ahead', () => {
    const archive = { uri: 'file:///archive' } as never
    expect(gist(plan(MONTHS, { archive, noArchive: false, grace: '1 week' }))).toMatchObject({
      retire: [],
      objections: ['citus-grace'],
    })
    const truncating = plan(MONTHS, { archive, noArchive: false, retire: 'truncate' })
    expect(truncating.objections.map(({ code }) => code)).toContain('citus-archive')
    expect(plan(MONTHS, { grace: '1 week' }).create).toHaveLength(3)
    expect(plan(MONTHS, { grace: '1 week', retire: 'detach' }).objections).toEqual([])
  })

  test('is refused beside a DEFAULT partition, and where partitions are divided', () => {
    const fallback = partition(null, null, { isDefault: true, range: null, boundsText: 'DEFAULT' })
    expect(gist(plan([...MONTHS, fallback]))).toMatchObject({ create: [], objections: ['citus-default'] })
    const divided = MONTHS.map((one) => ({ ...one, kind: 'partitioned' as const }))
    expect(gist(plan(divided)).objections).toContain('citus-divided')
  })
})
