import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { roundWidth } from '../../src/grid/width.ts'

describe('roundWidth', () => {
  test.each([
    [-5, 1000n],
    [0, 1000n],
    [1, 1000n],
    [1499, 1000n],
    [1500, 2000n],
    [3499, 2000n],
    [3500, 5000n],
    [7499, 5000n],
    [7500, 10_000n],
    [14_999.4, 10_000n],
    [14_999.5, 20_000n],
    [10_400_000, 10_000_000n],
    [86_400_000, 100_000_000n],
    [3_600_000_000_000_000_000n, 5_000_000_000_000_000_000n],
  ])('%d ids an interval make partitions of %d', (ids, width) => {
    expect(roundWidth(ids)).toBe(width)
  })

  test('leaves a round width as it is', () => {
    fc.assert(
      fc.property(fc.constantFrom(1n, 2n, 5n), fc.bigInt({ min: 3n, max: 18n }), (digit, zeros) => {
        const width = digit * 10n ** zeros
        expect(roundWidth(width)).toBe(width)
      }),
    )
  })

  test('rejects values that are not numbers', () => {
    expect(() => roundWidth(NaN)).toThrow(RangeError)
  })
})
