import { isTimeType } from '../../../catalog/table/calendar-kind.ts'
import type { Column, TableModel } from '../../../catalog/table/table-model.ts'
import { displayPosition, isTimeKind, toText, type Position } from '../../../grid/key.ts'
import { display, quoted } from '../../../sql/names.ts'
import { ident } from '../../../sql/sql.ts'
import type { KeyChoice } from '../../partition/key-choice.ts'
import { objection } from '../../language/objection.ts'
import type { PartitionRequest } from '../../language/policy.ts'
import type { Objection } from '../../language/step.ts'

/** The column asked for, or why it cannot be the key. */
export function keyColumn(table: TableModel, name: string): Column | Objection {
  const column = table.columns.find((candidate) => candidate.name === name)
  const place = quoted(table.name).text
  const quotedName = ident(name).text
  if (column === undefined)
    return objection(
      'no-column',
      `${display(table.name)} has no column ${JSON.stringify(name)}`,
      `Its columns are ${table.columns.map((other) => other.name).join(', ')}.`,
    )
  if (column.generated)
    return objection(
      'key-generated',
      `column ${name} is generated, and PostgreSQL does not partition by generated columns`,
      'Choose the column it is made from.',
    )
  if (!column.notNull) {
    const alter = `alter table ${place}`
    const unproven = table.constraints.find(
      ({ type, columns, validated }) => type === 'not null' && !validated && columns.includes(name),
    )
    if (unproven !== undefined)
      return objection(
        'key-nullable',
        `column ${name} is not null by constraint ${unproven.name}, which is NOT VALID: rows from before may hold null, and a row without a key has no partition`,
        `Validate it, which does not block reads or writes: ${alter} validate constraint ${ident(unproven.name).text};`,
      )
    return objection(
      'key-nullable',
      `column ${name} may be null, and a row without a key has no partition`,
      `Forbid nulls without blocking reads or writes: ${alter} add constraint key_not_null check (${quotedName} is not null) not valid; ` +
        `${alter} validate constraint key_not_null; ${alter} alter ${quotedName} set not null; ${alter} drop constraint key_not_null;`,
    )
  }
  return column
}

/** What is wrong with the column by which rows of a table partitioned by id expire. */
export function expiryObjections(table: TableModel, request: PartitionRequest): Objection[] {
  const { expireBy } = request
  if (expireBy === null) {
    if (request.every.kind !== 'ids' || request.keep === null) return []
    return [
      objection(
        'expire-by',
        'rows partitioned by id have no age by themselves',
        'Name the time column by which they expire: --expire-by created_at.',
      ),
    ]
  }
  const column = table.columns.find(({ name }) => name === expireBy)
  if (column === undefined)
    return [
      objection(
        'no-column',
        `${display(table.name)} has no column ${JSON.stringify(expireBy)}`,
        `Its columns are ${table.columns.map(({ name }) => name).join(', ')}.`,
      ),
    ]
  if (isTimeType(column.type)) return []
  return [
    objection(
      'expire-by-type',
      `column ${expireBy} is of type ${column.type}, which is no time`,
      'Name a timestamptz, timestamp or date column with --expire-by.',
    ),
  ]
}

/** Unique indexes that do not contain the key cannot be unique across partitions; the primary key is another matter. */
export function uniquenessObjections(table: TableModel, key: string): Objection[] {
  return table.indexes
    .filter((index) => index.unique && !index.primary && !index.columns.includes(key))
    .map((index) =>
      objection(
        `unique:${index.name}`,
        `unique ${index.constraint === null ? 'index' : 'constraint'} ${index.name} (${index.columns.map((column) => column ?? '…').join(', ')}) does not contain ${key}, so PostgreSQL cannot keep it unique across partitions`,
        `Partition by a column it contains, replace it by one that contains ${key}, or drop it if uniqueness is not needed.`,
      ),
    )
}

/** Indexes that PostgreSQL would not take for the parent's when the table is attached; EXCLUDE is refused by itself. */
export function adoptionObjections(table: TableModel): Objection[] {
  return table.indexes
    .filter((index) => index.unique && index.excludes === true)
    .map((index) =>
      objection(
        `temporal:${index.name}`,
        `constraint ${index.name} has WITHOUT OVERLAPS: when the table is attached, PostgreSQL does not take its index for part of the new one, but builds another under lock, or refuses a second primary key`,
        'Pass --method copy: new partitions get theirs while they are empty.',
      ),
    )
}

/** What the primary key stands for that would break when the key joins it. */
export function primaryKeyObjections(
  table: TableModel,
  key: string,
  idColumn: string | null,
  keyDependents: readonly { readonly description: string }[] = [],
): Objection[] {
  const byId =
    idColumn === null ? '' : ` Or keep the primary key as it is: --by ${idColumn} --every <ids> --expire-by ${key}.`
  return [
    ...keyDependents.map(({ description }) =>
      objection(
        `key-dependent:${description}`,
        `${description} groups by the primary key and has other columns as well, which is invalid once the key contains ${key}`,
        `Let it group by all columns it has, or drop it before and create it again afterwards.${byId}`,
      ),
    ),
    ...table.inboundForeignKeys.map((foreignKey) =>
      objection(
        `inbound:${display(foreignKey.table)}.${foreignKey.name}`,
        `foreign key ${foreignKey.name} of ${display(foreignKey.table)} points at the primary key, which would have to contain ${key}`,
        `Drop it first if it can be done without: alter table ${quoted(foreignKey.table).text} drop constraint ${ident(foreignKey.name).text};${byId}`,
      ),
    ),
  ]
}

/** Application statements that stop working when the primary key gains a column, as pg_stat_statements has seen them. */
export function upsertObjections(statements: readonly string[], key: string, idColumn: string | null): Objection[] {
  if (statements.length === 0) return []
  const byId = idColumn === null ? '' : `, or keep the primary key: --by ${idColumn} --every <ids> --expire-by ${key}`
  return [
    {
      code: 'upsert',
      what: `the application has run ${statements.length} kinds of statement with ON CONFLICT on this table, which fail unless their conflict target contains ${key}: ${statements[0]}`,
      fix: `Change them to name ${key} too${byId}; or go ahead with --accept upsert.`,
      acceptable: true,
    },
  ]
}

/** Rows beyond the cut: so far ahead that the history could not hold them. */
export function rangeObjections(choice: KeyChoice, cut: Position, request: PartitionRequest): Objection[] {
  if (choice.max === null || choice.max < cut || !isTimeKind(choice.kind)) return []
  const shown = displayPosition(choice.kind, choice.max, request.timezone)
  const end = displayPosition(choice.kind, cut, request.timezone)
  return [
    objection(
      'key-in-future',
      `the newest ${choice.column} is ${shown}, further ahead than the runway is to be: what is there now has to lie before ${end}`,
      `Correct them (select … where ${ident(choice.column).text} >= '${toText(choice.kind, cut)}'), or make the runway longer with --premake.`,
    ),
  ]
}

/** An integer column ends where its type ends. */
export function widthObjections(choice: KeyChoice, last: Position): Objection[] {
  if (choice.type !== 'integer' && choice.type !== 'bigint') return []
  const largest = choice.type === 'integer' ? 2_147_483_647n : 9_223_372_036_854_775_807n
  const reached = BigInt(toText(choice.kind, last))
  if (reached <= largest) return []
  return [
    objection(
      'ids-run-out',
      `the runway would reach ${reached}, beyond what ${choice.type} can hold`,
      'Choose a smaller --every or --premake, or widen the column first.',
    ),
  ]
}
