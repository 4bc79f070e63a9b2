import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { ArchivedColumn, ArchivedTable } from '../archive/receipt.ts'
import { objection } from '../language/objection.ts'
import type { Objection, OnlineStep } from '../language/step.ts'
import type { RestoreTarget } from './columns.ts'
import { planRestore, type RestorePlan } from './restore.ts'
import type { RestoreRequest, RestoreSituation, TableToRestore } from './situation.ts'

// A table for archived rows: their columns with collation and not null, the key, comments. A receipt comes from outside,
// so nothing that could execute something is taken from it: no default, no check, no expression. Its types have been
// checked (`assertTypeName`), its collations are names. What is left out is said, and is in its DDL, for people.

export interface NewTable extends Pick<RestoreSituation, 'server' | 'journalSchema' | 'receipt'> {
  readonly to: Pick<TableToRestore, 'archived' | 'keptBy' | 'predicate' | 'types'>
  readonly into: TableName
  /** Types and collations of its columns that this database does not have. */
  readonly lacking: readonly Lacking[]
}

export interface Lacking {
  readonly column: string
  /** `type mood`, `collation "de"`. */
  readonly what: string
}

/** Plans a restore into a table that does not exist yet. */
export function planNewTable({ into, to, lacking, ...situation }: NewTable, request: RestoreRequest): RestorePlan {
  const condition = { settings: {}, volatile: [], stable: [], timed: false, unheeded: [], computedOtherwise: [] }
  const rights = { insert: true, update: true, createTemporary: true, rowsHidden: false }
  const place = { table: emptyTable(to.archived, into), set: null, beside: null, taken: new Set<string>() }
  const table = { ...to, ...place, numbers: {}, rights, empty: true, condition }
  const plan = planRestore({ ...situation, tables: [table] }, { ...request, onConflict: 'keep' })
  const objections = [...plan.objections, ...lackingObjections(lacking)]
  if (objections.length > 0) return { ...plan, objections, restore: null, evidence: [], steps: [] }
  return {
    ...plan,
    notes: [...plan.notes, ...describeLeftOut(to.archived)],
    steps: [newTableStep(to.archived, into), ...plan.steps],
  }
}

/** Generated columns are ordinary ones in it, with their archived values. */
function emptyTable({ columns }: ArchivedTable, name: TableName): RestoreTarget {
  const plain = columns.map((column) => ({ ...column, generated: false, default: null, identity: null }))
  const bare = { constraints: [], indexes: [], triggers: [] }
  return { oid: '0', name, kind: 'table', persistence: 'permanent', partitionOf: null, columns: plain, ...bare }
}

function lackingObjections(lacking: readonly Lacking[]): Objection[] {
  return lacking.map(({ column, what }) =>
    objection(
      `restore-lacks:${column}`,
      `this database has no ${what}, which ${column} had`,
      'Create it first; or create a table yourself, with other types, and restore into that.',
    ),
  )
}

/** What a table that is to be used like the archived one needs besides. */
function describeLeftOut({ columns, ddl }: ArchivedTable): string[] {
  const [, ...others] = ddl.filter((statement) => !/^comment on /.test(statement) && !isKey(statement))
  const parts = [
    ...columns.flatMap(({ name, generated, default: value }) =>
      value == null || generated ? [] : [`default ${value} of ${name}`],
    ),
    ...columns.flatMap(({ name, identity }) => (identity == null ? [] : [`identity of ${name}`])),
    ...columns.flatMap(({ name, generated }) =>
      generated ? [`generation of ${name}, which is an ordinary column with the archived values`] : [],
    ),
    ...others,
  ]
  if (parts.length === 0) return []
  return [
    'not created, for nothing of a receipt is executed; its ddl has all of it, for you to read and execute:',
    ...parts,
  ]
}

function isKey(statement: string): boolean {
  return / PRIMARY KEY \(/.test(statement) && !statement.includes(' WITHOUT OVERLAPS)')
}

export function newTableStep(archived: ArchivedTable, name: TableName): OnlineStep {
  return {
    kind: 'online',
    key: 'create',
    title: `create ${display(name)}`,
    because: `a table with the columns and the key that ${display(archived)} had`,
    locks: [],
    cost: 'milliseconds',
    statements: [newTable(archived, name).text, ...comments(archived, name)],
  }
}

function newTable({ columns, key, primaryKey }: ArchivedTable, name: TableName): Sql {
  const keyed = primaryKey ?? key?.columns ?? []
  const primary = keyed.length === 0 ? [] : [sql`primary key (${join(keyed.map((one) => ident(one)))})`]
  return sql`create table ${quoted(name)} (${join([...columns.map(column), ...primary])})`
}

function column({ name, type, collation, notNull }: ArchivedColumn): Sql {
  const collate = collation == null ? raw('') : sql` collate ${quoted(collation)}`
  return sql`${ident(name)} ${raw(type)}${collate}${raw(notNull ? ' not null' : '')}`
}

function comments({ columns, comment }: ArchivedTable, name: TableName): string[] {
  return [
    ...(comment == null ? [] : [sql`comment on table ${quoted(name)} is ${literal(comment)}`.text]),
    ...columns.flatMap((one) =>
      one.comment == null
        ? []
        : [sql`comment on column ${quoted(name)}.${ident(one.name)} is ${literal(one.comment)}`.text],
    ),
  ]
}
