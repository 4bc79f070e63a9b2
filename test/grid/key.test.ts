import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EbbError } from '../../src/errors.ts'
import {
  displayPosition,
  epochUnitOf,
  fromText,
  isTimeKind,
  positionOf,
  toText,
  type KeyKind,
} from '../../src/grid/key.ts'
import { instants, KINDS, shown, timeKinds, TIME_KINDS, utc, zones } from './support.ts'

const DECEMBER = 1_796_083_200_000_000n

test('only ids do not determine a time', () => {
  expect(KINDS.filter(isTimeKind)).toEqual(TIME_KINDS)
})

describe('fromText and toText', () => {
  test.each<[KeyKind, string, bigint]>([
    ['timestamptz', '1970-01-01 00:00:00+00', 0n],
    ['timestamptz', '2026-12-01 00:00:00+00', DECEMBER],
    ['timestamptz', '2026-12-01 00:00:00.123456+00', DECEMBER + 123_456n],
    ['timestamptz', '2026-12-01 00:00:00.1+00', DECEMBER + 100_000n],
    ['timestamptz', '1969-12-31 23:59:59.999999+00', -1n],
    ['timestamptz', '2038-01-19 03:14:08+00', 2n ** 31n * 1_000_000n],
    ['timestamptz', '0001-01-01 00:00:00+00', -62_135_596_800_000_000n],
    ['timestamptz', '9999-12-31 23:59:59.999999+00', 253_402_300_799_999_999n],
    ['timestamp', '2026-12-01 00:00:00', DECEMBER],
    ['timestamp', '2024-02-29 12:00:00.5', 1_709_208_000_500_000n],
    ['date', '2026-12-01', DECEMBER],
    ['date', '1969-12-31', -86_400_000_000n],
    ['epoch-s', '1796083200', DECEMBER],
    ['epoch-s', '-1', -1_000_000n],
    ['epoch-s', '2147483648', 2n ** 31n * 1_000_000n],
    ['epoch-ms', '1796083200001', DECEMBER + 1000n],
    ['epoch-us', '1796083200000001', DECEMBER + 1n],
    ['epoch-ns', '1796083200000001000', DECEMBER + 1n],
    ['epoch-ns', '-1000', -1n],
    ['uuidv7', '00000000-0000-0000-0000-000000000000', 0n],
    ['uuidv7', '01a2f128-1400-0000-0000-000000000000', 1_799_342_265_344_000n],
    ['id', '0', 0n],
    ['id', '-100', -100n],
    ['id', '9223372036854775807', 2n ** 63n - 1n],
  ])('%s %s is %d, and back', (kind, text, position) => {
    expect(fromText(kind, text)).toBe(position)
    expect(toText(kind, position)).toBe(text)
  })

  test.each<[KeyKind, string, bigint]>([
    ['epoch-ns', '1796083200000000999', DECEMBER],
    ['epoch-ns', '-1', -1n],
    ['epoch-ns', '-1001', -2n],
    ['uuidv7', '01a2f128-1400-7abc-8def-0123456789ab', 1_799_342_265_344_000n],
    ['uuidv7', '01A2F128-1400-7ABC-8DEF-0123456789AB', 1_799_342_265_344_000n],
    // The example of RFC 9562, A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00.
    ['uuidv7', '017F22E2-79B0-7CC3-98C4-DC0C0C07398F', 1_645_557_742_000_000n],
  ])('%s %s is rounded down to %d', (kind, text, position) => {
    expect(fromText(kind, text)).toBe(position)
  })

  test.each<[KeyKind, bigint, string]>([
    ['epoch-s', 1n, '1'],
    ['epoch-s', 1_000_000n, '1'],
    ['epoch-s', 1_000_001n, '2'],
    ['epoch-s', -1n, '0'],
    ['epoch-ms', 1001n, '2'],
    ['uuidv7', 1n, '00000000-0001-0000-0000-000000000000'],
  ])('%s: the first value not before %d is %s', (kind, position, text) => {
    expect(toText(kind, position)).toBe(text)
  })

  test.each<[KeyKind, string]>([
    ['timestamptz', 'infinity'],
    ['timestamptz', '-infinity'],
    ['timestamp', 'infinity'],
    ['date', '-infinity'],
    ['timestamptz', '10000-01-01 00:00:00+00'],
    ['timestamp', '294276-12-31 23:59:59'],
    ['date', '10000-01-01'],
    ['timestamptz', '0044-03-15 00:00:00+00 BC'],
    ['timestamp', '0001-12-31 00:00:00 BC'],
    ['date', '0044-03-15 BC'],
    ['timestamp', '0000-12-31 00:00:00'],
    ['epoch-s', '253402300800'],
    ['epoch-s', '9223372036854775807'],
    ['epoch-ms', '-62135596800001'],
    ['uuidv7', 'ffffffff-ffff-7fff-bfff-ffffffffffff'],
  ])('%s %s is outside of the calendar', (kind, text) => {
    expect(() => fromText(kind, text)).toThrow(EbbError)
    expect(() => fromText(kind, text)).toThrow(`'${text}' is outside the supported range of times.`)
  })

  test.each<[KeyKind, string]>([
    ['timestamptz', '2026-12-01 00:00:00'],
    ['timestamptz', '2026-12-01 01:00:00+01'],
    ['timestamptz', '2026-12-01 00:00:00+0030'],
    ['timestamptz', '2026-12-01T00:00:00+00'],
    ['timestamptz', '12/01/2026 00:00:00+00'],
    ['timestamp', '2026-12-01 00:00:00+00'],
    ['timestamp', '2026-12-01'],
    ['timestamp', '2026-02-30 00:00:00'],
    ['timestamp', '2026-12-01 00:00:00.1234567'],
    ['date', '2026-12-01 00:00:00'],
    ['date', '2026-13-01'],
    ['epoch-s', '1.5'],
    ['epoch-s', '1e9'],
    ['epoch-ms', ''],
    ['id', '0x10'],
    ['id', ' 1'],
    ['id', 'infinity '],
    ['uuidv7', '01a2f12814007abc8def0123456789ab'],
    ['uuidv7', '01a2f128-1400-7abc-8def-0123456789ag'],
  ])('%s %j cannot be parsed', (kind, text) => {
    expect(() => fromText(kind, text)).toThrow(EbbError)
    expect(() => fromText(kind, text)).toThrow(`'${text}' cannot be read as ${kind}.`)
  })

  test.each<[string, KeyKind, bigint]>([
    ['the year 10000', 'timestamptz', utc('9999-12-31 23:59:59.999999') + 1n],
    ['the year 0', 'epoch-s', utc('0001-01-01') - 1n],
    ['an impossible time', 'epoch-us', 10n ** 30n],
    ['a time before UUIDs', 'uuidv7', -1000n],
  ])('%s cannot be a bound', (_, kind, position) => {
    expect(() => toText(kind, position)).toThrow(EbbError)
  })

  test('a date has no time of day', () => {
    expect(() => toText('date', utc('2026-12-01 12:00:00'))).toThrow('2026-12-01 12:00:00 is not a date')
  })

  test('a parsed bound is less than one tick of the column from the original', () => {
    const ticks = { 'epoch-s': 1_000_000n, 'epoch-ms': 1000n, uuidv7: 1000n } as Partial<Record<KeyKind, bigint>>
    fc.assert(
      fc.property(timeKinds, instants, (kind, instant) => {
        const position = positionOf(kind, instant, 'UTC')
        const back = fromText(kind, toText(kind, position))
        expect(back - position).toBeGreaterThanOrEqual(0n)
        expect(back - position).toBeLessThan(ticks[kind] ?? 1n)
      }),
    )
  })

  test('`key < bound` holds for exactly the values before the position', () => {
    const epochs = fc.constantFrom<KeyKind>('epoch-s', 'epoch-ms', 'epoch-us', 'epoch-ns')
    const near = fc.bigInt({ min: -3_000_000n, max: 3_000_000n })
    fc.assert(
      fc.property(epochs, near, near, (kind, value, position) => {
        const isBefore = fromText(kind, value.toString()) < position
        expect(value < BigInt(toText(kind, position))).toBe(isBefore)
      }),
    )
  })
})

describe('positionOf', () => {
  const newYear = utc('2026-12-31 23:30:00.000001')

  test.each<[KeyKind, string, string]>([
    ['timestamptz', 'Europe/Berlin', '2026-12-31 23:30:00.000001'],
    ['epoch-ms', 'Europe/Berlin', '2026-12-31 23:30:00.000001'],
    ['uuidv7', 'Europe/Berlin', '2026-12-31 23:30:00.000001'],
    ['timestamp', 'Europe/Berlin', '2027-01-01 00:30:00.000001'],
    ['timestamp', 'UTC', '2026-12-31 23:30:00.000001'],
    ['timestamp', 'Asia/Kathmandu', '2027-01-01 05:15:00.000001'],
    ['timestamp', 'America/Sao_Paulo', '2026-12-31 20:30:00.000001'],
    ['date', 'Europe/Berlin', '2027-01-01 00:00:00'],
    ['date', 'UTC', '2026-12-31 00:00:00'],
  ])('%s in %s: %s', (kind, zone, position) => {
    expect(shown(positionOf(kind, newYear, zone))).toBe(position)
  })

  test('a wall clock goes back with daylight saving', () => {
    const before = positionOf('timestamp', utc('2026-10-25 00:59:59'), 'Europe/Berlin')
    const after = positionOf('timestamp', utc('2026-10-25 01:00:00'), 'Europe/Berlin')
    expect([shown(before), shown(after)]).toEqual(['2026-10-25 02:59:59', '2026-10-25 02:00:00'])
  })

  test('before 1970', () => {
    expect(shown(positionOf('date', -1n, 'UTC'))).toBe('1969-12-31 00:00:00')
    expect(shown(positionOf('timestamp', -1n, 'UTC'))).toBe('1969-12-31 23:59:59.999999')
  })

  test('an id has none', () => {
    expect(() => positionOf('id', 0n, 'UTC')).toThrow(TypeError)
  })

  test('keeps the microseconds of every instant', () => {
    fc.assert(
      fc.property(instants, zones, (instant, zone) => {
        expect((positionOf('timestamp', instant, zone) - instant) % 1_000_000n).toBe(0n)
      }),
    )
  })
})

describe('displayPosition', () => {
  test.each<[KeyKind, string, string, string]>([
    ['timestamptz', '2026-11-30 23:00:00', 'Europe/Berlin', '2026-12-01 00:00 Europe/Berlin'],
    ['epoch-ns', '2026-11-30 23:00:00', 'Europe/Berlin', '2026-12-01 00:00 Europe/Berlin'],
    ['uuidv7', '2026-12-01', 'UTC', '2026-12-01 00:00 UTC'],
    ['timestamptz', '2026-12-01 00:00:07', 'UTC', '2026-12-01 00:00:07 UTC'],
    ['timestamptz', '2026-12-01 00:00:00.5', 'UTC', '2026-12-01 00:00:00.5 UTC'],
    ['timestamp', '2026-12-01', 'Europe/Berlin', '2026-12-01 00:00 Europe/Berlin'],
    ['date', '2026-12-01', 'Europe/Berlin', '2026-12-01'],
    ['timestamptz', '2026-10-25 00:00:00', 'Europe/Berlin', '2026-10-25 02:00+02:00 Europe/Berlin'],
    ['timestamptz', '2026-10-25 01:00:00', 'Europe/Berlin', '2026-10-25 02:00+01:00 Europe/Berlin'],
    ['timestamptz', '2026-10-25 02:00:00', 'Europe/Berlin', '2026-10-25 03:00 Europe/Berlin'],
  ])('%s %s in %s', (kind, position, zone, displayed) => {
    expect(displayPosition(kind, utc(position), zone)).toBe(displayed)
  })

  test('ids are plain digits', () => {
    expect(displayPosition('id', -90_000_000n, 'UTC')).toBe('-90000000')
  })
})

describe('epochUnitOf', () => {
  test.each([
    [978_307_199n, null],
    [978_307_200n, 'epoch-s'],
    [1_796_083_200n, 'epoch-s'],
    [4_102_444_799n, 'epoch-s'],
    [4_102_444_800n, null],
    [978_307_199_999n, null],
    [978_307_200_000n, 'epoch-ms'],
    [4_102_444_799_999n, 'epoch-ms'],
    [4_102_444_800_000n, null],
    [1_796_083_200_000_000n, 'epoch-us'],
    [1_796_083_200_000_000_000n, 'epoch-ns'],
    [4_102_444_799_999_999_999n, 'epoch-ns'],
    [4_102_444_800_000_000_000n, null],
    [0n, null],
    [-1_796_083_200n, null],
    [12_345n, null],
  ])('%d is %s', (value, kind) => {
    expect(epochUnitOf(value)).toBe(kind)
  })
})
