import { describe, expect, test } from 'vitest'
import { markBy, markedLongerAgo, notYetMarked, planAbandonMark, planMark } from '../../src/plan/purge/mark.ts'
import { column, leaf, named, predicate, server, UNPUBLISHED, UNTOLD } from '../support/models.ts'
import { blocking, codes, keys, kinds, locksOf } from './support/gist.ts'
import { markIn, markRequest, markSituation } from './support/situations.ts'

const facts = { name: named('events'), rules: [], disabledConstraints: [], published: UNPUBLISHED, triggers: [] }

function planOf(overrides: Parameters<typeof markSituation>[0] = {}, request = markRequest()) {
  return planMark(markSituation(overrides), request, markIn('boolean'))
}

describe('the steps', () => {
  test('update in batches, vacuum, count the rest; no other session waits', () => {
    expect(keys(planOf())).toEqual(['mark', 'vacuum 16384', 'check'])
    expect(kinds(planOf())).toEqual(['purge', 'vacuum', 'check'])
    expect(blocking(planOf())).toEqual({})
    expect(locksOf(planOf(), 'mark')).toEqual(['public.events: ROW EXCLUSIVE, blocks nothing'])
    expect(planOf().purge?.action).toEqual({ kind: 'mark', set: '"gone" = true' })
  })

  test('without vacuum', () => {
    expect(keys(planOf({}, markRequest({ vacuum: false })))).toEqual(['mark', 'check'])
  })

  test('without unmarked matching rows there is nothing to do', () => {
    const plan = planOf({ reach: { selectsSome: false, sparesSome: true } })

    expect(plan.steps).toEqual([])
    expect(plan.purge).toBeNull()
  })

  test('triggers and publications are mentioned in notes', () => {
    const usual = planOf().notes.length

    expect(planOf({ facts: [{ ...facts, triggers: ['audit'] }] }).notes).toHaveLength(usual + 1)
  })
})

describe('the mark', () => {
  const moment = `'2026-03-15 00:00:00+00'::pg_catalog.timestamptz`

  test.each([
    ['boolean', '"Gone.at" is not true', '"Gone.at" = true'],
    ['timestamp with time zone', '"Gone.at" is null', `"Gone.at" = ${moment}`],
    ['timestamp without time zone', '"Gone.at" is null', `"Gone.at" = (${moment} at time zone 'UTC')`],
    ['date', '"Gone.at" is null', `"Gone.at" = (${moment} at time zone 'UTC')::pg_catalog.date`],
  ])('in a column of type %s', (type, missing, set) => {
    expect(markIn(type, 'Gone.at')).toMatchObject({ missing, action: { set } })
  })

  test('other columns are rejected', () => {
    expect(markBy(column('gone', 'text'), moment)).toBeNull()
    expect(markBy(column('gone', 'boolean', { generated: true }), moment)).toBeNull()
  })

  test('a condition that ends in a comment does not comment out the rest', () => {
    expect(notYetMarked(predicate('at < now() -- old'), markIn('boolean')).text).toBe(
      '(at < now() -- old\n) and "gone" is not true',
    )
  })

  test('only a time shows when a row was marked', () => {
    const week = { count: 1, unit: 'week' } as const

    expect(markedLongerAgo(column('gone'), week)).toBe(`"gone" < (now() - interval '1 week')`)
    expect(markedLongerAgo(column('gone', 'boolean'), week)).toBeNull()
    expect(markedLongerAgo(column('gone', 'boolean'), null)).toBe('"gone" is true')
  })
})

describe('objections', () => {
  test.each<[string, Parameters<typeof markSituation>[0], string]>([
    ['every row matches', { reach: { selectsSome: true, sparesSome: false } }, 'all-rows'],
    ['rows match in no table', { leaves: [] }, 'rows-elsewhere'],
    ['a foreign table', { leaves: [leaf({ kind: 'foreign table', accessMethod: null })] }, 'foreign:public.events'],
    ['storage without addresses', { leaves: [leaf({ accessMethod: 'columnar' })] }, 'access-method:public.events'],
    ['no right to it', { leaves: [leaf({ missingPrivileges: ['UPDATE'] })] }, 'privilege:public.events'],
    ['rows hidden', { leaves: [leaf({ rowsHidden: true })] }, 'row-security:public.events'],
    ['a rule', { facts: [{ ...facts, rules: ['keep'] }] }, 'rule:public.events.keep'],
    ['published without identity', { facts: [{ ...facts, published: UNTOLD }] }, 'replica-identity:public.events'],
    [
      'constraints switched off',
      { facts: [{ ...facts, disabledConstraints: [{ name: 'c', of: 'a', on: 'a' }] }] },
      'disabled-foreign-keys',
    ],
    [
      'triggers whose doings nobody counts',
      { facts: [{ ...facts, triggers: ['audit'] }], server: server({ countsChanges: false }) },
      'track-counts',
    ],
  ])('%s', (_, situation, code) => {
    const plan = planOf(situation)

    expect(codes(plan)).toEqual([code])
    expect(plan.objections[0]?.acceptable).toBe(false)
    expect(plan.steps).toEqual([])
    expect(plan.purge).toBeNull()
  })

  test('delete rules do not apply to updates', () => {
    expect(codes(planOf({ leaves: [leaf({ deleteRules: ['keep'], published: UNTOLD })] }))).toEqual([])
  })

  test('all rows can be marked with the option', () => {
    const all = { reach: { selectsSome: true, sparesSome: false } }

    expect(codes(planOf(all, markRequest({ allRows: true })))).toEqual([])
  })
})

test('abandoning changes nothing', () => {
  expect(planAbandonMark('7', named('events')).steps).toMatchObject([{ key: 'abandon:mark', statements: [] }])
})
