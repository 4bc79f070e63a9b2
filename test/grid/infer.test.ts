import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Span } from '../../src/grid/gaps.ts'
import { cellsBetween, inferGrid, type Grid } from '../../src/grid/grid.ts'
import { displayInterval, parseInterval } from '../../src/grid/interval.ts'
import type { KeyKind } from '../../src/grid/key.ts'
import { utc } from './support.ts'

const spans = (...bounds: string[]): Span[] =>
  bounds.slice(1).map((to, position) => ({ from: utc(bounds[position] ?? ''), to: utc(to) }))

const idSpans = (...bounds: bigint[]): Span[] =>
  bounds.slice(1).map((to, position) => ({ from: bounds[position] ?? null, to }))

const found = (grid: Grid | null) =>
  grid === null ? null : grid.kind === 'id' ? `${grid.width} ids` : `${displayInterval(grid.every)} ${grid.timezone}`

describe('inferGrid from times in UTC', () => {
  test.each<[string, Span[], string | null]>([
    ['no partition', [], null],
    ['months', spans('2026-11-01', '2026-12-01', '2027-01-01', '2027-02-01'), '1 month UTC'],
    ['one month', spans('2026-12-01', '2027-01-01'), '1 month UTC'],
    ['a year', spans('2026-01-01', '2027-01-01'), '1 year UTC'],
    ['two years', spans('2024-01-01', '2026-01-01', '2028-01-01'), '2 years UTC'],
    ['a quarter, not three months', spans('2026-07-01', '2026-10-01', '2027-01-01'), '1 quarter UTC'],
    ['half years', spans('2026-01-01', '2026-07-01', '2027-01-01'), '6 months UTC'],
    ['two months from January', spans('2026-01-01', '2026-03-01', '2026-05-01'), '2 months UTC'],
    ['two months from February lie on no grid', spans('2026-02-01', '2026-04-01', '2026-06-01'), null],
    ['weeks', spans('2026-11-30', '2026-12-07', '2026-12-14'), '1 week UTC'],
    ['days', spans('2026-12-01', '2026-12-02', '2026-12-03'), '1 day UTC'],
    ['hours', spans('2026-12-01 13:00:00', '2026-12-01 14:00:00'), '1 hour UTC'],
    ['six hours', spans('2026-12-01 12:00:00', '2026-12-01 18:00:00', '2026-12-02'), '6 hours UTC'],
    ['a gap', [...spans('2026-10-01', '2026-11-01'), ...spans('2026-12-01', '2027-01-01')], null],
    ['minutes', spans('2026-12-01 13:00:00', '2026-12-01 13:30:00'), null],
    ['a wide partition alone', spans('2024-01-01', '2026-10-01'), null],
    ['a wide partition among the latest', spans('2024-01-01', '2026-11-01', '2026-12-01'), null],
    [
      'a wide partition further back',
      spans(
        '2024-01-01',
        '2026-06-01',
        '2026-07-01',
        '2026-08-01',
        '2026-09-01',
        '2026-10-01',
        '2026-11-01',
        '2026-12-01',
      ),
      '1 month UTC',
    ],
    ['months in any order', spans('2026-11-01', '2026-12-01', '2027-01-01').reverse(), '1 month UTC'],
    ['only unbounded ones', [{ from: null, to: utc('2026-12-01') }], null],
    [
      'the history, months, and an end without a bound',
      [
        { from: null, to: utc('2026-11-13') },
        ...spans('2026-12-01', '2027-01-01', '2027-02-01'),
        { from: utc('2027-02-01'), to: null },
      ],
      '1 month UTC',
    ],
  ])('%s', (_, partitions, expected) => {
    expect(found(inferGrid('timestamptz', partitions))).toBe(expected)
  })
})

describe('inferGrid in time zones', () => {
  const berlin = spans('2026-09-30 22:00:00', '2026-10-31 23:00:00', '2026-11-30 23:00:00')

  test('finds the zone whose months they are', () => {
    expect(found(inferGrid('timestamptz', berlin, ['UTC', 'Europe/Berlin']))).toBe('1 month Europe/Berlin')
    expect(found(inferGrid('timestamptz', berlin, ['UTC', 'America/New_York']))).toBe(null)
  })

  test('prefers the first of the zones that fit', () => {
    const winter = spans('2026-11-30 23:00:00', '2026-12-31 23:00:00')
    expect(found(inferGrid('timestamptz', winter, ['Europe/Paris', 'Europe/Berlin']))).toBe('1 month Europe/Paris')
  })

  test('prefers the coarser unit to the first zone', () => {
    const days = spans('2026-11-30 23:00:00', '2026-12-01 23:00:00', '2026-12-02 23:00:00')
    expect(found(inferGrid('timestamptz', days, ['UTC', 'Europe/Berlin']))).toBe('1 day Europe/Berlin')
  })
})

describe('inferGrid from dates', () => {
  test('never in hours', () => {
    expect(found(inferGrid('date', spans('2026-12-01', '2026-12-02')))).toBe('1 day UTC')
    expect(found(inferGrid('date', spans('2026-12-01', '2026-12-17')))).toBe(null)
  })
})

describe('inferGrid from ids', () => {
  test.each<[string, Span[], string | null]>([
    ['a common width', idSpans(0n, 1000n, 2000n, 3000n), '1000 ids'],
    ['one partition', idSpans(-1000n, 0n), '1000 ids'],
    ['off the multiples', idSpans(500n, 1500n, 2500n), null],
    ['different widths', idSpans(0n, 1000n, 3000n), null],
    ['a gap', [...idSpans(0n, 1000n), ...idSpans(2000n, 3000n)], null],
  ])('%s', (_, partitions, expected) => {
    expect(found(inferGrid('id', partitions))).toBe(expected)
  })
})

test('a set created on one of our grids is recognized, or an equivalent one is', () => {
  const everies = fc.constantFrom(
    'hour',
    '6 hours',
    'day',
    '7 days',
    'week',
    '2 weeks',
    'month',
    '2 months',
    'quarter',
    'year',
  )
  const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/Sao_Paulo', 'Asia/Kathmandu')
  const kinds = fc.constantFrom<KeyKind>('timestamptz', 'timestamp', 'epoch-ms', 'uuidv7')
  const months = fc.bigInt({ min: 0n, max: 400n })
  fc.assert(
    fc.property(everies, zones, kinds, months, (every, timezone, kind, month) => {
      const grid: Grid = { kind: 'time', every: parseInterval(every), timezone }
      const from = utc('1990-01-01') + month * 30n * 86_400_000_000n
      const set = cellsBetween(grid, kind, from, from + 400n * 86_400_000_000n).slice(-8)
      const inferred = inferGrid(kind, set, [timezone])
      if (inferred === null) throw new Error('not recognised')
      expect(cellsBetween(inferred, kind, set[0]!.from, set.at(-1)!.to)).toEqual(set)
    }),
  )
})
