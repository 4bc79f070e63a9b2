import { expect, test } from 'vitest'
import { exitCodeOfRotation } from '../../src/cli/exit-codes.ts'
import type { RotationReport } from '../../src/engine/commands/rotate.ts'
import { EbbError, type ErrorKind } from '../../src/errors.ts'
import { objection } from '../../src/plan/language/objection.ts'
import { refuse } from '../../src/plan/rotate/rotate.ts'

const table = { schema: 'public', name: 'events' }

/** Of a set with objections, or without; null is an error that is none of ours. */
function report(isObjected: boolean, kinds: readonly (ErrorKind | null)[], stopped = false): RotationReport {
  const failed = kinds.map((kind) => ({
    what: 'an action',
    error: kind === null ? new Error('other') : new EbbError('failed', { state: '', next: '' }, kind),
  }))
  const plan = refuse(table, null, isObjected ? [objection('code', 'what', 'fix')] : [])
  const nothing = { finalized: [], created: [], retired: [], skipped: [], milliseconds: 0, pace: null }
  const set = { ...nothing, table, plan, failed, longestLockMs: 0, longestWaitCausedMs: 0 }
  return { sets: [set], forgotten: [], retired: { dropped: [], failed: [] }, stopped }
}

test.for<[boolean, (ErrorKind | null)[], number]>([
  [false, [], 0],
  [false, ['try later'], 75],
  [true, [], 3],
  [true, ['try later'], 3],
  [false, ['objections', 'try later'], 3],
  [true, ['try later', 'failed'], 1],
  [false, ['try later', null], 1],
  [true, ['usage'], 1],
])('a rotation ends with the worst: objections %j and errors %j give %i', ([isObjected, kinds, code]) => {
  expect(exitCodeOfRotation(report(isObjected, kinds))).toBe(code)
  expect(exitCodeOfRotation(report(isObjected, kinds, true))).toBe(4)
})
