import { describe, expect, test } from 'vitest'
import type { SetPolicy } from '../../src/plan/language/policy.ts'
import { aboutRows } from '../../src/plan/rotate/about-rows.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import type { RotationPlan, RotationSituation } from '../../src/plan/rotate/plan.ts'
import type { HoldAround } from '../../src/plan/language/hold.ts'
import { BY_ID, gist, idSet, MONTHLY, partition, partitions, request, setOf, situation } from './rotate-support.ts'
import { instant } from '../support/models.ts'

const YEAR = partitions(
  '2026-01-01', '2026-02-01', '2026-03-01', '2026-04-01', '2026-05-01', '2026-06-01', '2026-07-01', '2026-08-01',
) // prettier-ignore

/** The same, with oids that can be written into statements. */
const NUMBERED = YEAR.map((one, i) => ({ ...one, oid: String(100 + i) }))

describe('a set by month, 90 days kept', () => {
  test('gets the missing premake, and loses expired partitions, the oldest first', () => {
    expect(gist(planRotation(situation(setOf(YEAR), '2026-06-15'), request()))).toEqual({
      create: ['2026-08-01 … 2026-09-01', '2026-09-01 … 2026-10-01'],
      retire: ['p_2026-01-01', 'p_2026-02-01'],
      objections: [],
    })
  })

  test.each([
    ['the horizon on the bound', '2026-06-30', ['p_2026-01-01', 'p_2026-02-01', 'p_2026-03-01']],
    ['a microsecond before', '2026-06-29 23:59:59.999999', ['p_2026-01-01', 'p_2026-02-01']],
    ['a microsecond after', '2026-06-30 00:00:00.000001', ['p_2026-01-01', 'p_2026-02-01', 'p_2026-03-01']],
  ])('only whole partitions are removed: %s', (_, now, gone) => {
    expect(gist(planRotation(situation(setOf(YEAR), now), request())).retire).toEqual(gone)
  })

  test('restored rows keep each partition that they may be in', () => {
    const hold = (bounds: string | null) => ({
      ...{ table: setOf(YEAR).name, bounds, until: new Date(), runId: '7' },
      where: 'itself' as const,
      partition: null,
    })
    const left = (bounds: string | null, asked = {}) => {
      const held = { ...situation(setOf(YEAR), '2026-06-15'), holds: [hold(bounds)] }
      return gist(planRotation(held, request(asked))).retire
    }

    // Rows of a partition that was wider than those of today, or narrower.
    expect(left("FOR VALUES FROM ('2026-01-20 00:00:00+00') TO ('2026-02-02 00:00:00+00')")).toEqual([])
    expect(left("FOR VALUES FROM ('2026-01-10 00:00:00+00') TO ('2026-01-20 00:00:00+00')")).toEqual(['p_2026-02-01'])
    expect(left("FOR VALUES FROM (MINVALUE) TO ('2026-01-02 00:00:00+00')")).toEqual(['p_2026-02-01'])
    expect(left(null)).toEqual([])
    expect(left(null, { accept: ['hold'] })).toEqual(['p_2026-01-01', 'p_2026-02-01'])
    const held = { ...situation(setOf(YEAR), '2026-06-15'), holds: [hold(null)] }
    expect(planRotation(held, request()).evidence.at(-1)).toMatch(/^2 partitions entirely before it, and kept/)
  })

  test('a hold on a partition keeps it alone, one on what the table is a partition of keeps all', () => {
    const left = (held: Partial<HoldAround>) => {
      const hold: HoldAround = {
        table: setOf(YEAR).name,
        bounds: null,
        until: new Date(),
        runId: '7',
        where: 'itself',
        partition: null,
      }
      return gist(planRotation({ ...situation(setOf(YEAR), '2026-06-15'), holds: [{ ...hold, ...held }] }, request()))
        .retire
    }
    const partition = { schema: 'public', name: 'p_2026-01-01' }
    expect(left({ where: 'below', table: partition, partition })).toEqual(['p_2026-02-01'])
    const partOfAPart = { schema: 'public', name: 'part_of_a_part' }
    expect(left({ where: 'below', table: partOfAPart, partition })).toEqual(['p_2026-02-01'])
    expect(left({ where: 'above' })).toEqual([])
  })

  test('a bound between two positions counts as the later one', () => {
    const [first] = partitions('2026-01-01', '2026-02-01')
    const inexact = { ...first!, range: { ...first!.range!, toIsExact: false } }
    const at = (now: string) => gist(planRotation(situation(setOf([inexact, ...YEAR.slice(1)]), now), request())).retire
    expect(at('2026-05-02')).toEqual([])
    expect(at('2026-05-02 00:00:00.000001')).toEqual(['p_2026-01-01'])
  })

  test('a wide history that overlaps the horizon is kept, with its expiry date', () => {
    const set = setOf(partitions(null, '2026-05-01', '2026-06-01', '2026-07-01'))
    const plan = planRotation(situation(set, '2026-06-15'), request())
    expect(gist(plan).retire).toEqual([])
    expect(plan.historyGoesOn?.shown).toBe('2026-07-30 00:00 UTC')
    expect(plan.skipped).toEqual([
      {
        partition: { schema: 'public', name: 'p_min' },
        reason: 'only part of its range is before the horizon: it ends at 2026-05-01 00:00 UTC',
      },
    ])
    expect(gist(planRotation(situation(set, '2026-07-29 23:59:59'), request())).retire).toEqual([])
    expect(gist(planRotation(situation(set, '2026-07-30'), request())).retire).toEqual(['p_min'])
  })

  test('without a retention period nothing is removed', () => {
    const registered = { ...MONTHLY, keep: null }
    expect(gist(planRotation(situation(setOf(YEAR), '2026-06-15', { registered }), request())).retire).toEqual([])
    const plan = planRotation(
      situation(setOf(YEAR), '2026-06-15', { registered }),
      request({ keep: '4 months', tables: [] }),
    )
    expect(gist(plan).retire).toEqual(['p_2026-01-01'])
  })

  test('future partitions are kept, even if premake was lowered', () => {
    const registered = { ...MONTHLY, premake: 0 }
    expect(gist(planRotation(situation(setOf(YEAR), '2026-04-15', { registered }), request()))).toEqual({
      create: [],
      retire: [],
      objections: [],
    })
  })

  test('gaps ahead are filled around existing partitions, gaps behind are not', () => {
    const odd = partition('2026-07-10', '2026-07-20')
    const list = [...partitions('2026-01-01', '2026-02-01'), ...partitions('2026-06-01', '2026-07-01'), odd]
    const plan = planRotation(situation(setOf(list), '2026-06-15'), request())
    expect(gist(plan).create).toEqual([
      '2026-07-01 … 2026-07-10',
      '2026-07-20 … 2026-08-01',
      '2026-08-01 … 2026-09-01',
      '2026-09-01 … 2026-10-01',
    ])
  })

  test('a neighbor’s bound is repeated literally', () => {
    const strange = { ...partition('2026-05-01', '2026-07-01') }
    const set = setOf([{ ...strange, range: { ...strange.range!, toText: '2026-07-01 02:00:00+02' } }])
    const [first] = planRotation(situation(set, '2026-06-15'), request()).create
    expect(first?.text).toEqual({ from: '2026-07-01 02:00:00+02', to: '2026-08-01 00:00:00+00' })
  })
})

describe('old partitions that are kept', () => {
  test.each([
    ['a foreign table', { kind: 'foreign' }],
    [
      'one with a foreign table below it',
      { kind: 'partitioned', tree: { by: 'LIST (region)', children: [{ ...partition(null, null), kind: 'foreign' }] } },
    ],
    ['one with a view on it', { dependents: ['view v'] }],
    ['one of somebody else’s', { actAsOwner: false }],
  ] as const)('%s', (_, changes) => {
    const [first, ...others] = YEAR
    const plan = planRotation(situation(setOf([{ ...first!, ...changes }, ...others]), '2026-06-15'), request())
    expect(gist(plan).retire).toEqual(['p_2026-02-01'])
    expect(plan.skipped[0]?.partition.name).toBe('p_2026-01-01')
  })

  test('the default partition, and one whose bounds are not understood', () => {
    const fallback = { ...partition(null, null), isDefault: true, range: null, boundsText: 'DEFAULT' }
    const odd = { ...partition(null, null), range: null, boundsText: '?' }
    const plan = planRotation(situation(setOf([...YEAR, fallback, odd]), '2026-06-15'), request())
    expect(gist(plan).retire).toEqual(['p_2026-01-01', 'p_2026-02-01'])
    expect(plan.skipped.map(({ reason }) => reason)).toEqual(
      expect.arrayContaining([expect.stringContaining('default partition'), expect.stringContaining('not supported')]),
    )
  })

  test('with a default partition a concurrent detach is not possible', () => {
    const fallback = { ...partition(null, null), isDefault: true, range: null, boundsText: 'DEFAULT' }
    const kinds = (list: typeof YEAR) =>
      planRotation(situation(setOf(list), '2026-06-15'), request({ retire: 'detach' })).retire[0]?.steps.map(
        ({ kind, statements }) => `${kind}: ${statements.join('; ')}`,
      )
    expect(kinds(YEAR)).toEqual([
      'detach: alter table "public"."events" detach partition "public"."p_2026-01-01" concurrently',
    ])
    expect(kinds([...YEAR, fallback])).toEqual([
      'short lock: alter table "public"."events" detach partition "public"."p_2026-01-01"',
    ])
  })
})

describe('objections to removing do not affect creating partitions', () => {
  const runway = ['2026-08-01 … 2026-09-01', '2026-09-01 … 2026-10-01']

  test('without an archive --no-archive is required', () => {
    const plan = planRotation(situation(setOf(YEAR), '2026-06-15'), request({ noArchive: false }))
    expect(gist(plan)).toEqual({ create: runway, retire: [], objections: ['archive'] })
    expect(plan.withheld).toHaveLength(2)
    expect(plan.steps).toHaveLength(2)
  })

  test('detaching removes nothing and requires no archive', () => {
    const plan = planRotation(situation(setOf(YEAR), '2026-06-15'), request({ noArchive: false, retire: 'detach' }))
    expect(gist(plan)).toEqual({ create: runway, retire: ['p_2026-01-01', 'p_2026-02-01'], objections: [] })
  })

  test('referenced partitions cannot be truncated', () => {
    const set = setOf(YEAR, { inboundForeignKeys: [{ name: 'fk', table: { schema: 'public', name: 'child' } }] })
    const plan = planRotation(situation(set, '2026-06-15'), request({ retire: 'truncate' }))
    expect(gist(plan)).toEqual({ create: runway, retire: [], objections: ['truncate-referenced'] })
  })

  test('what subscribers do not hear of a retired partition is said', () => {
    const set = setOf(YEAR, { publications: ['p'] })
    const notes = (retire: 'truncate' | 'drop') =>
      planRotation(situation(set, '2026-06-15'), request({ retire })).notes.join('\n')
    expect(notes('truncate')).toContain(
      'published by p: a truncate of a partition is not sent under the name of the root',
    )
    expect(notes('drop')).toContain('detaching and dropping emit no deletes')
  })

  test('empty partitions are not truncated', () => {
    const [first, ...others] = YEAR
    const plan = planRotation(
      situation(setOf([{ ...first!, empty: true }, ...others]), '2026-06-15'),
      request({ retire: 'truncate' }),
    )
    expect(gist(plan).retire).toEqual(['p_2026-02-01'])
  })
})

describe('the server’s clock is doubted', () => {
  const at = (now: string, newest: string | null, changes: Parameters<typeof request>[0] = {}) =>
    planRotation(
      situation(setOf(YEAR), now, { newest: newest === null ? null : { key: instant(newest), time: null } }),
      request(changes),
    )

  test('if it is years ahead of the newest row', () => {
    const plan = at('2036-06-15', '2026-06-14')
    expect(gist(plan).objections).toEqual(['clock'])
    expect(gist(plan).retire).toEqual([])
    expect(plan.withheld).toHaveLength(7)
  })

  test('if no rows were written for longer than the retention period', () => {
    expect(gist(at('2026-05-03', '2026-02-01 23:59:59')).objections).toEqual(['clock'])
    expect(gist(at('2026-05-03', '2026-02-02')).objections).toEqual([])
  })

  test('if the partition of the newest row would be removed', () => {
    expect(gist(at('2026-05-12', '2026-04-30', { keep: '10 days', accept: ['shorter-keep'] })).objections).toEqual([
      'clock',
    ])
    expect(gist(at('2026-05-12', '2026-05-01', { keep: '10 days', accept: ['shorter-keep'] })).objections).toEqual([])
  })

  test('but not once accepted, nor if there are no rows at all', () => {
    expect(gist(at('2036-06-15', '2026-06-14', { accept: ['clock'] })).retire).toHaveLength(7)
    expect(gist(at('2036-06-15', null)).retire).toHaveLength(7)
  })

  test('if the newest row could not be found within the limit', () => {
    const plan = (thorough: boolean) =>
      gist(planRotation(situation(setOf(YEAR), '2026-06-15', { newest: 'unknown', thorough }), request())).objections
    expect(plan(false)).toEqual([])
    expect(plan(true)).toEqual(['clock'])
  })

  test('and no other clock is used', () => {
    const plan = at('2026-06-15', '2026-06-14')
    expect(plan.horizon?.shown).toBe('2026-03-17 00:00 UTC')
  })
})

describe('the calendar is that of the set’s time zone', () => {
  const daily: SetPolicy = {
    ...MONTHLY,
    timezone: 'Europe/Berlin',
    every: { kind: 'interval', interval: { count: 1, unit: 'day' } },
    keep: { count: 1, unit: 'day' },
    premake: 1,
  }
  // The clock went forward on 2026-03-29 at 01:00 UTC: that day had 23 hours.
  const days = partitions(
    '2026-03-27 23:00:00+00',
    '2026-03-28 23:00:00+00',
    '2026-03-29 22:00:00+00',
    '2026-03-30 22:00:00+00',
  )

  test('on the day after the short one, yesterday began 23 hours before today', () => {
    const plan = (now: string) => gist(planRotation(situation(setOf(days), now, { registered: daily }), request()))
    expect(plan('2026-03-29 22:59:59').retire).toEqual(['p_2026-03-27 23:00:00+00'])
    expect(plan('2026-03-28 22:59:59').retire).toEqual([])
    expect(plan('2026-03-30 21:59:59').retire).toEqual(['p_2026-03-27 23:00:00+00'])
    expect(plan('2026-03-30 22:00:00').retire).toEqual(['p_2026-03-27 23:00:00+00', 'p_2026-03-28 23:00:00+00'])
  })

  test('new days begin at the local midnight', () => {
    const [first] = planRotation(situation(setOf(days), '2026-03-30 12:00:00', { registered: daily }), request()).create
    expect(first?.text).toEqual({ from: '2026-03-30 22:00:00+00', to: '2026-03-31 22:00:00+00' })
    expect(first?.partition.name).toBe('events_2026_03_31')
  })
})

describe('a half-detached partition', () => {
  const [first, ...others] = YEAR
  const pending = { ...first!, detachPending: true }

  test('is finished first, and not removed twice', () => {
    const plan = planRotation(situation(setOf([pending, ...others]), '2026-06-15'), request())
    expect(plan.finalize.map(({ partition }) => partition.name.name)).toEqual(['p_2026-01-01'])
    expect(plan.steps[0]?.statements).toEqual([
      'alter table "public"."events" detach partition "public"."p_2026-01-01" finalize',
    ])
    expect(gist(plan).retire).toEqual(['p_2026-02-01'])
  })

  test('covers nothing', () => {
    const plan = planRotation(
      situation(setOf([...YEAR.slice(0, 6), { ...YEAR[6]!, detachPending: true }]), '2026-06-15'),
      request(),
    )
    expect(gist(plan).create[0]).toBe('2026-07-01 … 2026-08-01')
  })
})

describe('by id, expire by time', () => {
  const thousands = (...bounds: number[]) =>
    bounds.slice(1).map((to, i) => partition(String(bounds[i]), String(to), {}, 'id'))
  const list = thousands(0, 1000, 2000, 3000, 4000)
  const ages = (...texts: string[]) =>
    new Map(
      texts.map((text, i) => [list[i]!.oid, text === 'empty' || text === 'never' ? text : instant(text)] as const),
    )
  const plan = (head: bigint, newestIn: RotationSituation['newestIn'] = new Map(), changes = {}) =>
    gist(
      planRotation(
        situation(idSet(list), '2026-06-15', {
          registered: BY_ID,
          newest: { key: head, time: instant('2026-06-14') },
          newestIn,
          ...changes,
        }),
        request(),
      ),
    )

  test('a closed partition is removed when its newest row has expired', () => {
    expect(plan(3500n, ages('2026-01-01', '2026-03-16 23:59:59', '2026-03-17')).retire).toEqual(['p_0', 'p_1000'])
  })

  test('one that still receives rows, a future one, and one of unknown age are kept', () => {
    expect(plan(999n, ages('2026-01-01', '2026-01-01', '2026-01-01')).retire).toEqual([])
    expect(plan(1999n, ages('2026-01-01', '2026-01-01')).retire).toEqual(['p_0'])
    expect(plan(3500n).retire).toEqual([])
  })

  test('a row without a time never expires; an empty partition is removed with a later one', () => {
    expect(plan(3500n, ages('never', '2026-01-01', '2026-06-01')).retire).toEqual(['p_1000'])
    expect(plan(3500n, ages('empty', '2026-01-01', 'empty')).retire).toEqual(['p_0', 'p_1000'])
  })

  test('partitions are created beyond the greatest id and the sequence', () => {
    expect(plan(1500n).create).toEqual(['4000 … 5000'])
    expect(plan(1500n, new Map(), { set: idSet(list, { sequencePosition: 3500n }) }).create).toEqual([
      '4000 … 5000',
      '5000 … 6000',
      '6000 … 7000',
    ])
  })

  test('an interval is converted to ids at the current rate', () => {
    const registered: SetPolicy = {
      ...BY_ID,
      every: { kind: 'interval', interval: { count: 1, unit: 'day' } },
      premake: 2,
    }
    // 5,100 ids a day are about 5,000.
    expect(plan(3999n, new Map(), { registered, idRate: 5100 / 86_400_000_000 }).create).toEqual([
      '4000 … 9000',
      '9000 … 14000',
    ])
    expect(plan(3999n, new Map(), { registered, idRate: null }).create).toEqual(['4000 … 5000', '5000 … 6000'])
  })

  test('without a time column a retention period is meaningless', () => {
    const answer = plan(3500n, new Map(), { registered: { ...BY_ID, expireBy: null } })
    expect(answer.objections).toEqual(['expire-by'])
    expect(answer.create).toHaveLength(3)
  })
})

describe('an unregistered set', () => {
  const planned = (list: typeof YEAR, changes = {}) =>
    planRotation(situation(setOf(list, changes), '2026-06-15', { registered: null }), request())

  test('is inferred from its partitions, and keeps all rows', () => {
    const plan = planned(YEAR)
    expect(plan.policy).toEqual({ ...MONTHLY, keep: null })
    expect(gist(plan)).toEqual({
      create: ['2026-08-01 … 2026-09-01', '2026-09-01 … 2026-10-01'],
      retire: [],
      objections: [],
    })
    expect(plan.registered).toBe(false)
  })

  test('is inferred in spite of a gap', () => {
    expect(planned([...YEAR.slice(0, 2), ...YEAR.slice(4)]).policy?.every).toEqual(MONTHLY.every)
  })

  test('is refused if its partitions follow no calendar', () => {
    expect(gist(planned(partitions('2026-01-01', '2026-01-17', '2026-03-04'))).objections).toEqual(['no-grid'])
  })

  test.each([
    ['not-by-range', { key: null, strategy: 'hash' }],
    ['not-owner', { actAsOwner: false }],
    ['no-create', { createInSchema: false }],
  ] as const)('is refused: %s', (code, changes) => {
    const plan = planned(YEAR, changes)
    expect(gist(plan)).toEqual({ create: [], retire: [], objections: [code] })
    expect(plan.steps).toEqual([])
  })
})

test.each([
  [[3, 0], 'about 3 rows'],
  [[3, null], 'about 3 rows and those of partitions not analyzed'],
  [[null, null], 'not analyzed: number of rows unknown'],
])('rows of partitions: %j', (rows, says) => {
  expect(aboutRows(rows.map((one) => ({ rows: one })))).toBe(says)
})

describe('a retention period shorter than the registered one', () => {
  const three = { ...MONTHLY, keep: { count: 3, unit: 'year' } } as const
  const planned = (registered: SetPolicy | null, changes: Parameters<typeof request>[0]) =>
    planRotation(situation(setOf(YEAR), '2026-06-15', { registered }), request(changes))

  test('withholds the removals, and both are shown', () => {
    const plan = planned(three, { keep: '30 days' })
    expect(gist(plan)).toMatchObject({ retire: [], objections: ['shorter-keep'] })
    expect(gist(plan).create).toHaveLength(2)
    expect(plan.withheld).toHaveLength(4)
    expect(plan.objections[0]).toMatchObject({
      what: '--keep says 30 days, and 3 years are registered for public.events',
      fix: expect.stringContaining('--accept shorter-keep') as string,
    })
    expect(plan.evidence[1]).toContain('with 30 days kept (--keep; 3 years are registered), the horizon is')
  })

  test('is reported even without anything to remove', () => {
    const plan = planRotation(
      situation(setOf(partitions('2026-06-01', '2026-07-01')), '2026-06-15', { registered: three }),
      request({ keep: '30 days' }),
    )
    expect(gist(plan).objections).toEqual(['shorter-keep'])
  })

  test('applies once accepted', () => {
    expect(gist(planned(three, { keep: '30 days', accept: ['shorter-keep'] }))).toMatchObject({
      retire: ['p_2026-01-01', 'p_2026-02-01', 'p_2026-03-01', 'p_2026-04-01'],
      objections: [],
    })
  })

  test.each([
    ['the same in other words', MONTHLY, { keep: '90 days' }],
    ['a longer one', MONTHLY, { keep: '1 year' }],
    ['where nothing is registered', null, { keep: '1 day' }],
    ['where a table without one is named', { ...MONTHLY, keep: null }, { keep: '1 day', tables: [] }],
  ] as const)('%s is not shorter', (_, registered, changes) => {
    expect(gist(planned(registered, changes)).objections).toEqual([])
  })

  test('--all does not apply one to tables that keep all rows', () => {
    const plan = planned({ ...MONTHLY, keep: null }, { keep: '30 days' })
    expect(gist(plan)).toMatchObject({ retire: [], objections: ['shorter-keep'] })
    expect(plan.objections[0]?.what).toContain('no retention period (all rows are kept) is registered')
  })
})

test('an unfinished conversion is left alone', () => {
  const unfinished = { id: '7', command: 'partition' }
  const plan = planRotation(situation(setOf(YEAR), '2026-06-15', { unfinished }), request())
  expect(gist(plan)).toEqual({ create: [], retire: [], objections: ['unfinished-run'] })
})

describe('a partition detached by an interrupted rotation', () => {
  const begun = {
    oid: '99',
    table: { schema: 'public', name: 'events' },
    partition: { schema: 'public', name: 'p_old' },
    method: 'drop',
    bounds: "FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')",
    bytes: 8192,
    estimatedRows: 10,
    grace: null,
    state: 'detached',
    replaced: false,
    copy: null,
    called: { schema: 'public', name: 'p_old' },
    detachedAt: new Date('2026-06-10T10:00:00Z'),
    divided: false,
    watched: false,
    written: false,
    provesBounds: true,
    dependents: [],
    foreignKeys: [],
  } as const
  const reasonOf = ({ skipped }: RotationPlan) => skipped.find(({ partition }) => partition.name === 'p_old')?.reason
  const planned = (changes: Parameters<typeof request>[0], entry: object = {}) =>
    planRotation(situation(setOf(NUMBERED), '2026-06-15', { begun: [{ ...begun, ...entry }] }), request(changes))

  test('is dropped, if dropping is requested', () => {
    expect(planned({}).leftovers.map(({ step }) => step.statements)).toEqual([['drop table "public"."p_old"']])
    expect(planned({ noArchive: false }).leftovers).toEqual([])
    expect(planned({ retire: 'detach' }).leftovers).toEqual([])
  })

  test('is kept if it is inside the retention window by now', () => {
    const plan = planned({ keep: '1 year' })
    expect(plan.leftovers).toEqual([])
    expect(plan.skipped.find(({ partition }) => partition.name === 'p_old')?.reason).toContain('inside the keep window')
  })

  test('is kept while removals are withheld', () => {
    const plan = planned({ keep: '30 days' })
    expect(plan.leftovers).toEqual([])
    expect(plan.skipped.find(({ partition }) => partition.name === 'p_old')?.reason).toContain('a blocking issue')
  })

  test('is ignored once it is dropped or attached', () => {
    expect(planned({}, { state: 'gone' }).leftovers).toEqual([])
    expect(planned({}, { state: 'attached' }).leftovers).toEqual([])
  })

  test('is kept while its rows are on hold, and while something depends on it', () => {
    const hold = {
      table: begun.table,
      bounds: begun.bounds,
      until: new Date('2026-07-01'),
      runId: '7',
      where: 'itself',
      partition: null,
    } as const
    const held = planRotation(situation(setOf(YEAR), '2026-06-15', { begun: [begun], holds: [hold] }), request())
    expect(held.leftovers).toEqual([])
    expect(reasonOf(held)).toContain('on hold until 2026-07-01')
    expect(reasonOf(planned({}, { dependents: ['view v'] }))).toContain('other objects depend on it: view v')
  })

  describe('for a grace period', () => {
    const graced = { grace: { count: 7, unit: 'day' }, watched: true } as const
    const drops = (...asked: Parameters<typeof planned>) => planned(...asked).leftovers.length

    test.each([
      ['stays until it is over', {}, {}, 0],
      ['is dropped from then on', {}, { detachedAt: new Date('2026-06-08T00:00:00Z') }, 1],
      [
        'stays longer, if that is asked for since',
        { grace: '14 days' },
        { detachedAt: new Date('2026-06-08T00:00:00Z') },
        0,
      ],
      ['stays as long as was said, if less is asked for since', { grace: '1 day' }, {}, 0],
      ['is dropped earlier, if that is accepted', { grace: '1 day', accept: ['shorter-grace'] }, {}, 1],
    ])('%s', (_, asked, entry, expected) => {
      expect(drops(asked, { ...graced, ...entry })).toBe(expected)
    })

    test('says when it goes, and how it is attached again', () => {
      expect(reasonOf(planned({}, graced))).toEqual(
        'it was detached on 2026-06-10, and is dropped from 2026-06-17 10:00 UTC on. To attach it again: ebb reattach public.p_old',
      )
    })

    test('is not dropped once it was written to, unless that is archived or accepted', () => {
      const due = { ...graced, detachedAt: new Date('2026-06-01T00:00:00Z'), written: true }
      expect(reasonOf(planned({}, due))).toContain('written to since')
      expect(drops({}, due)).toBe(0)
      expect(drops({ accept: ['written'] }, due)).toBe(1)
    })

    test('is not dropped under another name', () => {
      const called = { schema: 'attic', name: 'p_old' }
      const renamed = planned({}, { ...graced, detachedAt: new Date('2026-06-01'), state: 'renamed', called })
      expect(renamed.leftovers).toEqual([])
      expect(renamed.skipped).toContainEqual({
        partition: called,
        reason: expect.stringContaining('ebb reattach attic.p_old') as string,
      })
    })

    test('is watched first, where the rotation was killed before that', () => {
      expect(planned({}, { ...graced, watched: false }).steps.map(({ key }) => key)).toContain('watch:public.p_old')
    })

    test('is not ended by a clock that may be wrong', () => {
      const due = { ...begun, ...graced, detachedAt: new Date('2026-06-01') }
      const newest = { key: instant('2026-01-02'), time: null }
      const plan = planRotation(situation(setOf(YEAR.slice(-1)), '2026-06-15', { begun: [due], newest }), request())
      expect(plan.objections.map(({ code }) => code)).toContain('clock')
      expect(plan.leftovers).toEqual([])
    })
  })
})

describe('a grace period', () => {
  test('a partition is detached and watched, and dropped later', () => {
    const plan = planRotation(situation(setOf(NUMBERED), '2026-06-15'), request({ grace: '7 days' }))
    expect(plan.retire[0]?.steps.map(({ key }) => key)).toEqual([
      'detach:public."p_2026-01-01"',
      'watch:public."p_2026-01-01"',
    ])
  })

  test('is the registered one where none is asked for, and a shorter one has to be accepted', () => {
    const registered = { ...MONTHLY, grace: { count: 7, unit: 'day' } } as const
    const planned = (asked: Parameters<typeof request>[0]) =>
      planRotation(situation(setOf(NUMBERED), '2026-06-15', { registered }), request(asked))
    expect(planned({}).retire[0]?.grace).toEqual(registered.grace)
    expect(planned({ grace: '30 days' }).objections).toEqual([])
    expect(planned({ grace: '1 hour' }).objections).toMatchObject([{ code: 'shorter-grace', acceptable: true }])
    expect(planned({ grace: '1 hour' }).retire).toEqual([])
    expect(planned({ grace: '1 hour', accept: ['shorter-grace'] }).retire[0]?.grace).toEqual({ count: 1, unit: 'hour' })
    expect(planned({ retire: 'detach' }).retire[0]?.grace).toBeNull()
  })
})
