import { expect, test } from 'vitest'
import { PhasePace } from '../../src/engine/phase-pace.ts'

function at(seconds: number, phase: string | null, done: number | null) {
  return { seconds, phase, done, total: done === null ? null : 1_000, unit: 'blocks' }
}

test('a phase is measured from its first observation, not from the start of the statement', () => {
  const pace = new PhasePace()
  expect(pace.progress(at(1, 'scanning heap', 10))).toMatchObject({ perSecond: 10, remainingSeconds: null })
  expect(pace.progress(at(100, 'scanning heap', 1_000))).toMatchObject({ perSecond: 10, remainingSeconds: 0 })
  expect(pace.progress(at(110, 'vacuuming indexes', null))).toBeUndefined()
  expect(pace.progress(at(120, 'vacuuming heap', 200))).toMatchObject({ perSecond: 0, remainingSeconds: null })
  expect(pace.progress(at(124, 'vacuuming heap', 600))).toMatchObject({ perSecond: 100, remainingSeconds: 4 })
})

test('another statement restarts the measurement', () => {
  const pace = new PhasePace()
  pace.progress(at(5, 'scanning heap', 900))
  expect(pace.progress(at(4, 'scanning heap', 400))).toMatchObject({ perSecond: 100, remainingSeconds: 6 })
})
