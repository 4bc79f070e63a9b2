import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Facts } from '../language/step.ts'
import { ALL } from './dependents.ts'
import type { NewPrimaryKey } from './primary-key.ts'

// A table as a list of comparable lines. Read before and after a swap from the
// same catalogue query, equal facts mean that the dependent objects are the same.
// Left out is what cannot be equal: storage parameters and the cluster mark stay
// with the partitions, and whether an inbound foreign key is validated is settled later.

/** The facts of a table; `ours` names constraints, indexes and triggers that Ebb has put there itself. */
export function factsOf(table: TableModel, ours: readonly string[] = []): Facts {
  const own = new Set(ours)
  const others = <Part extends { readonly name: string }>(parts: readonly Part[]) =>
    parts.filter(({ name }) => !own.has(name))
  const { constraints, indexes, triggers } = table
  const rest = { constraints: others(constraints), indexes: others(indexes), triggers: others(triggers) }
  return Object.fromEntries(ALL.flatMap(({ facts }) => facts({ ...table, ...rest })))
}

/** Those of a table whose primary key has got the key of the partitions. */
export function factsWithKey(table: TableModel, primaryKey: NewPrimaryKey | null): Facts {
  const constraints = table.constraints.map((one) =>
    one.name === primaryKey?.constraint ? { ...one, definition: primaryKey.definition } : one,
  )
  return factsOf({ ...table, constraints })
}

/** A difference between two lists of facts, for people. */
export interface Difference {
  readonly fact: string
  readonly before: string | null
  readonly after: string | null
}

/** What is in one list and not, or otherwise, in the other. Empty when nothing was lost, added or changed. */
export function compareFacts(before: Facts, after: Facts): Difference[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names
    .filter((fact) => before[fact] !== after[fact])
    .map((fact) => ({ fact, before: before[fact] ?? null, after: after[fact] ?? null }))
}

/** As what has happened already. */
export function describeChange({ fact, before, after }: Difference): string {
  if (after === null) return `${fact} is gone (${before})`
  if (before === null) return `${fact} is new (${after})`
  return `${fact} has changed from ${before} to ${after}`
}

/** As what would come of it. */
export function describeDifference({ fact, before, after }: Difference): string {
  if (after === null) return `${fact} would be gone (${before})`
  if (before === null) return `${fact} would be new (${after})`
  return `${fact} would change from ${before} to ${after}`
}
