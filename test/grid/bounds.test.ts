import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { cellsBetween, floor, next, type Grid, type IdGrid, type TimeGrid } from '../../src/grid/grid.ts'
import { parseInterval, type Unit } from '../../src/grid/interval.ts'
import { positionOf, type TimeKind } from '../../src/grid/key.ts'
import { instants, shown, timeKinds, utc, ZONES, zones } from './support.ts'

const grid = (every: string, timezone = 'UTC'): TimeGrid => ({ kind: 'time', every: parseInterval(every), timezone })
const ids = (width: bigint): IdGrid => ({ kind: 'id', width })

const cellOf = (every: string, timezone: string, instant: string) => {
  const from = floor(grid(every, timezone), 'timestamptz', utc(instant))
  return `${shown(from)} – ${shown(next(grid(every, timezone), 'timestamptz', from))}`
}

describe('a cell in UTC', () => {
  test.each([
    ['hour', '2026-12-01 13:59:59.999999', '2026-12-01 13:00:00 – 2026-12-01 14:00:00'],
    ['hour', '2026-12-01 14:00:00', '2026-12-01 14:00:00 – 2026-12-01 15:00:00'],
    ['6 hours', '2026-12-01 13:00:00', '2026-12-01 12:00:00 – 2026-12-01 18:00:00'],
    ['5 hours', '1970-01-01 05:00:00', '1970-01-01 05:00:00 – 1970-01-01 10:00:00'],
    ['5 hours', '1969-12-31 23:00:00', '1969-12-31 19:00:00 – 1970-01-01 00:00:00'],
    ['day', '2024-02-29 12:00:00', '2024-02-29 00:00:00 – 2024-03-01 00:00:00'],
    ['90 days', '1970-01-01', '1970-01-01 00:00:00 – 1970-04-01 00:00:00'],
    ['2 days', '1969-12-31 12:00:00', '1969-12-30 00:00:00 – 1970-01-01 00:00:00'],
    ['week', '2026-12-06 23:59:59', '2026-11-30 00:00:00 – 2026-12-07 00:00:00'],
    ['week', '2026-12-07', '2026-12-07 00:00:00 – 2026-12-14 00:00:00'],
    ['week', '1970-01-01', '1969-12-29 00:00:00 – 1970-01-05 00:00:00'],
    ['2 weeks', '1970-01-05', '1970-01-05 00:00:00 – 1970-01-19 00:00:00'],
    ['2 weeks', '1970-01-04', '1969-12-22 00:00:00 – 1970-01-05 00:00:00'],
    ['month', '2024-02-29 23:59:59.999999', '2024-02-01 00:00:00 – 2024-03-01 00:00:00'],
    ['month', '2025-02-28 23:59:59.999999', '2025-02-01 00:00:00 – 2025-03-01 00:00:00'],
    ['month', '2026-12-31', '2026-12-01 00:00:00 – 2027-01-01 00:00:00'],
    ['month', '2038-01-19 03:14:08', '2038-01-01 00:00:00 – 2038-02-01 00:00:00'],
    ['month', '1969-12-31 23:59:59.999999', '1969-12-01 00:00:00 – 1970-01-01 00:00:00'],
    ['2 months', '2026-12-01', '2026-11-01 00:00:00 – 2027-01-01 00:00:00'],
    ['6 months', '2026-12-01', '2026-07-01 00:00:00 – 2027-01-01 00:00:00'],
    ['5 months', '2026-12-01', '2026-09-01 00:00:00 – 2027-02-01 00:00:00'],
    ['quarter', '2026-06-30', '2026-04-01 00:00:00 – 2026-07-01 00:00:00'],
    ['quarter', '2026-01-01', '2026-01-01 00:00:00 – 2026-04-01 00:00:00'],
    ['quarter', '2026-09-30 23:59:59', '2026-07-01 00:00:00 – 2026-10-01 00:00:00'],
    ['2 quarters', '2026-12-01', '2026-07-01 00:00:00 – 2027-01-01 00:00:00'],
    ['year', '2024-12-31 23:59:59.999999', '2024-01-01 00:00:00 – 2025-01-01 00:00:00'],
    ['10 years', '2026-12-01', '2020-01-01 00:00:00 – 2030-01-01 00:00:00'],
  ])('of every %s, at %s', (every, at, cell) => {
    expect(cellOf(every, 'UTC', at)).toBe(cell)
  })
})

describe('a cell in a time zone', () => {
  test.each([
    ['day', 'Europe/Berlin', '2026-03-29 12:00:00', '2026-03-28 23:00:00 – 2026-03-29 22:00:00'],
    ['day', 'Europe/Berlin', '2026-03-28 22:59:59', '2026-03-27 23:00:00 – 2026-03-28 23:00:00'],
    ['day', 'Europe/Berlin', '2026-10-25 12:00:00', '2026-10-24 22:00:00 – 2026-10-25 23:00:00'],
    ['month', 'Europe/Berlin', '2026-03-31 21:59:59', '2026-02-28 23:00:00 – 2026-03-31 22:00:00'],
    ['month', 'Europe/Berlin', '2026-03-31 22:00:00', '2026-03-31 22:00:00 – 2026-04-30 22:00:00'],
    ['month', 'Europe/Berlin', '2026-10-31 22:59:59', '2026-09-30 22:00:00 – 2026-10-31 23:00:00'],
    ['week', 'Europe/Berlin', '2026-10-25 22:59:59', '2026-10-18 22:00:00 – 2026-10-25 23:00:00'],
    ['year', 'Europe/Berlin', '2026-12-31 23:00:00', '2026-12-31 23:00:00 – 2027-12-31 23:00:00'],
    ['quarter', 'America/New_York', '2026-04-01 03:59:59', '2026-01-01 05:00:00 – 2026-04-01 04:00:00'],
    // Hours know no daylight saving: the night that has 25 of them has four cells of 6 hours and a piece.
    ['6 hours', 'Europe/Berlin', '2026-10-25 00:30:00', '2026-10-25 00:00:00 – 2026-10-25 06:00:00'],
    // The clock goes from 23:59:59 to 01:00: the day begins at 01:00.
    ['day', 'America/Sao_Paulo', '2018-11-04 12:00:00', '2018-11-04 03:00:00 – 2018-11-05 02:00:00'],
    ['day', 'America/Sao_Paulo', '2018-11-04 02:59:59', '2018-11-03 03:00:00 – 2018-11-04 03:00:00'],
    ['day', 'Africa/Cairo', '2024-04-26 12:00:00', '2024-04-25 22:00:00 – 2024-04-26 21:00:00'],
    ['day', 'Asia/Beirut', '2024-03-31 12:00:00', '2024-03-30 22:00:00 – 2024-03-31 21:00:00'],
    // It goes from midnight back to 23:00: the day before has 25 hours.
    ['day', 'America/Sao_Paulo', '2018-02-18 02:30:00', '2018-02-17 02:00:00 – 2018-02-18 03:00:00'],
    // It shows midnight twice, an hour apart: the day begins with the first.
    ['day', 'America/Havana', '2026-11-01 05:30:00', '2026-11-01 04:00:00 – 2026-11-02 05:00:00'],
    // It goes from 00:01 back to 23:01 of the day before: once begun, the day goes on.
    ['day', 'America/St_Johns', '2006-10-29 02:29:59', '2006-10-28 02:30:00 – 2006-10-29 02:30:00'],
    ['day', 'America/St_Johns', '2006-10-29 02:30:00', '2006-10-29 02:30:00 – 2006-10-30 03:30:00'],
    ['day', 'America/St_Johns', '2006-10-29 03:00:00', '2006-10-29 02:30:00 – 2006-10-30 03:30:00'],
    ['day', 'America/St_Johns', '2006-10-29 03:30:00', '2006-10-29 02:30:00 – 2006-10-30 03:30:00'],
    ['day', 'Asia/Kathmandu', '2026-12-01 18:14:59', '2026-11-30 18:15:00 – 2026-12-01 18:15:00'],
    ['month', 'Asia/Kathmandu', '2026-12-01', '2026-11-30 18:15:00 – 2026-12-31 18:15:00'],
    // Half an hour of daylight saving.
    ['day', 'Australia/Lord_Howe', '2026-04-05 12:00:00', '2026-04-04 13:00:00 – 2026-04-05 13:30:00'],
    ['day', 'Australia/Lord_Howe', '2026-10-04 12:00:00', '2026-10-03 13:30:00 – 2026-10-04 13:00:00'],
    // There was no 30 December 2011.
    ['day', 'Pacific/Apia', '2011-12-30 09:59:59', '2011-12-29 10:00:00 – 2011-12-30 10:00:00'],
    ['day', 'Pacific/Apia', '2011-12-30 10:00:00', '2011-12-30 10:00:00 – 2011-12-31 10:00:00'],
    ['2 days', 'Pacific/Apia', '2011-12-30 09:59:59', '2011-12-28 10:00:00 – 2011-12-30 10:00:00'],
    ['month', 'Pacific/Apia', '2011-12-30 10:00:00', '2011-12-01 10:00:00 – 2011-12-31 10:00:00'],
  ])('of every %s in %s, at %s', (every, zone, at, cell) => {
    expect(cellOf(every, zone, at)).toBe(cell)
  })

  test('a wall clock has the same cells in every zone', () => {
    const days = cellsBetween(grid('day', 'America/Sao_Paulo'), 'timestamp', utc('2018-11-03'), utc('2018-11-05'))
    expect(days.map(({ from }) => shown(from))).toEqual(['2018-11-03 00:00:00', '2018-11-04 00:00:00'])
  })
})

describe('a cell of ids', () => {
  test.each([
    [0n, 0n, 1000n],
    [999n, 0n, 1000n],
    [1000n, 1000n, 2000n],
    [-1n, -1000n, 0n],
    [-1000n, -1000n, 0n],
    [-1001n, -2000n, -1000n],
    [9_223_372_036_854_775_807n, 9_223_372_036_854_775_000n, 9_223_372_036_854_776_000n],
  ])('at %d', (id, from, to) => {
    expect(floor(ids(1000n), 'id', id)).toBe(from)
    expect(next(ids(1000n), 'id', from)).toBe(to)
  })
})

describe('grids that do not fit the key', () => {
  test('a date has no hours', () => {
    expect(() => floor(grid('6 hours'), 'date', 0n)).toThrow(UsageError)
    expect(() => next(grid('24 hours'), 'date', 0n)).toThrow('has no hours')
  })

  test('ids and times do not mix', () => {
    expect(() => floor(grid('day'), 'id', 0n)).toThrow(TypeError)
    expect(() => floor(ids(10n), 'epoch-s', 0n)).toThrow(TypeError)
  })
})

describe('cellsBetween', () => {
  const months = (from: string, to: string) =>
    cellsBetween(grid('month'), 'timestamptz', utc(from), utc(to)).map(({ from }) => shown(from).slice(0, 7))

  test.each([
    ['2026-12-01', '2027-02-01', ['2026-12', '2027-01']],
    ['2026-12-01 00:00:00.000001', '2027-01-31 23:59:59', ['2026-12', '2027-01']],
    ['2026-12-31', '2027-02-01 00:00:00.000001', ['2026-12', '2027-01', '2027-02']],
    ['2026-12-05', '2026-12-06', ['2026-12']],
    ['2026-12-05', '2026-12-05', []],
    ['2026-12-05', '2026-11-01', []],
  ])('from %s to %s', (from, to, expected) => {
    expect(months(from, to)).toEqual(expected)
  })

  test('quarters follow each other without a hole', () => {
    const quarters = cellsBetween(grid('quarter', 'Europe/Berlin'), 'timestamptz', utc('2026-01-15'), utc('2027-01-15'))
    expect(quarters.map(({ from }) => shown(from))).toEqual([
      '2025-12-31 23:00:00',
      '2026-03-31 22:00:00',
      '2026-06-30 22:00:00',
      '2026-09-30 22:00:00',
      '2026-12-31 23:00:00',
    ])
  })

  test('three years of hours, quickly', () => {
    expect(cellsBetween(grid('hour'), 'timestamptz', utc('2024-01-01'), utc('2027-01-01'))).toHaveLength(1096 * 24)
  })
})

describe('on every grid', () => {
  const units = fc.constantFrom<Unit>('hour', 'day', 'week', 'month', 'quarter', 'year')
  const timeGrids = fc
    .tuple(fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 40 })), units, zones)
    .map(([count, unit, timezone]): Grid => ({ kind: 'time', every: { count, unit }, timezone }))
  const places = fc
    .tuple(timeGrids, timeKinds, instants)
    .map(([on, kind, at]) => ({ on, kind: fitting(on, kind), at: positionOf(kind, at, 'UTC') }))

  test('a position lies between the bound below it and the next one', () => {
    fc.assert(
      fc.property(places, ({ on, kind, at }) => {
        const from = floor(on, kind, at)
        const to = next(on, kind, from)
        expect(from).toBeLessThanOrEqual(at)
        expect(at).toBeLessThan(to)
        expect(next(on, kind, at)).toBe(to)
      }),
      { numRuns: 2000 },
    )
  })

  test('a bound is its own floor, and nothing below it is', () => {
    fc.assert(
      fc.property(places, ({ on, kind, at }) => {
        const from = floor(on, kind, at)
        const to = next(on, kind, from)
        expect(floor(on, kind, from)).toBe(from)
        expect(floor(on, kind, to)).toBe(to)
        expect(floor(on, kind, to - 1n)).toBe(from)
      }),
      { numRuns: 2000 },
    )
  })

  test('cells are contiguous', () => {
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 12 }), ({ on, kind, at }, count) => {
        let to = at
        for (let i = 0; i < count; i++) to = next(on, kind, to)
        const cells = cellsBetween(on, kind, at, to)
        expect(cells).toHaveLength(count)
        expect(cells.map((cell) => cell.from).slice(1)).toEqual(cells.map((cell) => cell.to).slice(0, -1))
        expect(cells.at(-1)?.to).toBe(to)
      }),
    )
  })

  test('ids too', () => {
    const id = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    fc.assert(
      fc.property(id, fc.bigInt({ min: 1n, max: 10n ** 12n }), (at, width) => {
        const from = floor(ids(width), 'id', at)
        expect(from % width).toBe(0n)
        expect(from <= at && at < next(ids(width), 'id', from)).toBe(true)
      }),
    )
  })

  test('every day of sixty years begins once, in each zone', () => {
    for (const zone of ZONES) {
      const days = cellsBetween(grid('day', zone), 'timestamptz', utc('1985-01-01'), utc('2045-01-01'))
      const hours = days.map(({ from, to }) => Number((to - from) / 1_800_000_000n) / 2)
      expect(hours.filter((length) => length < 22 || length > 26)).toEqual([])
    }
  })
})

function fitting(on: Grid, kind: TimeKind): TimeKind {
  return kind === 'date' && on.kind === 'time' && on.every.unit === 'hour' ? 'timestamp' : kind
}
