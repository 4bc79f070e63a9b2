import type { DisabledConstraint } from '../../../catalog/references/disabled-constraints.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** That PostgreSQL would not detect violated foreign keys; none where every constraint is enforced. */
export function disabledConstraintObjections(disabled: readonly DisabledConstraint[]): Objection[] {
  if (disabled.length === 0) return []
  const tables = [...new Set(disabled.map(({ on }) => on))]
  return [
    objection(
      'disabled-foreign-keys',
      `triggers of constraints are disabled (disable trigger all), so PostgreSQL does not enforce them: ${describeDisabled(disabled)}`,
      `As a superuser, switch them on: ${tables.map((table) => `alter table ${table} enable trigger all;`).join(' ')} Then look for rows that refer to nothing by a query, for validate constraint passes over a constraint that is called valid.`,
    ),
  ]
}

export function describeDisabled(disabled: readonly DisabledConstraint[]): string {
  return disabled.map(({ name, of, on }) => (of === on ? `${name} of ${of}` : `${name} of ${of}, on ${on}`)).join('; ')
}
