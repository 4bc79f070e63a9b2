import type { TableModel } from '../../catalog/table/table-model.ts'
import { pathForCode, putBack, putUnder, type ConditionSettings } from '../../sql/condition-settings.ts'
import type { AloneStep, OnlineStep, Step } from '../language/step.ts'

// Indexes over expressions and checks call functions of the user's, whose bodies
// may count on the user's search path. From 17 on PostgreSQL itself builds and
// vacuums indexes under a path of its own; before, and for checks, it is the session's.

/** Whether building, checking or analysing the table can call functions of the user's. */
function callsCode({ indexes, constraints, statistics }: TableModel): boolean {
  return (
    indexes.some(({ columns, partial }) => partial || columns.includes(null)) ||
    constraints.some(({ type }) => type === 'check') ||
    statistics.length > 0
  )
}

/** The step under the search path that such functions may count on. */
export function underPath<S extends Step>(step: S, table: TableModel, settings: ConditionSettings): S {
  if (!callsCode(table)) return step
  const path = pathForCode(settings)
  if (isOnline(step)) return { ...step, statements: [...putUnder(path), ...step.statements, ...putBack(path)] }
  return isAlone(step) ? { ...step, statements: inSession(path, step.statements) } : step
}

/** Outside of a transaction; where a statement fails, so does the run, and its session ends. */
export function inSession(settings: ConditionSettings, statements: readonly string[]): string[] {
  const forSession = (statement: string) => statement.replace(/^set local /, 'set ')
  return [...putUnder(settings).map(forSession), ...statements, ...putBack(settings).map(forSession)]
}

function isOnline(step: Step): step is OnlineStep {
  return step.kind === 'online'
}

function isAlone(step: Step): step is AloneStep {
  return step.kind === 'alone'
}
