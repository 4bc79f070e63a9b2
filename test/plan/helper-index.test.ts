import { describe, expect, test } from 'vitest'
import { planAbandonPurge, planPurge } from '../../src/plan/purge/purge.ts'
import { planCascade } from '../../src/plan/references/cascade.ts'
import type { HelperFacts } from '../../src/plan/references/helper-index.ts'
import type { GraphReference, GraphTable } from '../../src/catalog/references/reference-graph.ts'
import { graphTable, graphWith, named, reference } from './cascade-support.ts'
import { keys, sqlOf } from './support/gist.ts'
import { purgeRequest, purgeSituation } from './support/situations.ts'

const FACTS: HelperFacts = { tag: '0a1b2c3d', left: [] }
const OURS = { mayIndex: true, estimatedRows: 1_000_000 }
const SLOW = reference('b → a', { indexed: false, keyBytes: 8 })

interface Around {
  readonly references?: readonly GraphReference[]
  readonly child?: Partial<GraphTable>
  readonly accept?: readonly string[]
  readonly helpers?: HelperFacts
}

function planOf({ references = [SLOW], child = OURS, accept, helpers = FACTS }: Around = {}) {
  const graph = graphWith(references, [graphTable('b', child)])
  const around = { cascade: true, protect: [] }
  const lookUps = references.map(({ name, from }) => ({ name, from, milliseconds: 57, atLeast: false }))
  const situation = purgeSituation({ graph, around, cascade: planCascade(graph, around), lookUps, helpers })
  return planPurge(situation, purgeRequest({ cascade: true, accept: accept ?? ['helper-index:public.b.b_a_fkey'] }))
}

describe('a helper index', () => {
  test('is built before the first row goes, and dropped before the vacuum', () => {
    const plan = planOf()
    expect(keys(plan)).toEqual([
      'helper-index:1', 'purge', 'check', 'drop public.b_ebb_helper_1_0a1b2c3d', 'vacuum 16384', 'vacuum b',
    ]) // prettier-ignore
    expect(sqlOf(plan, 'helper-index:1')).toEqual([
      'create index concurrently "b_ebb_helper_1_0a1b2c3d" on "public"."b" ("a_id")',
    ])
    expect(sqlOf(plan, 'drop public.b_ebb_helper_1_0a1b2c3d')).toEqual([
      'drop index concurrently if exists "public"."b_ebb_helper_1_0a1b2c3d"',
    ])
    expect(plan.steps[0]?.cost).toMatch(
      /^about a second for 1,000,000 rows, and about 22.2 MB of disk; until it is dropped/,
    )
    expect(plan.purge?.dependents.scans).toBeUndefined()
    expect(plan.steps.find(({ kind }) => kind === 'purge')).not.toHaveProperty('lookUpMs')
  })

  test('is dropped when the run is abandoned', () => {
    expect(keys(planAbandonPurge('1', named('a'), planOf()))).toEqual([
      'drop public.b_ebb_helper_1_0a1b2c3d',
      'abandon:purge',
    ])
  })

  test('is one for all foreign keys of the same columns', () => {
    const references = [SLOW, { ...SLOW, name: 'again' }]
    const accept = ['helper-index:public.b.b_a_fkey', 'helper-index:public.b.again']
    expect(keys(planOf({ references, accept })).filter((key) => key.startsWith('helper'))).toEqual(['helper-index:1'])
  })

  test('is offered, and not built unless it is accepted', () => {
    const { objections, steps } = planOf({ accept: [] })
    expect(steps).toEqual([])
    expect(objections.map(({ fix }) => fix)).toEqual([
      expect.stringContaining(
        'Or let the purge build one, about 22.2 MB of disk, and drop it at the end: --accept helper-index:public.b.b_a_fkey.',
      ),
    ])
    expect(keys(planOf({ accept: ['unindexed:public.b.b_a_fkey'] }))).not.toContain('helper-index:1')
  })

  test.for<[string, Around]>([
    ['beside a partitioned table', { child: { ...OURS, partitioned: true } }],
    ['of a table of others', { child: { ...OURS, mayIndex: false } }],
  ])('%s is neither offered nor built', ([, around]) => {
    expect(planOf(around).objections.map(({ code }) => code)).toEqual(['unindexed:public.b.b_a_fkey'])
    expect(planOf(around).objections[0]?.fix).not.toContain('helper-index')
  })

  test('left over by a run that nobody knows is dropped; another name is not taken for one', () => {
    const left = ['b_ebb_helper_1_deadbeef', 'b_pkey'].map((index) => ({ table: named('b'), index }))
    const plan = planOf({ accept: ['unindexed:public.b.b_a_fkey'], helpers: { ...FACTS, left } })
    expect(keys(plan).filter((key) => key.startsWith('drop'))).toEqual(['drop public.b_ebb_helper_1_deadbeef'])
  })
})
