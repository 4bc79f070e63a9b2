import type { Failure } from '../engine/many-tables.ts'
import { EbbError, type ErrorKind } from '../errors.ts'
import { troublesOf, type Trouble } from '../report/troubles.ts'
import type { PolicyReport, RunReport } from './run-policies.ts'

/** How a policy came out: what is worst counts. */
export type Outcome = 'done' | 'later' | 'objections' | 'failed'

const WORST_FIRST: readonly Outcome[] = ['failed', 'objections', 'later', 'done']

export function outcomeOf(report: PolicyReport): Outcome {
  return worst([
    ...failuresOf(report).map(outcomeOfFailure),
    ...(objectionsOf(report).length > 0 ? (['objections'] as const) : []),
    ...report.purged.flatMap(({ figures }) => ((figures?.locked ?? 0) > 0 ? (['later'] as const) : [])),
  ])
}

/** The kind of error that the outcome of all of it comes to; null where all is done. */
export function kindOf({ policies, ahead, ended, left }: RunReport): ErrorKind | null {
  if (ended === 'stopped') return 'stopped'
  const outcome = worst([
    ...[...policies, ...ahead].map(outcomeOf),
    ...(ended === null && left.length === 0 ? [] : (['later'] as const)),
  ])
  return { failed: 'failed', objections: 'objections', later: 'try later', done: null }[outcome] as ErrorKind | null
}

export function failuresOf({ failed, rotation }: PolicyReport): Failure[] {
  if (rotation === null) return [...failed]
  return [...failed, ...rotation.sets.flatMap((set) => set.failed), ...rotation.retired.failed]
}

export function objectionsOf({ objections, rotation }: PolicyReport): PolicyReport['objections'] {
  return [...objections, ...(rotation?.sets ?? []).flatMap(({ plan }) => plan?.objections ?? [])]
}

/** What was not done, and why. */
export function troublesOfRun({ policies, ahead }: RunReport): Trouble[] {
  return [...policies, ...ahead].flatMap((report) => troublesOf(report.table, objectionsOf(report), failuresOf(report)))
}

function outcomeOfFailure({ error }: Failure): Outcome {
  if (!(error instanceof EbbError)) return 'failed'
  if (error.kind === 'objections') return 'objections'
  // What was ended by a budget or a window is continued by the next run.
  return error.kind === 'try later' || error.kind === 'stopped' ? 'later' : 'failed'
}

function worst(outcomes: readonly Outcome[]): Outcome {
  return WORST_FIRST.find((one) => outcomes.includes(one)) ?? 'done'
}
