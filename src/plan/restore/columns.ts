import type { Column, TableModel } from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import type { ArchivedColumn, ArchivedTable } from '../archive/receipt.ts'
import { shellWord } from '../../text/shell-word.ts'
import { objection } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'

// Which archived column goes into which column of a table that may have changed since.

/** A table that takes restored rows. */
export interface RestoreTarget extends Pick<
  TableModel,
  'oid' | 'name' | 'kind' | 'persistence' | 'partitionOf' | 'constraints' | 'indexes' | 'triggers'
> {
  readonly columns: readonly RestoredColumn[]
}

type RestoredColumn = Pick<Column, 'name' | 'type' | 'notNull' | 'default' | 'generated' | 'identity'>

export interface ColumnMapping {
  readonly pairs: readonly ColumnPair[]
  /** Archived columns that the table does not have any more. */
  readonly dropped: readonly ArchivedColumn[]
  /** Columns that the table did not have: they get their default. */
  readonly added: readonly RestoredColumn[]
}

export interface ColumnPair {
  readonly from: ArchivedColumn
  readonly to: RestoredColumn
}

/**
 * By name; and a column that is still the same one of the same table (a rename keeps its number), by that. Generated
 * columns are computed again, unless the table has an ordinary one of the name: that takes the archived values.
 */
export function mapColumns(archived: ArchivedTable, table: RestoreTarget, numbers: ColumnNumbers): ColumnMapping {
  const open = table.columns.filter(({ generated }) => !generated)
  const stored = archived.columns.filter(({ name, generated }) => !generated || open.some((to) => to.name === name))
  const sameName = (from: ArchivedColumn) => open.find(({ name }) => name === from.name)
  const isNew = (to: RestoredColumn) => !stored.some(({ name }) => name === to.name)
  const renamed = (from: ArchivedColumn) =>
    archived.oid === table.oid ? open.find((to) => isNew(to) && numbers[to.name] === from.number) : undefined
  const found = stored.map((from) => ({ from, to: sameName(from) ?? renamed(from) }))
  const pairs = found.flatMap(({ from, to }) => (to === undefined ? [] : [{ from, to }]))
  return {
    pairs,
    dropped: found.flatMap(({ from, to }) => (to === undefined ? [from] : [])),
    added: open.filter((column) => !pairs.some(({ to }) => to === column)),
  }
}

/** `attnum` by column. */
export type ColumnNumbers = Readonly<Record<string, number>>

/** What has changed, for the plan. */
export function describeMapping({ pairs, added }: ColumnMapping): string[] {
  return [
    ...pairs
      .filter(({ from, to }) => from.name !== to.name)
      .map(({ from, to }) => `${from.name} was renamed: its values go into ${to.name}`),
    ...added.map(({ name, default: otherwise }) =>
      otherwise === null ? `${name} was added since: it is null` : `${name} was added since: it gets its default`,
    ),
  ]
}

/** Why the columns do not fit. */
export function mappingObjections({ pairs, dropped, added }: ColumnMapping, table: RestoreTarget): Objection[] {
  const name = display(table.name)
  return [
    ...dropped.map((column) =>
      ratherElsewhere(
        `restore-column:${column.name}`,
        `${name} has no column ${column.name} any more`,
        'leave its values out',
      ),
    ),
    ...pairs
      .filter(({ from, to }) => from.type !== to.type)
      .map(({ from, to }) =>
        ratherElsewhere(
          `restore-type:${to.name}`,
          `${to.name} was of type ${from.type} and is of type ${to.type}`,
          `read each value as ${to.type}`,
        ),
      ),
    ...added
      .filter((column) => column.notNull && column.default === null && column.identity === null)
      .map((column) =>
        objection(
          'restore-not-null',
          `${column.name} was added since, is not null and has no default`,
          'Restore into a new table with --into <name>, or give it a default.',
        ),
      ),
  ]
}

function ratherElsewhere(code: string, what: string, accepted: string): Objection {
  const fix = `Restore into a new table with --into <table>; or ${accepted}: --accept ${shellWord(code)}`
  return { ...objection(code, what, fix), acceptable: true }
}
