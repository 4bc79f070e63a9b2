import { expect, test } from 'vitest'
import { jittered } from '../../src/pacing/jitter.ts'

test('pauses vary by up to a quarter, with the same average', () => {
  const pauses = Array.from({ length: 2_000 }, () => jittered(100))
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(75)
  expect(Math.max(...pauses)).toBeLessThanOrEqual(125)
  expect(Math.max(...pauses) - Math.min(...pauses)).toBeGreaterThan(40)
  const mean = pauses.reduce((sum, ms) => sum + ms, 0) / pauses.length
  expect(Math.abs(mean - 100)).toBeLessThan(3)
})
