import { describe, expect, test } from 'vitest'
import { planAbandonCandidates, planCandidates } from '../../src/plan/purge/candidates.ts'
import { AWFUL, AWFUL_SQL, leaf, named, table } from '../support/models.ts'
import { blocking, codes, keys, kinds, locksOf, sqlOf } from './support/gist.ts'
import { candidateSituation } from './support/situations.ts'

const january = leaf({ oid: '1', name: named('events_2026_01') })
const february = leaf({ oid: '2', name: named('events_2026_02') })

function planOf(overrides: Parameters<typeof candidateSituation>[0] = {}) {
  return planCandidates(candidateSituation(overrides), { where: 'at < now()' })
}

describe('the steps', () => {
  test('a table of keys, filled and analyzed; no row is locked', () => {
    expect(keys(planOf())).toEqual(['set', 'record', 'settle'])
    expect(kinds(planOf())).toEqual(['online', 'purge', 'alone'])
    expect(blocking(planOf())).toEqual({})
    expect(locksOf(planOf(), 'record')).toEqual(['public.events: ACCESS SHARE, blocks nothing'])
    expect(sqlOf(planOf(), 'settle')).toEqual(['analyze "ebb"."candidates_7"'])
  })

  test('the keys have the types of the table, and are a key in each partition', () => {
    const key = [
      { name: 'I.d', type: 'pg_catalog.int8' },
      { name: 'at', type: 'pg_catalog.timestamptz' },
    ]
    const [create, identify] = sqlOf(planOf({ table: table({ name: AWFUL }), key }), 'set')

    expect(create).toMatch(
      /^create table "ebb"\."candidates_7" as select 0 as "\w+", t\."I\.d", t\."at", 0::bigint as "\w+"/,
    )
    expect(create?.endsWith(`from only ${AWFUL_SQL} t with no data`)).toBe(true)
    expect(identify).toMatch(/^alter table "ebb"\."candidates_7" add primary key \("\w+", "I\.d", "at"\)$/)
  })

  test('partitions are identified by number', () => {
    const plan = planOf({ leaves: [january, february] })

    expect(plan.set?.leaves).toEqual([january.name, february.name])
    expect(plan.purge?.action).toEqual({ kind: 'record', into: { schema: 'ebb', name: 'candidates_7' }, key: ['id'] })
  })

  test('without matching rows there is nothing to do', () => {
    const plan = planOf({ reach: { selectsSome: false, sparesSome: true } })

    expect(plan.steps).toEqual([])
    expect(plan.set).toBeNull()
  })
})

test.each<[string, Parameters<typeof candidateSituation>[0], string]>([
  ['no key', { key: null }, 'no-key'],
  ['no right to make the table', { mayCreateThere: false }, 'journal-create'],
  ['rows in no table', { leaves: [] }, 'rows-elsewhere'],
  ['a foreign table', { leaves: [leaf({ kind: 'foreign table', accessMethod: null })] }, 'foreign:public.events'],
  ['storage without addresses', { leaves: [leaf({ accessMethod: 'columnar' })] }, 'access-method:public.events'],
])('objects: %s', (_, situation, code) => {
  const plan = planOf(situation)

  expect(codes(plan)).toEqual([code])
  expect(plan.objections[0]?.acceptable).toBe(false)
  expect(plan.steps).toEqual([])
  expect(plan.set).toBeNull()
})

test('every row may be a candidate, since none is changed', () => {
  expect(codes(planOf({ reach: { selectsSome: true, sparesSome: false } }))).toEqual([])
})

test('abandoning drops the keys, and their journal entry', () => {
  expect(sqlOf(planAbandonCandidates('7', planOf()), 'abandon:candidates')).toEqual([
    'drop table if exists "ebb"."candidates_7"',
    'delete from "ebb"."candidate_set" where run_id = 7',
  ])
})
