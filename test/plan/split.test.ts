import { describe, expect, test } from 'vitest'
import { planSplitRollback } from '../../src/plan/copy/rollback.ts'
import { planSplit } from '../../src/plan/split/split.ts'
import { dropTable } from '../../src/sql/drop-table.ts'
import {
  AWFUL,
  AWFUL_SQL,
  foreignKey,
  named,
  primaryKey,
  server,
  table,
  trigger,
  constraintTrigger,
} from '../support/models.ts'
import { blocking, codes, keys, kinds, sqlOf, stepOf } from './support/gist.ts'
import { splitBack, splitRequest, splitSituation } from './support/situations.ts'
import { BY_ID, idSet, MONTHLY, partition, setOf } from './rotate-support.ts'

const byTime = primaryKey('events_pkey', ['id', 'at'])
const keyed = table({
  kind: 'partitioned table',
  indexes: [byTime.index],
  constraints: [byTime.constraint, foreignKey('of_user', 'user_id', named('users'))],
})
const wide = splitSituation().partition

describe('the steps', () => {
  test('are those of a copy of one partition; its swap exchanges it for others', () => {
    const plan = planSplit(splitSituation(), splitRequest())

    expect(keys(plan)).toEqual([
      'shadow',
      'capture',
      'copy',
      'reconcile-first',
      'index:events_pkey',
      'bounds',
      'reconcile',
      'vacuum',
      'verify',
      'way-back',
      'swap',
      'release',
    ])
    expect(blocking(plan)).toEqual({
      capture: ['public.events_history: SHARE ROW EXCLUSIVE, blocks writes'],
      swap: ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
    })
  })

  test('from the cell of the oldest row to the end of the wide one; the first takes late rows', () => {
    const plan = planSplit(splitSituation(), splitRequest())

    expect(plan.split).toMatchObject({
      from: 'minvalue',
      to: `'2026-04-01 00:00:00+00'`,
      leaves: [named('events_2026_02'), named('events_2026_03')],
    })
    expect(sqlOf(plan, 'bounds')).toEqual([
      `alter table "public"."events_2026_02" add constraint "ebb_bound" check ("at" < '2026-03-01 00:00:00+00'::timestamp with time zone)`,
      `alter table "public"."events_2026_03" add constraint "ebb_bound" check ("at" >= '2026-03-01 00:00:00+00'::timestamp with time zone and "at" < '2026-04-01 00:00:00+00'::timestamp with time zone)`,
    ])
  })

  test('the exchange scans nothing: bounds are validated before attaching, and dropped after', () => {
    expect(sqlOf(planSplit(splitSituation(), splitRequest()), 'swap').slice(0, 10)).toEqual([
      'drop trigger "ebb_0a1b2c3d_forward_capture" on "public"."events_history"',
      'drop trigger "ebb_0a1b2c3d_forward_truncated" on "public"."events_history"',
      'alter table "public"."events" detach partition "public"."events_history"',
      'alter table "public"."events_ebb" detach partition "public"."events_2026_02"',
      `alter table "public"."events" attach partition "public"."events_2026_02" for values from (minvalue) to ('2026-03-01 00:00:00+00')`,
      'alter table "public"."events_2026_02" drop constraint "ebb_bound"',
      'alter table "public"."events_ebb" detach partition "public"."events_2026_03"',
      `alter table "public"."events" attach partition "public"."events_2026_03" for values from ('2026-03-01 00:00:00+00') to ('2026-04-01 00:00:00+00')`,
      'alter table "public"."events_2026_03" drop constraint "ebb_bound"',
      'drop table "public"."events_ebb"',
    ])
  })

  test('a rollback restores only the rows of its range', () => {
    const { rebuild } = planSplit(splitSituation(), splitRequest())

    expect(rebuild?.forward).toMatchObject({ source: named('events_history'), target: named('events_ebb'), keep: null })
    expect(rebuild?.back).toMatchObject({
      source: named('events'),
      target: named('events_history'),
      keep: `"at" < '2026-04-01 00:00:00+00'::timestamp with time zone`,
    })
  })

  test('foreign keys are validated on the new partitions first, and dropped from the retired one', () => {
    const plan = planSplit(splitSituation({ parent: keyed }), splitRequest())

    expect(blocking(plan)['foreign-key:of_user']).toEqual(['public.users: SHARE ROW EXCLUSIVE, blocks writes'])
    expect(sqlOf(plan, 'validate:of_user')).toHaveLength(2)
    expect(sqlOf(plan, 'swap')[3]).toBe('alter table "public"."events_history" drop constraint if exists "of_user"')
    expect(blocking(plan)['swap']).toContain('public.users: ACCESS EXCLUSIVE, blocks reads and writes')
  })

  test('with --keep old rows are left behind; if all have expired one partition is enough', () => {
    const plan = planSplit(splitSituation({ least: null }), splitRequest({ keep: { count: 1, unit: 'day' } }))

    expect(plan.rebuild?.forward.keep).toBe(
      `"at" operator(pg_catalog.>=) '2026-03-14 00:00:00+00'::timestamp with time zone`,
    )
    expect(plan.split?.leaves).toEqual([named('events_2026_03')])
  })

  test('what is left behind is archived as rows of the partition', () => {
    const archive = { uri: 'file:///a', format: 'csv', compression: 'gzip', partBytes: 1e6, encryptTo: [] } as const
    const asked = splitRequest({ keep: { count: 1, unit: 'day' }, noArchive: false, archive })
    const plan = planSplit(splitSituation(), asked)

    expect(stepOf(plan, 'archive', 'archive').work.rows).toMatchObject({
      table: named('events_history'),
      as: named('events_history'),
      oid: '16400',
      partitionOf: { ...named('events'), bounds: wide.boundsText },
      horizon: '2026-03-14 00:00:00+00',
    })
    expect(kinds(planSplit(splitSituation(), { ...asked, keep: null }))).not.toContain('archive')
  })

  test('names are quoted', () => {
    const plan = planSplit(
      splitSituation({ parent: table({ ...keyed, name: AWFUL }), set: setOf([wide], { name: AWFUL }) }),
      splitRequest(),
    )

    expect(sqlOf(plan, 'swap')[2]).toBe(`alter table ${AWFUL_SQL} detach partition "public"."events_history"`)
    expect(plan.split?.leaves[0]).toEqual({ ...AWFUL, name: 'Big "Ta.ble_2026_02' })
  })
})

describe('objections', () => {
  const days = { count: 1, unit: 'day' } as const

  test.each<[string, Parameters<typeof splitSituation>[0], Parameters<typeof splitRequest>[0], string]>([
    ['no key', { parent: table({ indexes: [], constraints: [] }) }, {}, 'no-key'],
    ['captured already', { parent: table({ triggers: [trigger('ebb_0a1b2c3d_back_capture')] }) }, {}, 'captured'],
    ['no upper bound', { partition: partition('2026-01-01', null) }, {}, 'unbounded'],
    ['one cell wide', { least: splitSituation().partition.range?.to ?? null }, {}, 'not-wide'],
    ['a view of it', { partition: { ...wide, dependents: ['view v'] } }, {}, 'dependent:view v'],
    ['rows left for good', {}, { keep: days, noArchive: false }, 'archive'],
    ['an index by which rows exclude each other', { set: setOf([wide], { excludes: true }) }, {}, 'excludes'],
    [
      'foreign keys onto the table',
      { set: setOf([wide], { inboundForeignKeys: [{ name: 'f', table: named('details') }] }) },
      {},
      'inbound:f',
    ],
    [
      'on 14, a foreign key that does not survive detaching',
      {
        server: server({ version: 140023 }),
        parent: table({ ...keyed, constraints: [foreignKey('f', 'kind', named('kinds'), { ontoPartitioned: true })] }),
      },
      {},
      'lost-foreign-key:f',
    ],
    [
      'constraints switched off',
      { parent: table({ constraintTriggers: [constraintTrigger('c', named('events'))] }) },
      {},
      'disabled-foreign-keys',
    ],
  ])('%s', (_, situation, request, code) => {
    const plan = planSplit(splitSituation(situation), splitRequest(request))

    expect(codes(plan)).toContain(code)
    expect(plan.objections.every(({ acceptable }) => !acceptable)).toBe(true)
    expect(plan.steps).toEqual([])
    expect(plan.split).toBeNull()
  })

  test('a retention period shorter than the registered one has to be accepted', () => {
    const planned = (changes: Parameters<typeof splitSituation>[0]) =>
      planSplit(splitSituation({ policy: MONTHLY, ...changes }), splitRequest({ keep: days }))
    expect(codes(planned({}))).toEqual(['shorter-keep'])
    expect(codes(planned({ accepted: ['shorter-keep'] }))).toEqual([])
    expect(codes(planned({ policy: { ...MONTHLY, keep: days } }))).toEqual([])
  })

  test('ids without a time cannot expire', () => {
    const one = partition('0', '2000', {}, 'id')
    const situation = splitSituation({
      set: idSet([one]),
      policy: { ...BY_ID, expireBy: null },
      grid: { kind: 'id', width: 1000n },
      partition: one,
      least: 1n,
    })

    expect(codes(planSplit(situation, splitRequest({ keep: days })))).toEqual(['expire-by'])
    expect(planSplit(situation, splitRequest()).split?.leaves).toHaveLength(2)
  })
})

describe('the rollback', () => {
  const { situation, split } = splitBack(keyed)

  test('catches up, validates foreign keys and bounds, exchanges, and drops', () => {
    const plan = planSplitRollback(situation, split)

    expect(keys(plan)).toEqual([
      'reconcile',
      'foreign-key:of_user',
      'validate:of_user',
      'verify',
      'bound',
      'swap-back',
      'drop-new',
    ])
    expect(sqlOf(plan, 'drop-new').slice(0, 2)).toEqual([
      dropTable({ name: named('events_2026_02'), oid: '17000' }),
      dropTable({ name: named('events_2026_03'), oid: '17001' }),
    ])
  })

  test('retired partitions reference nothing: dropping them locks no other table', () => {
    const { statements } = stepOf(planSplitRollback(situation, split), 'swap', 'swap-back')

    for (const { name } of split.leaves)
      expect(statements).toContain(`alter table "public"."${name}" drop constraint if exists "of_user"`)
  })

  test.each([
    [{ retired: null }, 'retired'],
    [{ gaps: ['truncated'] }, 'gap'],
    [{ removed: ['public.events_2026_02'] }, 'removed'],
    [{ current: table({ ...keyed, comment: 'altered' }) }, 'changed'],
  ])('%o → %s', (changes, code) => {
    const plan = planSplitRollback({ ...situation, ...changes }, split)

    expect(codes(plan)).toEqual([code])
    expect(plan.steps).toEqual([])
  })
})
