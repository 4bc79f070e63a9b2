import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { minus, plus } from '../../src/grid/grid.ts'
import { parseInterval } from '../../src/grid/interval.ts'
import { positionOf, type KeyKind } from '../../src/grid/key.ts'
import { instants, shown, timeKinds, utc, zones } from './support.ts'

const back = (from: string, keep: string, zone: string, kind: KeyKind = 'timestamptz') =>
  shown(minus(utc(from), parseInterval(keep), kind, zone))

describe('minus', () => {
  test.each([
    ['2026-12-01 10:30:00.000001', '90 days', 'UTC', '2026-09-02 10:30:00.000001'],
    ['2025-03-31', '1 month', 'UTC', '2025-02-28 00:00:00'],
    ['2024-03-31', '1 month', 'UTC', '2024-02-29 00:00:00'],
    ['2024-02-29', '1 year', 'UTC', '2023-02-28 00:00:00'],
    ['2026-05-31', '1 quarter', 'UTC', '2026-02-28 00:00:00'],
    ['2026-12-31', '2 weeks', 'UTC', '2026-12-17 00:00:00'],
    ['2026-01-01', '13 months', 'UTC', '2024-12-01 00:00:00'],
    ['2026-03-29 12:00:00', '24 hours', 'Europe/Berlin', '2026-03-28 12:00:00'],
    // 14:00 in summer time is 14:00 the day before, in winter time.
    ['2026-03-29 12:00:00', '1 day', 'Europe/Berlin', '2026-03-28 13:00:00'],
    ['2026-10-25 12:00:00', '1 day', 'Europe/Berlin', '2026-10-24 11:00:00'],
    // 02:30 did not exist on that day: it is read as an hour later.
    ['2026-03-30 00:30:00', '1 day', 'Europe/Berlin', '2026-03-29 01:30:00'],
    // 02:30 was shown twice on that day: the first is meant, and an hour more is kept.
    ['2026-10-26 01:30:00', '1 day', 'Europe/Berlin', '2026-10-25 00:30:00'],
    // The last of the month is local: in UTC this is still the 30th.
    ['2026-03-30 22:30:00', '1 month', 'Europe/Berlin', '2026-02-27 23:30:00'],
    ['2026-04-05 12:00:00', '1 day', 'Australia/Lord_Howe', '2026-04-04 11:30:00'],
    ['2011-12-31 10:00:00', '2 days', 'Pacific/Apia', '2011-12-30 10:00:00'],
    ['2026-12-01 18:15:00', '1 month', 'Asia/Kathmandu', '2026-11-01 18:15:00'],
  ])('%s, %s before, in %s', (from, keep, zone, expected) => {
    expect(back(from, keep, zone)).toBe(expected)
  })

  test('a wall clock ignores daylight saving', () => {
    expect(back('2026-03-29 12:00:00', '1 day', 'Europe/Berlin', 'timestamp')).toBe('2026-03-28 12:00:00')
    expect(back('2026-03-29', '1 day', 'Europe/Berlin', 'date')).toBe('2026-03-28 00:00:00')
  })

  test('a row with a date is kept until its whole day is old enough', () => {
    const keep = parseInterval('90 days')
    const horizon = (now: string) => shown(minus(positionOf('date', utc(now), 'UTC'), keep, 'date', 'UTC'))
    expect(horizon('2026-04-01 23:59:59.999999')).toBe('2026-01-01 00:00:00')
    expect(horizon('2026-04-02 00:00:00')).toBe('2026-01-02 00:00:00')
  })

  test('rejects hours before a date, and intervals before an id', () => {
    expect(() => back('2026-01-01', '48 hours', 'UTC', 'date')).toThrow(UsageError)
    expect(() => minus(0n, parseInterval('1 day'), 'id', 'UTC')).toThrow(TypeError)
  })
})

describe('plus', () => {
  test.each([
    ['2024-01-31', '1 month', '2024-02-29 00:00:00'],
    ['2026-01-31', '1 month', '2026-02-28 00:00:00'],
    ['2026-11-30', '1 quarter', '2027-02-28 00:00:00'],
    ['2026-12-31 23:00:00', '2 hours', '2027-01-01 01:00:00'],
  ])('%s and %s', (from, interval, expected) => {
    expect(shown(plus(utc(from), parseInterval(interval), 'timestamptz', 'UTC'))).toBe(expected)
  })

  test('inverts minus for hours, and never moves backwards', () => {
    fc.assert(
      fc.property(instants, zones, timeKinds, fc.integer({ min: 1, max: 500 }), (at, zone, kind, count) => {
        const hours = { count, unit: 'hour' } as const
        const days = { count, unit: 'day' } as const
        if (kind !== 'date') expect(plus(minus(at, hours, kind, zone), hours, kind, zone)).toBe(at)
        expect(minus(at, days, kind, zone)).toBeLessThan(at)
        expect(plus(at, days, kind, zone)).toBeGreaterThan(at)
      }),
    )
  })
})
