import { expect, test } from 'vitest'

interface Quiet {
  disturbances: (busy: readonly number[], rounds: Readonly<Record<string, readonly number[]>>) => string[]
  mayTell: Quiet['disturbances'] extends (...given: infer Given) => unknown ? (...given: Given) => boolean : never
}

const { disturbances, mayTell } = (await import(
  String(new URL('../../scripts/bench/quiet.js', import.meta.url))
)) as Quiet

test('a quiet machine, and rounds that are alike, are no disturbance', () => {
  expect(disturbances([0.01, 0.09], { ebb: [1, 1.25], short: [0.01, 0.05] })).toEqual([])
  expect(disturbances([], {})).toEqual([])
})

test('a busy machine is named, and so are rounds that differ', () => {
  expect(disturbances([0.05, 0.62], { ebb: [5, 7], other: [5, 5] })).toEqual([
    'others used up to 62 % of the processors while the benchmark waited',
    'ebb: the slowest round took 1.40 times as long as the fastest',
  ])
  expect(mayTell([0.62], {})).toBe(false)
  process.exitCode = undefined
})
