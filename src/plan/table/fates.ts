import type { Index, TableModel } from '../../catalog/table/table-model.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { DependentObject } from '../language/step.ts'
import type { NewPrimaryKey } from './primary-key.ts'

// What becomes of a table's dependent objects, as text.

/** Where the rows go, and what of the table changes on the way. */
export interface Move {
  /** The partition that the table becomes; null where its rows are copied and everything is built again. */
  readonly history: TableName | null
  readonly primaryKey: NewPrimaryKey | null
  /** Whether the new table is. */
  readonly partitioned: boolean
}

export function carried(name: string, how = 'the same on the new table'): DependentObject {
  return { name, outcome: 'carried', how }
}

export function rebuilt(name: string, how: string): DependentObject {
  return { name, outcome: 'rebuilt', how }
}

export function indexFate(
  { name, constraint }: Index,
  { primaryKey, history }: Pick<Move, 'primaryKey' | 'history'>,
): DependentObject {
  if (name === primaryKey?.constraint)
    return { name: `primary key ${name}`, outcome: 'changed', how: primaryKey.definition }
  const thing = constraint === null ? `index ${name}` : `constraint ${name}`
  return history === null
    ? rebuilt(thing, 'built anew once the rows are there')
    : carried(thing, 'the existing index is adopted, none is built')
}

/** What a partitioned table cannot have. */
export function staysBehind({ options, indexes }: TableModel, history: TableName): DependentObject[] {
  const kept = (name: string, how: string): DependentObject => ({
    name,
    outcome: 'kept',
    how: `on ${display(history)} ${how}`,
  })
  return [
    ...(options.length === 0
      ? []
      : [kept(`storage parameters ${options.join(', ')}`, 'and on every new partition; a partitioned table has none')]),
    ...indexes
      .filter(({ clustered }) => clustered)
      .map(({ name }) => kept(`cluster mark on ${name}`, 'only; a partitioned table cannot have one')),
  ]
}
