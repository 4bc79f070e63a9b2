import { describe, expect, test } from 'vitest'
import type { BegunRetirement } from '../../src/plan/rotate/begun.ts'
import type { RotationPlan, RotationSituation } from '../../src/plan/rotate/plan.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { besidesOf, onlySaved, rotationDifferences } from '../../src/plan/rotate/saved.ts'
import { savedPlan } from '../../src/plan/language/saved.ts'
import { toStored } from '../../src/plan/language/stored.ts'
import { BY_ID, gist, idSet, MONTHLY, partition, partitions, request, setOf, situation } from './rotate-support.ts'
import { instant } from '../support/models.ts'

const YEAR = partitions(
  '2026-01-01', '2026-02-01', '2026-03-01', '2026-04-01', '2026-05-01', '2026-06-01', '2026-07-01', '2026-08-01',
) // prettier-ignore
const NOW = '2026-06-15'
const NOTHING_DONE = new Map<string, ReadonlySet<string>>()

function saving(plan: RotationPlan) {
  return savedPlan(plan, {
    version: '1',
    system: '1',
    database: 'shop',
    table: { ...plan.table, oid: '1' },
    definition: '',
    command: 'rotate',
    request: toStored(request()),
    now: instant(NOW).toString(),
    suffix: '00000000',
    besides: besidesOf(plan),
  })
}

/** How what is planned now differs from what was planned of the whole year. */
function differing(list: typeof YEAR, changes: Partial<RotationSituation> = {}, done = NOTHING_DONE) {
  const saved = saving(planRotation(situation(setOf(YEAR), NOW), request()))
  const plan = planRotation(situation(setOf(list), NOW, changes), request())
  return rotationDifferences(saved, saving(plan), plan, done)
}

describe('a saved rotation by time, planned again at its moment', () => {
  test('is the same, whatever has happened to the rows', () => {
    expect(differing(YEAR)).toEqual([])
    expect(differing(YEAR.map((one) => ({ ...one, bytes: 99, estimatedRows: 1e6 })))).toEqual([])
  })

  test('differs by a partition that is gone, that is another one, or that has come', () => {
    const [first, second, ...others] = YEAR
    expect(differing([second!, ...others])).toEqual([
      'no longer planned: detach public."p_2026-01-01"',
      'no longer planned: drop public."p_2026-01-01"',
    ])
    expect(differing([{ ...first!, oid: '99' }, second!, ...others])).toEqual([
      'partition public."p_2026-01-01" has changed',
    ])
    const older = partition('2025-12-01', '2026-01-01')
    expect(differing([older, ...YEAR])).toEqual([
      'planned in addition: detach public."p_2025-12-01"',
      'planned in addition: drop public."p_2025-12-01"',
    ])
  })

  test('differs by the policy, though the steps are the same', () => {
    expect(differing(YEAR, { registered: { ...MONTHLY, keep: { count: 91, unit: 'day' } } })).toEqual([
      'the policy has changed',
    ])
  })

  test('is continued: what the journal has as done is not missed, and what was begun is finished', () => {
    const [first, second, ...others] = YEAR
    const dropped = new Map([['p_2026-01-01', new Set(['detached', 'dropped'])]])
    expect(differing([second!, ...others], {}, dropped)).toEqual([])
    expect(differing(others, {}, dropped)).toHaveLength(2)
    // Of another partition, or another action.
    expect(differing([second!, ...others], {}, new Map([['p_2026-01-01', new Set(['created'])]]))).toHaveLength(2)
    expect(differing([second!, ...others], { begun: [begunOf(first!)] })).toEqual([])
    expect(differing([second!, ...others], { begun: [{ ...begunOf(first!), oid: '99' }] })).toEqual([
      'partition public."p_2026-01-01" has changed',
    ])
    const pending = { ...first!, detachPending: true }
    expect(differing([pending, second!, ...others])).toEqual([])
    // That was not to be retired: somebody else has begun it since.
    const stranger = partition('2025-12-01', '2026-01-01')
    expect(differing(YEAR, { begun: [begunOf(stranger)] })).toEqual(['planned in addition: drop public."p_2025-12-01"'])
  })
})

function begunOf({ oid, name, boundsText }: (typeof YEAR)[number]): BegunRetirement {
  return {
    oid,
    table: { schema: 'public', name: 'events' },
    partition: name,
    called: name,
    method: 'drop',
    bounds: boundsText,
    bytes: 1,
    estimatedRows: 1,
    grace: null,
    state: 'detached',
    replaced: false,
    copy: null,
    divided: false,
    detachedAt: new Date('2026-06-15T00:00:00Z'),
    watched: false,
    written: false,
    provesBounds: true,
    dependents: [],
    foreignKeys: [],
  }
}

test('by id, what has become due since is left for another rotation', () => {
  const thousand = (n: number) => partition(String(n * 1000), String((n + 1) * 1000), {}, 'id')
  const list = [0, 1, 2, 3, 4].map(thousand)
  const old = instant('2026-01-01')
  const planned = (head: bigint, known: number) =>
    planRotation(
      situation(idSet(list), NOW, {
        registered: { ...BY_ID, premake: 2 },
        newest: { key: head, time: instant(NOW) },
        newestIn: new Map(list.slice(0, known).map(({ oid }) => [oid, old])),
      }),
      request(),
    )
  const before = planned(3_500n, 1)
  const since = planned(4_500n, 2)
  expect(gist(before)).toMatchObject({ create: ['5000 … 6000'], retire: ['p_0'] })
  expect(gist(since)).toMatchObject({ create: ['5000 … 6000', '6000 … 7000'], retire: ['p_0', 'p_1000'] })
  const saved = saving(before)
  expect(rotationDifferences(saved, saving(since), since, NOTHING_DONE)).toEqual([])
  const only = onlySaved(since, saved)
  expect(gist(only)).toMatchObject(gist(before))
  expect(only.steps.map(({ key }) => key)).toEqual(before.steps.map(({ key }) => key))
  // A partition of the same name that is another one is not retired.
  const others = { ...saved, besides: { ...saved.besides, 'partition public.p_0': '99 FOR VALUES' } }
  expect(gist(onlySaved(since, others)).retire).toEqual([])
})
