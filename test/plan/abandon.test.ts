import { describe, expect, test } from 'vitest'
import { planAbandonRebuild, planLeaving } from '../../src/plan/copy/abandon.ts'
import { planAbandon } from '../../src/plan/partition/abandon.ts'
import { planAbandonPurge, planPurge } from '../../src/plan/purge/purge.ts'
import { dropTable } from '../../src/sql/drop-table.ts'
import { AWFUL, AWFUL_SQL, foreignKey, named, primaryKey, table } from '../support/models.ts'
import { blocking, keys, kinds, sqlOf, stepOf } from './support/gist.ts'
import { purgeRequest, purgeSituation, rebuilt } from './support/situations.ts'

const events = named('events')

describe('a conversion', () => {
  const index = { schema: AWFUL.schema, name: 'K"ey' }

  test('its bound is dropped first, since it rejects rows; then its index', () => {
    const plan = planAbandon('7', { table: AWFUL, guard: 'Bou"nd', index })

    expect(keys(plan)).toEqual(['abandon:guard', 'abandon:index'])
    expect(kinds(plan)).toEqual(['short lock', 'drop index'])
    expect(sqlOf(plan, 'abandon:guard')).toEqual([`alter table ${AWFUL_SQL} drop constraint if exists "Bou""nd"`])
    expect(sqlOf(plan, 'abandon:index')).toEqual(['drop index concurrently if exists "My.sch""ema"."K""ey"'])
  })

  test('only the bound blocks other sessions', () => {
    expect(blocking(planAbandon('7', { table: events, guard: 'bound', index }))).toEqual({
      'abandon:guard': ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
    })
  })

  test('what was not created is not dropped', () => {
    expect(keys(planAbandon('7', { table: events, guard: null, index }))).toEqual(['abandon:index'])
    expect(keys(planAbandon('7', { table: events, guard: 'bound', index: null }))).toEqual(['abandon:guard'])
    expect(keys(planAbandon('7', { table: events, guard: null, index: null }))).toEqual([])
  })
})

describe('a copy', () => {
  const key = primaryKey('events_pkey', ['id'])
  const keyed = table({ constraints: [key.constraint, foreignKey('of_user', 'user_id', named('users'))] })
  const abandoned = (done: readonly string[], present = events as typeof events | null, oid: string | null = '16401') =>
    planAbandonRebuild('7', rebuilt({ table: keyed }), present, new Set(done), oid)

  test('just begun: nothing on the table, and a table of that name may be a user’s', () => {
    expect(keys(abandoned([]))).toEqual(['abandon:logs'])
    expect(blocking(abandoned([]))).toEqual({})
  })

  test('in progress: the copy is dropped, then the triggers, then the objects they write to', () => {
    const plan = abandoned(['shadow', 'capture'])

    expect(keys(plan)).toEqual(['abandon:shadow', 'abandon:capture', 'abandon:logs'])
    expect(sqlOf(plan, 'abandon:shadow')).toEqual([
      dropTable({ name: named('events_ebb'), oid: '16401' }, { name: events, oid: '16384' }),
    ])
    expect(sqlOf(plan, 'abandon:capture')[0]).toBe(
      'drop trigger if exists "ebb_0a1b2c3d_forward_capture" on "public"."events"',
    )
    expect(sqlOf(plan, 'abandon:logs')).toContain('drop table if exists "ebb"."ebb_0a1b2c3d_back_log"')
  })

  test('dropping a table locks the tables it references', () => {
    const plan = abandoned(['shadow'])

    expect(blocking(plan)['abandon:shadow']).toEqual(
      ['events_ebb', 'users'].map((one) => `public.${one}: ACCESS EXCLUSIVE, blocks reads and writes`),
    )
    expect(stepOf(plan, 'short lock', 'abandon:shadow').acquire).toEqual([
      'lock table "public"."users" in access exclusive mode',
    ])
  })

  test('of a renamed table: the triggers are on the table now', () => {
    expect(sqlOf(abandoned(['shadow', 'capture'], AWFUL), 'abandon:capture')[0]).toMatch(
      new RegExp(` on ${AWFUL_SQL.replaceAll('.', '\\.')}$`),
    )
  })

  test('of a dropped table: its triggers are gone', () => {
    expect(keys(abandoned(['shadow', 'capture'], null))).toEqual(['abandon:shadow', 'abandon:logs'])
  })
})

describe('after the swap', () => {
  test('a copy keeps its log, and nothing else is changed', () => {
    const plan = planLeaving('7', events, ['validate'], rebuilt())

    expect(keys(plan)).toEqual(['abandon:release'])
    expect(sqlOf(plan, 'abandon:release').at(-1)).toBe('drop table if exists "ebb"."ebb_0a1b2c3d_forward_log"')
    expect(blocking(plan)).toEqual({})
    expect(plan.evidence).toHaveLength(2)
  })

  test('others leave nothing behind', () => {
    expect(planLeaving('7', events, [], null).steps).toEqual([])
  })
})

test('a purge ends in its current state', () => {
  const plan = planPurge(purgeSituation(), purgeRequest())
  expect(planAbandonPurge('7', events, plan).steps).toMatchObject([{ key: 'abandon:purge', statements: [] }])
})
