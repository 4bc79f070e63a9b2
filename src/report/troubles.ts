import type { RotationReport } from '../engine/commands/rotate.ts'
import type { Failure, TableOutcome } from '../engine/many-tables.ts'
import type { Objection } from '../plan/language/objection.ts'
import { display, type TableName } from '../sql/names.ts'
import { tellError } from './error-text.ts'

// What was not done, and why, for those who are told how a command has ended. No values of rows. Pure.

export interface Trouble {
  /** Null where it concerns no table in particular. */
  readonly table: string | null
  readonly message: string
}

/** Blocking issues and failures of a table. */
export function troublesOf(
  table: TableName | null,
  objections: readonly Objection[],
  failures: readonly Failure[] = [],
): Trouble[] {
  const messages = [
    ...objections.map(({ code, what }) => `${code}: ${what}`),
    ...failures.map(({ what, error }) => `${what}: ${tellError(error).message}`),
  ]
  return messages.map((message) => ({ table: table === null ? null : display(table), message }))
}

/** Those of a rotation, set by set. */
export function troublesOfRotation({ sets, retired }: RotationReport): Trouble[] {
  return [
    ...sets.flatMap(({ table, plan, failed }) => troublesOf(table, plan?.objections ?? [], failed)),
    ...troublesOf(null, [], retired.failed),
  ]
}

/** Those of a command for several tables. */
export function troublesOfTables(outcomes: readonly TableOutcome<unknown>[]): Trouble[] {
  return outcomes.flatMap((one) => {
    if (one.outcome === 'refused') return troublesOf(one.table, one.plan.objections)
    if (one.outcome !== 'failed') return []
    return [{ table: display(one.table), message: tellError(one.error).message }]
  })
}
