import type { Index, TableModel } from '../../catalog/table/table-model.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { NewPrimaryKey } from './primary-key.ts'
import type { DependentObject } from '../language/step.ts'

/** Where the rows go, and what of the table changes on the way. */
export interface Move {
  /** The partition that the former table becomes; null where its rows are copied and everything is built anew. */
  readonly history: TableName | null
  readonly primaryKey: NewPrimaryKey | null
  /** Whether the new table is. */
  readonly partitioned: boolean
}

/** What becomes of everything that hangs on a table, for people. */
export function dependentsOf(table: TableModel, { history, primaryKey, partitioned }: Move): DependentObject[] {
  const carried = (thing: string, how = 'the same on the new table'): DependentObject => ({
    name: thing,
    outcome: 'carried',
    how,
  })
  return [
    {
      name: `${table.columns.length} columns with defaults, comments and statistics targets`,
      outcome: 'carried',
      how: 'by LIKE',
    },
    {
      name: `owner ${table.owner} and ${table.grants.length} grants`,
      outcome: 'carried',
      how: partitioned
        ? 'the same on the new parent; new partitions can be reached through it only'
        : 'the same on the new table',
    },
    ...table.indexes.map((index) => indexFate(index, primaryKey, history)),
    ...table.constraints
      .filter(({ type }) => type === 'check' || type === 'foreign key')
      .map(({ type, name }) => carried(`${type} ${name}`)),
    ...table.inboundForeignKeys.map((key): DependentObject => ({
      name: `foreign key ${display(key.table)}.${key.name}`,
      outcome: 'rebuilt',
      how: 'pointed at the new table, NOT VALID in the swap and validated afterwards while everybody works',
    })),
    ...table.sequences.map(({ name, identity }) =>
      carried(
        `sequence ${display(name)}`,
        identity ? 'a new one with its name, settings and position' : 'the same sequence, owned by the new table',
      ),
    ),
    ...table.triggers.map(({ name }) => carried(`trigger ${name}`)),
    ...table.policies.map(({ name }) => carried(`policy ${name}`)),
    ...table.rules.map(({ name }) => carried(`rule ${name}`)),
    ...table.statistics.map(({ name }) => carried(`statistics ${display(name)}`)),
    ...table.publications
      .filter(({ covers }) => covers === 'table')
      .map(({ name }) => carried(`publication ${name}`, 'the new table replaces the retired one')),
    ...table.views.map(({ name }): DependentObject => ({
      name: `view ${display(name)}`,
      outcome: 'rebuilt',
      how: 'create or replace: same identity, grants and views on top',
    })),
    ...table.functions.map(({ signature }): DependentObject => ({
      name: `function ${signature}`,
      outcome: 'rebuilt',
      how: 'create or replace: its body is bound to the table',
    })),
    ...(history === null ? [] : staysBehind(table, history)),
  ]
}

/** What a partitioned table cannot have. */
function staysBehind(table: TableModel, history: TableName): DependentObject[] {
  const clustered = table.indexes.filter((index) => index.clustered)
  return [
    ...(table.options.length === 0
      ? []
      : [
          {
            name: `storage parameters ${table.options.join(', ')}`,
            outcome: 'kept' as const,
            how: `on ${display(history)} and on every new partition; a partitioned table has none`,
          },
        ]),
    ...clustered.map(({ name }): DependentObject => ({
      name: `cluster mark on ${name}`,
      outcome: 'kept',
      how: `on ${display(history)} only; a partitioned table cannot have one`,
    })),
  ]
}

function indexFate(
  { name, constraint }: Index,
  primaryKey: NewPrimaryKey | null,
  history: TableName | null,
): DependentObject {
  if (name === primaryKey?.constraint)
    return { name: `primary key ${name}`, outcome: 'changed', how: primaryKey.definition }
  const thing = constraint === null ? `index ${name}` : `constraint ${name}`
  return history === null
    ? { name: thing, outcome: 'rebuilt', how: 'built anew once the rows are there' }
    : { name: thing, outcome: 'carried', how: 'the existing index is adopted, none is built' }
}
