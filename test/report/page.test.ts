import { describe, expect, test } from 'vitest'
import type { Overview, SetOverview } from '../../src/engine/overview/overview.ts'
import { fromText } from '../../src/grid/key.ts'
import type { RemovedPartition } from '../../src/journal/rotation-history.ts'
import type { Hold } from '../../src/plan/language/hold.ts'
import { comingUp } from '../../src/report/page/coming.ts'
import type { ReportData } from '../../src/report/page/data.ts'
import { grouped } from '../../src/report/page/groups.ts'
import { html } from '../../src/report/page/html.ts'
import { reportPage } from '../../src/report/page/page.ts'
import { Scale } from '../../src/report/page/scale.ts'
import { seenSet } from '../../src/report/page/seen-set.ts'
import { timelineScale } from '../../src/report/page/timeline-scale.ts'
import { named } from '../support/models.ts'

const NOW = fromText('timestamptz', '2026-11-15 12:00:00+00')

/** By month, as PostgreSQL prints the bounds. */
function month(from: string | null, to: string | null, more: Partial<SetOverview['partitions'][number]> = {}) {
  const bound = (text: string | null, none: string) => (text === null ? none : `'${text}-01 00:00:00+00'`)
  return {
    ...{
      oid: from ?? '0',
      name: named(`p_${from ?? 'history'}`),
      detachPending: false,
      bytes: 1000,
      estimatedRows: 10,
      empty: false,
    },
    boundsText: `FOR VALUES FROM (${bound(from, 'MINVALUE')}) TO (${bound(to, 'MAXVALUE')})`,
    ...more,
  }
}

function set(partitions: SetOverview['partitions'], more: Partial<SetOverview> = {}): SetOverview {
  return {
    table: named('events'),
    policy: {
      ...{ column: 'at', kind: 'timestamptz', timezone: 'UTC', expireBy: null, premake: 1 },
      every: { kind: 'interval', interval: { count: 1, unit: 'month' } },
      keep: { count: 60, unit: 'day' },
    },
    ...{ rotatedAt: null, partitions, expiryKind: 'timestamptz', newestIn: new Map(), removed: [], lately: null },
    ...more,
  }
}

const YEAR = [
  month(null, '2026-08', { bytes: 9000 }),
  month('2026-08', '2026-09'),
  month('2026-09', '2026-10'),
  month('2026-10', '2026-11'),
  month('2026-11', '2026-12'),
  month('2026-12', '2027-01', { empty: true, estimatedRows: null, bytes: 10 }),
  month('x', 'y', { name: named('rest'), boundsText: 'DEFAULT' }),
]

const held = (bounds: string | null): Hold => {
  return { table: named('events'), bounds, until: new Date('2026-12-24T00:00:00Z'), runId: '7' }
}

function data(sets: readonly SetOverview[], more: Partial<Overview> = {}): ReportData {
  const status = { runs: [], sets: [], holds: [], detached: [], leftovers: [], archives: [] }
  return {
    ...{ place: 'db:5432/shop', version: '1.0.0', retired: [], notices: [], hasConfig: false },
    overview: {
      ...{ status, now: NOW, sets, archived: [], figures: [], courses: [] },
      server: { versionText: '17.1', database: 'shop', inRecovery: false },
      ...more,
    },
  }
}

describe('a partition', () => {
  const states = (one: SetOverview, holds: readonly Hold[] = []) =>
    seenSet(one, holds, NOW).partitions.map(({ name, state }) => `${name.name} ${state}`)

  test('is history, kept, current, ahead, or has expired', () => {
    expect(states(set(YEAR))).toEqual([
      ...['p_history expired', 'p_2026-08 expired', 'p_2026-09 kept', 'p_2026-10 kept', 'p_2026-11 current'],
      ...['p_2026-12 ahead', 'rest default'],
    ])
    const all = set(YEAR, { policy: { ...set([]).policy, keep: null } })
    expect(states(all)[0]).toBe('p_history history')
  })

  test('that has expired is kept while it is on hold', () => {
    expect(
      states(set(YEAR), [held(`FOR VALUES FROM ('2026-08-01 00:00:00+00') TO ('2026-09-01 00:00:00+00')`)]),
    ).toEqual(expect.arrayContaining(['p_history expired', 'p_2026-08 on hold']))
    expect(states(set(YEAR), [held(null)]).slice(0, 2)).toEqual(['p_history on hold', 'p_2026-08 on hold'])
  })

  test('of ids has expired by its newest row, and is ahead when it is empty and behind all others', () => {
    const ids = (from: number | null, to: number, empty = false) =>
      month(String(from), '', {
        oid: String(to),
        empty,
        boundsText: `FOR VALUES FROM (${from ?? 'MINVALUE'}) TO (${to})`,
      })
    const policy = { ...set([]).policy, column: 'id', kind: 'id' as const, expireBy: 'at' }
    const newestIn = new Map([['100', fromText('timestamptz', '2026-01-01 00:00:00+00')]])
    const partitions = [ids(null, 100), ids(100, 200), ids(200, 300), ids(300, 400, true)]
    expect(states(set(partitions, { policy, newestIn })).map((text) => text.split(' ')[1])).toEqual([
      ...['expired', 'kept', 'current', 'ahead'],
    ])
  })

  test('whose detach was interrupted says so', () => {
    expect(states(set([month('2026-08', '2026-09', { detachPending: true })]))).toEqual(['p_2026-08 half detached'])
  })
})

test('groups have all partitions, and never such of which different things are to be said', () => {
  const { partitions } = seenSet(set(YEAR), [], NOW)
  const groups = grouped(partitions, 2)
  expect(groups.flatMap((group) => group.partitions)).toEqual(partitions)
  expect(groups.map(({ state, bytes, rows }) => [state, bytes, rows])).toEqual([
    ...[
      ['expired', 10_000, 20],
      ['kept', 2000, 20],
      ['current', 1000, 10],
      ['ahead', 10, 0],
      ['default', 1000, 10],
    ],
  ])
  expect(groups[0]?.span).toEqual({ from: null, to: fromText('timestamptz', '2026-09-01 00:00:00+00') })
})

test('what was removed long ago leaves room for what is there', () => {
  const removed = ['2016-01', '2026-07'].map((from): RemovedPartition => ({
    ...{
      table: named('events'),
      partition: from,
      action: 'dropped',
      at: new Date(),
      bytes: 1,
      estimatedRows: 1,
      archivedRows: null,
    },
    ...{ from: `${from}-01 00:00:00+00`, to: `${from}-02 00:00:00+00` },
  }))
  const scale = timelineScale(seenSet(set(YEAR.slice(1), { removed }), [], NOW))!
  const start = fromText('timestamptz', '2026-08-01 00:00:00+00')
  expect(scale.at(start)).toBeCloseTo(100 / 3, 0)
  expect(scale.place(fromText('timestamptz', '2016-01-01 00:00:00+00'), scale.from)).toBeNull()
})

test('a place in a chart is within it', () => {
  const scale = new Scale(100n, 300n)
  expect(scale.place(null, 200n)).toEqual({ left: 0, width: 50 })
  expect(scale.place(250n, null)).toEqual({ left: 75, width: 25 })
  expect(scale.place(0n, 100n)).toBeNull()
  expect(scale.place(300n, 400n)).toBeNull()
  expect(new Scale(5n, 5n).at(5n)).toBe(0)
})

test('what is due next comes first: what can be retired, what expires, the end of the partitions, holds', () => {
  const hold = held(`FOR VALUES FROM ('2026-08-01 00:00:00+00') TO ('2026-09-01 00:00:00+00')`)
  const status = { ...data([]).overview.status, holds: [hold] }
  const coming = comingUp([seenSet(set(YEAR), [hold], NOW)], data([], { status }))
  expect(coming.map(({ at, what, bytes }) => [at?.toISOString().slice(0, 10) ?? null, what, bytes])).toEqual([
    [null, '1 expired partition can be retired', 9000],
    ['2026-11-30', 'p_2026-09 expires', 1000],
    ['2026-12-24', 'the hold on restored rows ends (until 2026-12-24 (restored by run 7))', null],
    ['2027-01-01', 'the last partition ends: rotate has to create more before', null],
  ])
})

test('values are text, in attributes too', () => {
  const evil = `<b>"x"&'\u202e`
  expect(html`<a title="${evil}">${[evil, null, html`<i></i>`]}</a>`.text).toBe(
    '<a title="&lt;b&gt;&quot;x&quot;&amp;&#39;\\u202e">&lt;b&gt;&quot;x&quot;&amp;&#39;\\u202e<i></i></a>',
  )
})

test('a page stays small, however many partitions, tables and notices there are', () => {
  const day = (n: number) => new Date(Date.UTC(2010, 0, 1 + n)).toISOString().slice(0, 10)
  const days = Array.from({ length: 5000 }, (_, n) =>
    month(day(n), '', { boundsText: `FOR VALUES FROM ('${day(n)} 00:00:00+00') TO ('${day(n + 1)} 00:00:00+00')` }),
  )
  const many = Array.from({ length: 700 }, (_, i) => set(YEAR, { table: named(`table_${i}_${'x'.repeat(50)}`) }))
  const notices = many.map(({ table }) => ({ level: 'warning' as const, table, text: `${table.name}: something` }))
  for (const given of [data([set(days)]), { ...data(many), notices }]) {
    const page = reportPage(given)
    expect(page.length).toBeLessThan(2_000_000)
    expect(page.match(/<tr>/g)?.length).toBeLessThan(3000)
  }
  expect(reportPage(data([set(days)]))).toContain('5,000 partitions')
})
