import { UNTOLD } from '../support/models.ts'
import { describe, expect, test } from 'vitest'
import type { ReferenceGraph } from '../../src/catalog/references/reference-graph.ts'
import { costObjections, lookUpSeconds, estimateGoing } from '../../src/plan/references/cascade-cost.ts'
import { cascadeObjections } from '../../src/plan/references/cascade-objections.ts'
import { planCascade, type Cascade, type CascadeRequest } from '../../src/plan/references/cascade.ts'
import { dependentsOf } from '../../src/plan/references/dependents.ts'
import { describeReferences } from '../../src/plan/references/cascade-text.ts'
import type { LookUpCost } from '../../src/plan/references/look-up-cost.ts'
import { graphOf, graphTable, graphWith, named, reference } from './cascade-support.ts'

const ALONG: CascadeRequest = { cascade: true, protect: [] }
const ASIDE: CascadeRequest = { cascade: false, protect: [] }

function dependents({ walked }: Cascade): string[] {
  return walked.map(({ from, to, fate, depth }) => `${'.'.repeat(depth)}${from.oid} → ${to.oid}: ${fate}`)
}

function order({ emptied }: Cascade): string[] {
  return emptied.toReversed().map(({ oid }) => oid)
}

function objections(graph: ReferenceGraph, request: CascadeRequest): string[] {
  return cascadeObjections(graph, planCascade(graph, request), request, 'app').map(({ code }) => code)
}

test('a batch reads a table as a whole where no index serves a foreign key that it follows', () => {
  const scans = (indexed: boolean, request: CascadeRequest, onDelete: 'cascade' | 'set null' = 'cascade') =>
    dependentsOf(planCascade(graphWith([reference('b → a', { indexed, onDelete })]), request)).scans
  expect(scans(false, ALONG)).toBe(true)
  expect(scans(false, ASIDE)).toBe(true)
  expect(scans(true, ALONG)).toBeUndefined()
  expect(scans(false, ALONG, 'set null')).toBeUndefined()
})

describe('rows referencing deleted rows', () => {
  test('the deletion order of six tables, derived from the foreign keys', () => {
    const graph = graphOf(
      'subscriptions → users', 'user_profiles → users', 'payment_methods → user_profiles', 'payment_methods → subscriptions',
      'user_sessions → users', 'audit_logs → user_sessions', 'audit_logs → users', 'payments → payment_methods',
    ) // prettier-ignore
    const cascade = planCascade(graph, { cascade: true, protect: [named('payments')] })
    const going = order(cascade)
    expect(going.at(-1)).toBe('users')
    for (const { from, to } of cascade.walked.filter(({ fate }) => fate === 'followed'))
      expect(going.indexOf(from.oid), `${from.oid} before ${to.oid}`).toBeLessThan(going.indexOf(to.oid))
    expect(going).not.toContain('payments')
    expect(describeReferences(cascade)).toMatchInlineSnapshot(`
      [
        "references to rows of public.users:",
        "← public.subscriptions (users_id), on delete no action: its rows are deleted too",
        "· ← public.payment_methods (subscriptions_id), on delete no action: its rows are deleted too",
        "· · ← public.payments (payment_methods_id), on delete no action: protected, rows leading to its rows are kept",
        "← public.user_profiles (users_id), on delete no action: its rows are deleted too",
        "· ← public.payment_methods (user_profiles_id), on delete no action: its rows are deleted too; see above",
        "← public.user_sessions (users_id), on delete no action: its rows are deleted too",
        "· ← public.audit_logs (user_sessions_id), on delete no action: its rows are deleted too",
        "← public.audit_logs (users_id), on delete no action: its rows are deleted too; see above",
        "rows are deleted in this order, in one statement: public.payment_methods → public.subscriptions → public.user_profiles → public.audit_logs → public.user_sessions → public.users",
      ]
    `)
  })

  test.each([
    ['they go', ['b → a', 'c → b'], ALONG, ['b → a: followed', '.c → b: followed']],
    ['they hold', ['b → a', 'c → b'], ASIDE, ['b → a: held']],
    ['PostgreSQL changes them', ['b → a set null', 'c → b', 'd → a set default'], ALONG, ['b → a: set null', 'd → a: set default']],
    ['they are protected', ['b → a', 'c → b cascade', 'd → c'], { cascade: true, protect: [named('c')] }, ['b → a: followed', '.c → b: protected']],
    ['they would be changed, and are protected', ['b → a set null'], { cascade: true, protect: [named('b')] }, ['b → a: protected']],
    ['they are in the same table', ['a → a', 'b → a'], ALONG, ['a → a: self', 'b → a: followed']],
    ['… and go to null', ['a → a set null'], ASIDE, ['a → a: set null']],
    ['they lead back to the root', ['b → a', 'a → b'], ALONG, ['b → a: followed', '.a → b: cycle']],
    ['they lead back to themselves', ['b → a', 'b → b'], ALONG, ['b → a: followed', '.b → b: subtree']],
    ['two ways lead to them', ['b → a', 'c → a', 'd → b', 'd → c', 'e → d'], ALONG,
      ['b → a: followed', '.d → b: followed', '..e → d: followed', 'c → a: followed', '.d → c: followed']],
  ])('%s', (_, arrows, request, expected) => {
    expect(dependents(planCascade(graphOf(...arrows), request))).toEqual(expected)
  }) // prettier-ignore

  test('SET NULL of a NOT NULL column keeps the row, with and without --cascade', () => {
    const graph = graphWith([reference('b → a', { onDelete: 'set null', cannotSetNull: true })])
    for (const request of [ALONG, ASIDE]) expect(dependents(planCascade(graph, request))).toEqual(['b → a: held'])
  })

  test('every path to a protected table is checked', () => {
    const graph = graphOf('b → a', 'c → a', 'p → b', 'p → c', 'p → a set null', 'd → c')
    const [reason, ...others] = planCascade(graph, { cascade: true, protect: [named('p')] }).reasons
    expect(others).toEqual([])
    const ways = reason?.branches.map(({ from, onwards }) => [from.oid, ...onwards.map((next) => next.from.oid)])
    expect(ways).toEqual([['b', 'p'], ['c', 'p'], ['p']]) // prettier-ignore
  })
})

describe('objections', () => {
  test.each([
    ['rows that would go in silence', graphOf('b → a cascade'), ASIDE, ['cascade:public.b.b_a_fkey']],
    ['unless they are to go', graphOf('b → a cascade'), ALONG, []],
    ['or protected', graphOf('b → a cascade'), { cascade: false, protect: [named('b')] }, []],
    ['rows of the table itself are watched', graphOf('a → a cascade'), ASIDE, []],
    ['a table that is no part of it', graphOf('b → a'), { cascade: true, protect: [named('x')] }, ['protect:public.x']],
    ['the table itself protected', graphOf('b → a'), { cascade: true, protect: [named('a')] }, ['protect-root']],
    ['one partition referred to', graphWith([reference('b → a', { ontoPartition: true })]), ALONG, ['onto-partition:public.b.b_a_fkey']],
    ['periods', graphWith([reference('b → a', { temporal: true })]), ASIDE, ['temporal:public.b.b_a_fkey']],
    ['no right to delete', graphWith([reference('b → a')], [graphTable('b', { mayDelete: false })]), ALONG, ['no-delete:public.b']],
    ['which is not needed where nothing goes', graphWith([reference('b → a')], [graphTable('b', { mayDelete: false })]), ASIDE, []],
    ['no right to read', graphWith([reference('b → a', { readable: false })]), ASIDE, ['no-select:public.b.b_a_fkey']],
    ['rows hidden', graphWith([reference('b → a')], [graphTable('b', { rowsHidden: true })]), ASIDE, ['row-security:public.b']],
    ['rows that no subscriber could tell', graphWith([reference('b → a')], [graphTable('b', { published: UNTOLD })]), ALONG, ['replica-identity:public.b']],
    ['nobody counts, and a cascade threatens what is protected', { ...graphOf('b → a cascade'), counts: false }, { cascade: false, protect: [named('b')] }, ['track-counts']],
    ['nobody counts, and constraints refuse', { ...graphOf('b → a'), counts: false }, { cascade: true, protect: [named('b')] }, []],
  ])('%s', (_, graph, request, codes) => {
    expect(objections(graph, request)).toEqual(codes)
  }) // prettier-ignore

  test('a slow lookup is reported with its cost and fix', () => {
    const cascade = planCascade(
      graphWith([reference('b → a', { indexed: false }), reference('c → a', { indexed: false })]),
      ALONG,
    )
    const costs = [
      { name: 'b_a_fkey', from: 'b', milliseconds: 57, atLeast: false },
      { name: 'c_a_fkey', from: 'c', milliseconds: 0.2, atLeast: false },
    ]
    expect(lookUpSeconds(cascade, costs, 10_000)).toBeCloseTo(572)
    expect(costObjections(cascade, costs, 10_000)).toMatchInlineSnapshot(`
      [
        {
          "acceptable": true,
          "code": "unindexed:public.b.b_a_fkey",
          "fix": "Create one without blocking writes: create index concurrently on "public"."b" ("a_id"); Or accept this with --accept unindexed:public.b.b_a_fkey.",
          "what": "no index of public.b begins with a_id, so each row deleted from public.a costs 57 ms (b_a_fkey, measured), about 10 min for about 10,000 rows",
        },
      ]
    `)
  })

  test('one not measured within the limit, to partitions', () => {
    const cascade = planCascade(
      graphWith([reference('b → a', { indexed: false })], [graphTable('b', { partitioned: true })]),
      ALONG,
    )
    const [objection] = costObjections(
      cascade,
      [{ name: 'b_a_fkey', from: 'b', milliseconds: 2000, atLeast: true }],
      100,
    )
    expect(objection?.what).toMatch(/costs more than 2 s .* at least 4 min for about/)
    expect(objection?.fix).toMatch(/on each partition/)
  })

  test('what a few rows cost is not reported, unless that is not known', () => {
    const cascade = planCascade(graphWith([reference('b → a', { indexed: false })]), ALONG)
    const cost = { name: 'b_a_fkey', from: 'b', milliseconds: 5, atLeast: false }
    const reported = (one: LookUpCost, rows: number | null) => costObjections(cascade, [one], rows).length
    expect([reported(cost, 20), reported(cost, 21), reported(cost, null)]).toEqual([0, 1, 1])
    expect(reported({ ...cost, atLeast: true }, 20)).toBe(1)
  })
})

test('the number of dependent rows is estimated from averages', () => {
  const tables = [
    graphTable('a', { estimatedRows: 100 }),
    graphTable('b', { estimatedRows: 1000 }),
    graphTable('c', { estimatedRows: 500 }),
    graphTable('d', { estimatedRows: null }),
  ]
  const graph = graphWith([reference('b → a'), reference('c → b'), reference('d → a')], tables)
  const going = estimateGoing(planCascade(graph, ALONG), 10)
  expect(Object.fromEntries(going)).toEqual({ a: 10, b: 100, c: 50, d: 10 })
})
