import { display, type TableName } from '../../sql/names.ts'
import { endCapture, type CaptureObjects } from './capture.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import type { ShortLockStep, Lock, Objection, Plan, Step } from '../language/step.ts'

// What the steps that end a copy have in common.

/** Takes the capture off a table that is in use. */
export function release(key: string, capture: CaptureObjects): ShortLockStep {
  const { table } = capture
  const lock: Lock = exclusive(table)
  return shortLock(
    key,
    `stop capturing changes of ${display(table)}`,
    'nothing needs them any more',
    [lock],
    [lockExclusively(table)],
    endCapture(capture),
    table,
  )
}

/** A step whose locks are held for milliseconds. */
export function shortLock(
  key: string,
  title: string,
  because: string,
  locks: readonly Lock[],
  acquireLocks: readonly string[],
  statements: readonly string[],
  quiet: TableName | null = null,
): ShortLockStep {
  return {
    kind: 'short lock',
    key,
    title,
    because,
    locks,
    cost: 'milliseconds',
    quiet,
    acquire: acquireLocks,
    statements,
  }
}

/** A plan with nothing else to say. */
export function plan(
  goal: string,
  table: TableName,
  evidence: readonly string[],
  objections: readonly Objection[],
  steps: readonly Step[],
): Plan {
  return { goal, table, evidence, dependents: [], objections, notes: [], steps }
}
