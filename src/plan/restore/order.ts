import { sameName } from '../../sql/names.ts'
import type { TableToRestore } from './situation.ts'

// Foreign keys are checked at the end of each transaction, and each object is one: so the rows that are referred to come first.

export interface Order {
  /** Each after those that it refers to; those of a circle last, as they came. */
  readonly tables: readonly TableToRestore[]
  /** Those that refer to each other, directly or not, and what refers to them. */
  readonly circular: readonly TableToRestore[]
}

export function parentsFirst(tables: readonly TableToRestore[]): Order {
  const ordered: TableToRestore[] = []
  for (;;) {
    const left = tables.filter((one) => !ordered.includes(one))
    const next = left.find((one) => !left.some((other) => other !== one && refersTo(one, other)))
    if (next === undefined) return { tables: [...ordered, ...left], circular: left }
    ordered.push(next)
  }
}

function refersTo({ table }: TableToRestore, { table: { name } }: TableToRestore): boolean {
  return !sameName(table.name, name) && referencesOf(table).some((one) => sameName(one, name))
}

/** Whether rows of the table refer to others of it. */
export function refersToItself({ table }: TableToRestore): boolean {
  return referencesOf(table).some((one) => sameName(one, table.name))
}

function referencesOf({ constraints }: TableToRestore['table']) {
  return constraints.flatMap(({ references }) => (references === null ? [] : [references]))
}
