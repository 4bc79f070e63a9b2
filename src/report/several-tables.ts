import type { TableOutcome } from '../engine/many-tables.ts'
import type { StepResult } from '../engine/execute.ts'
import { explainObjections } from '../plan/explain/explain.ts'
import { display } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import { showElapsed } from '../text/elapsed.ts'
import { tellError } from './error-text.ts'
import { indented } from './partitioned.ts'

/** What is known of a finished run on one of several tables. */
export interface FinishedRun {
  readonly runId: string | null
  readonly steps: readonly StepResult[]
  readonly nothingToDo: boolean
}

/** How a command ended for each of several tables: a line for each, then what is not done and why. */
export function describeTables(
  command: string,
  outcomes: readonly TableOutcome<FinishedRun>[],
  withValues = false,
): string[] {
  const problems = describeNotDone(command, outcomes, withValues)
  return [...columns(outcomes.map(describeOne)), ...(problems.length === 0 ? [] : ['', ...problems])]
}

function describeOne(one: TableOutcome<FinishedRun>): string[] {
  return [display(one.table), ...describeOutcome(one)]
}

function describeOutcome(one: TableOutcome<FinishedRun>): string[] {
  switch (one.outcome) {
    case 'done':
      return describeRun(one.result)
    case 'done before':
      return [describeBefore(one.runId)]
    case 'refused':
      return ['refused: see below']
    case 'failed':
      return ['failed: see below']
    case 'stopped':
      return ['stopped: the same command resumes it']
    case 'not begun':
      return ['not begun']
  }
}

function describeRun({ runId, steps, nothingToDo }: FinishedRun): string[] {
  if (nothingToDo) return [`nothing to do: done by run ${runId}`]
  const taken = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const longest = Math.max(0, ...steps.map(({ lock }) => lock?.longestWaitCausedMs ?? 0))
  return [`done (run ${runId})`, `${showElapsed(taken)}, maximum blocking time ${showElapsed(longest)}`]
}

/** Why a copy is not made a second time, and how it is. */
export function describeBefore(runId: string): string {
  return `done before by run ${runId}, and its retired table is kept: ebb retire ${runId} drops it`
}

/** The tables for which a command is not done, each with the reason and what to do. */
export function describeNotDone(
  command: string,
  outcomes: readonly TableOutcome<unknown>[],
  withValues = false,
): string[] {
  const problems = outcomes.flatMap((one) => describeProblem(command, one, withValues))
  const done = outcomes.filter(({ outcome }) => outcome === 'done' || outcome === 'done before').length
  return problems.length === 0 ? [] : [...problems, '', `${command}: ${done} of ${outcomes.length} tables are done.`]
}

function describeProblem(command: string, one: TableOutcome<unknown>, withValues: boolean): string[] {
  const name = display(one.table)
  if (one.outcome === 'refused') return [`refused: ${command} ${name}`, ...objectionsOf(one.plan)]
  if (one.outcome !== 'failed' && one.outcome !== 'stopped') return []
  const { message, details, state, next } = tellError(one.error, withValues)
  return [`${one.outcome}: ${command} ${name}: ${message}`, ...indented([...details, state, next])]
}

function objectionsOf({
  objections,
}: Extract<TableOutcome<unknown>, { readonly outcome: 'refused' }>['plan']): string[] {
  const lines = explainObjections(objections).map((line) => line.replace(/^--( |$)/, ''))
  return indented(lines.filter((line) => line !== '' && !line.startsWith('Blocking issues')))
}

/** The same for programs; `told` is what there is of a table for which it is done. */
export function tableForPrograms<Result>(
  one: TableOutcome<Result>,
  withValues: boolean,
  told: (result: Result) => object,
): object {
  const { table, outcome } = one
  switch (one.outcome) {
    case 'done':
      return { table, outcome, ...told(one.result) }
    case 'done before':
      return { table, outcome, runId: one.runId }
    case 'refused':
      return { table, outcome, objections: one.plan.objections }
    case 'failed':
    case 'stopped':
      return { table, outcome, error: tellError(one.error, withValues) }
    case 'not begun':
      return { table, outcome }
  }
}
