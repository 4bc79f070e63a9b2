import type { Index, TableModel } from '../../catalog/table/table-model.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { NewPrimaryKey } from './primary-key.ts'
import type { Fate } from '../language/step.ts'

/** Where the rows go, and what of the table changes on the way. */
export interface Move {
  /** The partition that the former table becomes; null where its rows are copied and everything is built anew. */
  readonly history: TableName | null
  readonly primaryKey: NewPrimaryKey | null
  /** Whether the new table is. */
  readonly partitioned: boolean
}

/** What becomes of everything that hangs on a table, for people. */
export function fatesOf(table: TableModel, { history, primaryKey, partitioned }: Move): Fate[] {
  const carried = (thing: string, how = 'the same on the new table'): Fate => ({ thing, fate: 'carried', how })
  return [
    {
      thing: `${table.columns.length} columns with defaults, comments and statistics targets`,
      fate: 'carried',
      how: 'by LIKE',
    },
    {
      thing: `owner ${table.owner} and ${table.grants.length} grants`,
      fate: 'carried',
      how: partitioned
        ? 'the same on the new parent; new partitions can be reached through it only'
        : 'the same on the new table',
    },
    ...table.indexes.map((index) => indexFate(index, primaryKey, history)),
    ...table.constraints
      .filter(({ type }) => type === 'check' || type === 'foreign key')
      .map(({ type, name }) => carried(`${type} ${name}`)),
    ...table.inboundForeignKeys.map((key): Fate => ({
      thing: `foreign key ${display(key.table)}.${key.name}`,
      fate: 'rebuilt',
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
      .map(({ name }) => carried(`publication ${name}`, 'the new table takes the place of the former')),
    ...table.views.map(({ name }): Fate => ({
      thing: `view ${display(name)}`,
      fate: 'rebuilt',
      how: 'create or replace: same identity, grants and views on top',
    })),
    ...table.functions.map(({ signature }): Fate => ({
      thing: `function ${signature}`,
      fate: 'rebuilt',
      how: 'create or replace: its body is bound to the table',
    })),
    ...(history === null ? [] : staysBehind(table, history)),
  ]
}

/** What a partitioned table cannot have. */
function staysBehind(table: TableModel, history: TableName): Fate[] {
  const clustered = table.indexes.filter((index) => index.clustered)
  return [
    ...(table.options.length === 0
      ? []
      : [
          {
            thing: `storage parameters ${table.options.join(', ')}`,
            fate: 'kept' as const,
            how: `on ${display(history)} and on every new partition; a partitioned table has none`,
          },
        ]),
    ...clustered.map(({ name }): Fate => ({
      thing: `cluster mark on ${name}`,
      fate: 'kept',
      how: `on ${display(history)} only; a partitioned table cannot have one`,
    })),
  ]
}

function indexFate({ name, constraint }: Index, primaryKey: NewPrimaryKey | null, history: TableName | null): Fate {
  if (name === primaryKey?.constraint)
    return { thing: `primary key ${name}`, fate: 'changed', how: primaryKey.definition }
  const thing = constraint === null ? `index ${name}` : `constraint ${name}`
  return history === null
    ? { thing, fate: 'rebuilt', how: 'built anew once the rows are there' }
    : { thing, fate: 'carried', how: 'the existing index is adopted, none is built' }
}
