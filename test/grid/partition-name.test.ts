import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cellsBetween, type Grid } from '../../src/grid/grid.ts'
import { parseInterval } from '../../src/grid/interval.ts'
import type { KeyKind } from '../../src/grid/key.ts'
import { partitionName } from '../../src/grid/partition-name.ts'
import { instants, utc, ZONES } from './support.ts'

const nameOf = (every: string, from: string, timezone = 'UTC', kind: KeyKind = 'timestamptz') =>
  partitionName('events', { kind: 'time', every: parseInterval(every), timezone }, kind, utc(from), new Set())

describe('a partition that begins with its cell', () => {
  test.each([
    ['year', '2026-01-01', 'events_2026'],
    ['10 years', '2020-01-01', 'events_2020'],
    ['quarter', '2026-01-01', 'events_2026_q1'],
    ['quarter', '2026-04-01', 'events_2026_q2'],
    ['quarter', '2026-07-01', 'events_2026_q3'],
    ['quarter', '2026-10-01', 'events_2026_q4'],
    ['2 quarters', '2026-07-01', 'events_2026_q3'],
    ['month', '2026-12-01', 'events_2026_12'],
    ['6 months', '2026-07-01', 'events_2026_07'],
    ['week', '2026-11-30', 'events_2026_w49'],
    ['week', '2024-12-30', 'events_2025_w01'],
    ['week', '2026-12-28', 'events_2026_w53'],
    ['week', '2027-01-04', 'events_2027_w01'],
    ['week', '2025-12-22', 'events_2025_w52'],
    ['2 weeks', '2026-12-28', 'events_2026_w53'],
    ['day', '2026-12-01', 'events_2026_12_01'],
    ['90 days', '2026-01-01', 'events_2026_01_01'],
    ['hour', '2026-12-01 13:00:00', 'events_2026_12_01_13'],
    ['hour', '2026-12-01 00:00:00', 'events_2026_12_01_00'],
    ['month', '0999-12-01', 'events_0999_12'],
  ])('every %s, from %s: %s_%s', (every, from, name) => {
    expect(nameOf(every, from)).toBe(name)
  })
})

describe('a partition that begins inside a cell', () => {
  test.each([
    ['year', '2026-07-01', 'events_2026_07'],
    ['year', '2026-07-10', 'events_2026_07_10'],
    ['quarter', '2026-11-01', 'events_2026_11'],
    ['month', '2026-12-10', 'events_2026_12_10'],
    ['month', '2026-12-10 13:00:00', 'events_2026_12_10_13'],
    ['month', '2026-12-01 13:30:00', 'events_2026_12_01_13_30'],
    ['month', '2026-12-01 13:00:07', 'events_2026_12_01_13_00_07'],
    ['month', '2026-12-01 13:00:07.5', 'events_2026_12_01_13_00_07_5'],
    ['week', '2026-12-01', 'events_2026_12_01'],
    ['day', '2026-12-01 06:00:00', 'events_2026_12_01_06'],
    ['hour', '2026-12-01 00:15:00', 'events_2026_12_01_00_15'],
  ])('every %s, from %s: %s', (every, from, name) => {
    expect(nameOf(every, from)).toBe(name)
  })
})

describe('a partition in a time zone', () => {
  test.each<[string, string, string, KeyKind, string]>([
    ['month', '2026-11-30 23:00:00', 'Europe/Berlin', 'timestamptz', 'events_2026_12'],
    ['month', '2026-11-30 23:00:00', 'Europe/Berlin', 'uuidv7', 'events_2026_12'],
    ['month', '2026-12-01', 'Europe/Berlin', 'timestamp', 'events_2026_12'],
    ['month', '2026-12-01', 'Europe/Berlin', 'date', 'events_2026_12'],
    ['year', '2026-12-31 18:15:00', 'Asia/Kathmandu', 'epoch-ms', 'events_2027'],
    ['week', '2026-11-29 23:00:00', 'Europe/Berlin', 'timestamptz', 'events_2026_w49'],
    // The day begins at 01:00.
    ['day', '2018-11-04 03:00:00', 'America/Sao_Paulo', 'timestamptz', 'events_2018_11_04'],
    // After 29 December 2011 comes the 31st.
    ['day', '2011-12-30 10:00:00', 'Pacific/Apia', 'timestamptz', 'events_2011_12_31'],
    // A bound of UTC in a grid of Berlin is 01:00 there, and its hour is UTC.
    ['month', '2026-12-01', 'Europe/Berlin', 'timestamptz', 'events_2026_12_01_00'],
    ['hour', '2026-10-25 00:00:00', 'Europe/Berlin', 'timestamptz', 'events_2026_10_25_00'],
    ['hour', '2026-10-25 01:00:00', 'Europe/Berlin', 'timestamptz', 'events_2026_10_25_01'],
    ['hour', '2026-10-25 02:00:00', 'Europe/Berlin', 'timestamp', 'events_2026_10_25_02'],
  ])('every %s, from %s, in %s, %s: %s', (every, from, zone, kind, name) => {
    expect(nameOf(every, from, zone, kind)).toBe(name)
  })
})

describe('a partition of ids', () => {
  const ids: Grid = { kind: 'id', width: 100n }

  test.each([
    [0n, 'events_0'],
    [90_000_000n, 'events_90000000'],
    [-100n, 'events_m100'],
  ])('from %d: %s', (from, name) => {
    expect(partitionName('events', ids, 'id', from, new Set())).toBe(name)
  })
})

describe('names that are taken or too long', () => {
  const monthly: Grid = { kind: 'time', every: parseInterval('month'), timezone: 'UTC' }
  const name = (base: string, ...taken: string[]) =>
    partitionName(base, monthly, 'date', utc('2026-12-01'), new Set(taken))

  test('are changed to free ones', () => {
    expect(name('events', 'events_2026_12')).toBe('events_2026_12_2')
    expect(name('events', 'events_2026_12', 'events_2026_12_2')).toBe('events_2026_12_3')
  })

  test('keeps the date within 63 bytes', () => {
    expect(name('ä'.repeat(31))).toBe(`${'ä'.repeat(27)}_2026_12`)
    expect(Buffer.byteLength(name('x'.repeat(63)))).toBe(63)
  })
})

test('no two cells of a set have the same name', () => {
  const everies = fc.constantFrom(
    'hour',
    '3 hours',
    'day',
    '3 days',
    'week',
    '2 weeks',
    'month',
    '2 months',
    'quarter',
    'year',
  )
  const kinds = fc.constantFrom<KeyKind>('timestamptz', 'timestamp')
  fc.assert(
    fc.property(everies, fc.constantFrom(...ZONES), kinds, instants, (every, timezone, kind, at) => {
      const grid: Grid = { kind: 'time', every: parseInterval(every), timezone }
      const cells = cellsBetween(grid, kind, at, at + 90n * 86_400_000_000n)
      const names = cells.map(({ from }) => partitionName('events', grid, kind, from, new Set()))
      expect(new Set(names).size).toBe(names.length)
    }),
  )
})
