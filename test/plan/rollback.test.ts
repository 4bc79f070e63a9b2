import { describe, expect, test } from 'vitest'
import { planRebuildRollback } from '../../src/plan/copy/rollback.ts'
import { planRollback, type RollbackSituation } from '../../src/plan/partition/rollback.ts'
import { dropTable } from '../../src/sql/drop-table.ts'
import { foreignKey, inbound, named, primaryKey, sequence, server, table, trigger, view } from '../support/models.ts'
import { blocking, codes, keys, kinds, locksOf, sqlOf, stepOf } from './support/gist.ts'
import { converted, rebuilt } from './support/situations.ts'

const plain = primaryKey('events_pkey', ['id'])
const byTime = primaryKey('events_pkey', ['id', 'at'])

describe('from partitions', () => {
  test('the index of the original primary key is built online, then the history becomes the table', () => {
    const plan = planRollback(converted())

    expect(keys(plan)).toEqual(['primary-key-index', 'swap-back'])
    expect(kinds(plan)).toEqual(['index', 'swap'])
    expect(sqlOf(plan, 'primary-key-index')).toEqual([
      'create unique index concurrently "events_pkey_plain" on "public"."events_history" ("id")',
    ])
    expect(plan.index).toEqual(named('events_pkey_plain'))
    expect(sqlOf(plan, 'swap-back')).toEqual([
      'alter table "public"."events" rename to "events_partitioned"',
      'alter index "public"."events_pkey" rename to "events_pkey_partitioned"',
      'alter table "public"."events_partitioned" detach partition "public"."events_history"',
      'alter table "public"."events_history" rename to "events"',
      'alter table "public"."events" drop constraint "events_pkey_history", add constraint "events_pkey" primary key using index "events_pkey_plain"',
      'drop table "public"."events_partitioned"',
    ])
  })

  test('if the primary key contained the partition key before, nothing is built', () => {
    const plan = planRollback(converted({ indexes: [byTime.index], constraints: [byTime.constraint] }))

    expect(keys(plan)).toEqual(['swap-back'])
    expect(plan.index).toBeNull()
    expect(sqlOf(plan, 'swap-back')).toContain('alter index "public"."events_pkey_history" rename to "events_pkey"')
  })

  test('partitions to be dropped must be empty, and no others exist: checked under the lock', () => {
    const swap = stepOf(planRollback(converted()), 'swap', 'swap-back')

    expect(swap.partitions).toEqual([named('events_history'), named('events_2026_04')])
    expect(swap.mustBeEmpty).toEqual([named('events_2026_04')])
  })

  test('dependent objects are locked with the table, and restored', () => {
    const plan = planRollback(
      converted({
        indexes: [byTime.index],
        constraints: [byTime.constraint],
        inboundForeignKeys: [inbound(named('details'), 'of_event')],
        views: [view(named('recent'))],
        sequences: [sequence('events_id_seq', 'id')],
        triggers: [trigger('audit', { enabled: 'always' })],
      }),
    )

    expect(blocking(plan)).toEqual({
      'swap-back': [
        ...['recent', 'events', 'details'].map((one) => `public.${one}: ACCESS EXCLUSIVE, blocks reads and writes`),
        'public.events_id_seq: SHARE ROW EXCLUSIVE, blocks writes',
      ],
    })
    expect(sqlOf(plan, 'swap-back')).toContain('alter table "public"."events" enable always trigger "audit"')
    expect(sqlOf(plan, 'swap-back')[1]).toBe('alter table "public"."details" drop constraint if exists "of_event"')
    expect(keys(plan)).toEqual(['referring-rows', 'swap-back', 'validate:public.details.of_event'])
  })

  test('on 14, where detaching drops foreign keys to partitioned tables, they are created again and validated', () => {
    const furnished = {
      constraints: [byTime.constraint, foreignKey('of_user', 'user_id', named('users'), { ontoPartitioned: true })],
    }
    const situation = converted({ ...furnished, indexes: [byTime.index] })

    expect(keys(planRollback(situation))).toEqual(['swap-back'])
    const plan = planRollback({ ...situation, server: server({ version: 140023 }) })
    expect(keys(plan)).toEqual(['referring-rows', 'swap-back', 'validate:of_user'])
    expect(sqlOf(plan, 'swap-back').at(-2)).toBe(
      'alter table "public"."events" add constraint "of_user" FOREIGN KEY (user_id) REFERENCES public.users(id) NOT VALID',
    )
  })

  test.each<[string, Partial<RollbackSituation>, string]>([
    ['the history has gone', { historyAttached: false }, 'history-gone'],
    ['partitions have gone', { removed: ['public.events_2025_01'] }, 'removed'],
    ['rows in other partitions', { others: [{ name: named('events_2026_04'), empty: false }] }, 'written'],
    ['altered since', { current: table({ comment: 'new' }) }, 'changed'],
  ])('objects: %s', (_, changes, code) => {
    const plan = planRollback({ ...converted(), ...changes })

    expect(codes(plan)).toEqual([code])
    expect(plan.objections[0]?.acceptable).toBe(false)
    expect(plan.steps).toEqual([])
  })
})

describe('from a rebuild', () => {
  const furnished = {
    constraints: [plain.constraint, foreignKey('of_user', 'user_id', named('users'))],
    inboundForeignKeys: [inbound(named('details'), 'of_event')],
    sequences: [sequence('events_id_seq', 'id')],
  }

  function situation(model: Parameters<typeof table>[0] = {}) {
    const current = table(model)
    const rebuild = rebuilt({ table: current })
    return {
      runId: '7',
      rebuild,
      current,
      retired: rebuild.retired,
      gaps: [],
      partitions: [],
      removed: [],
      taken: new Set(['events', 'events_retired']),
      server: server(),
    }
  }

  test('every write since is applied to the retired table, which then gets its name back', () => {
    const plan = planRebuildRollback(situation(furnished))

    expect(keys(plan)).toEqual([
      'referring-rows',
      'reconcile',
      'vacuum',
      'verify',
      'swap-back',
      'validate:of_user',
      'drop-new',
      'validate:public.details.of_event',
    ])
    expect(sqlOf(plan, 'drop-new')[0]).toBe(dropTable({ name: named('events_ebb'), oid: '16384' }))
    expect(stepOf(plan, 'swap', 'swap-back').work).toMatchObject({
      source: named('events'),
      target: named('events_retired'),
    })
  })

  test('rows that were left out are only in the retired table, and are no difference', () => {
    const { rebuild, ...rest } = situation()
    const partly = { ...rebuild, forward: { ...rebuild.forward, keep: 'id > 5' } }

    expect(stepOf(planRebuildRollback({ ...rest, rebuild: partly }), 'verify', 'verify').shared).toBe('id > 5')
  })

  test('the names are exchanged, and the table to be dropped references nothing any more', () => {
    const statements = sqlOf(planRebuildRollback(situation(furnished)), 'swap-back')

    expect(statements.slice(0, 8)).toEqual([
      'alter table "public"."events" rename to "events_ebb"',
      'drop trigger "ebb_0a1b2c3d_back_capture" on "public"."events_ebb"',
      'drop trigger "ebb_0a1b2c3d_back_truncated" on "public"."events_ebb"',
      'alter table "public"."details" drop constraint if exists "of_event"',
      'alter table "public"."events_ebb" drop constraint if exists "of_user"',
      'alter index "public"."events_pkey" rename to "events_pkey_ebb"',
      'alter table "public"."events_retired" rename to "events"',
      'alter sequence "public"."events_id_seq" owned by "public"."events"."id"',
    ])
    expect(statements).toContain('alter index "public"."events_pkey_retired" rename to "events_pkey"')
  })

  test('the swap states every lock it takes', () => {
    const plan = planRebuildRollback(situation(furnished))

    expect(locksOf(plan, 'swap-back')).toEqual([
      ...['events', 'details', 'users'].map((one) => `public.${one}: ACCESS EXCLUSIVE, blocks reads and writes`),
      'public.events_id_seq: SHARE ROW EXCLUSIVE, blocks writes',
    ])
    expect(stepOf(plan, 'swap', 'swap-back').acquire).toHaveLength(4)
  })

  test.each([
    [{ retired: null }, 'retired'],
    [{ retired: named('put_away') }, 'retired-renamed'],
    [{ gaps: ['truncated'] }, 'gap'],
    [{ removed: ['public.events_2026_02'] }, 'removed'],
    [{ current: table({ comment: 'new' }) }, 'changed'],
  ])('objects: %o → %s', (changes, code) => {
    const plan = planRebuildRollback({ ...situation(), ...changes })

    expect(codes(plan)).toEqual([code])
    expect(plan.objections[0]?.acceptable).toBe(false)
    expect(plan.steps).toEqual([])
  })
})
