import type { NotReadBack } from '../../catalog/table/not-read-back.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { showBytes } from '../../text/units.ts'
import { objection, when } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'
import { conditionObjections } from '../table/objections/condition.ts'
import { serverObjections } from '../table/objections/server.ts'
import { MOST_ROW_BYTES } from './parquet/statements.ts'
import type { ArchiveRequest } from './request.ts'
import type { ArchiveOrder, ArchiveSituation } from './situation.ts'

/** Why rows of a table cannot be archived: none may be missing, and all must be readable again. */
export function archiveObjections(situation: ArchiveSituation, { to }: ArchiveOrder): Objection[] {
  const { server, journalSchema, table, condition } = situation
  const fundamental = [...serverObjections(server, journalSchema), ...kindObjections(table)]
  if (fundamental.length > 0) return fundamental
  return [
    ...conditionObjections(condition),
    ...(situation.stored?.columnar ?? []).map(columnarObjection),
    ...rightsObjections(situation),
    ...rowObjections(situation),
    ...formatObjections(situation, to),
  ]
}

/** A file of Parquet has columns. A table without any can be archived all the same, for it may have rows. */
function formatObjections({ table, tooWide }: ArchiveSituation, { format }: ArchiveRequest): Objection[] {
  if (format !== 'parquet') return []
  const name = display(table.name)
  return [
    ...when(table.columns.length === 0, () =>
      objection('parquet-no-columns', `${name} has no columns, and a file of Parquet cannot hold its rows`, AS_CSV),
    ),
    ...when(tooWide, () => tooWideForParquet(table.name)),
  ]
}

export function tooWideForParquet(table: TableName): Objection {
  return objection(
    'parquet-wide-row',
    `a row of ${display(table)} has more than ${showBytes(MOST_ROW_BYTES)} as CSV, which is too wide for Parquet`,
    AS_CSV,
  )
}

const AS_CSV = 'Archive it as CSV: --archive-format csv.'

/** Only tables have rows of their own. */
function kindObjections({ name, kind, persistence }: TableModel): Objection[] {
  if (kind === 'view' || kind === 'materialized view')
    return [objection('view', `${display(name)} is a ${kind}`, 'Name the underlying table.')]
  if (kind !== 'table' && kind !== 'partitioned table')
    return [objection('no-table', `${display(name)} is not a table (${kind})`, 'Name a table.')]
  return when(persistence === 'temporary', () =>
    objection('temporary', `${display(name)} is a temporary table of another session`, 'Name a permanent table.'),
  )
}

/** Rows have no versions there, which could tell that nobody has written. */
function columnarObjection(name: TableName): Objection {
  return objection(
    `citus-columnar:${display(name)}`,
    `${display(name)} is columnar, and Citus stores it: whether rows were added while they are read cannot be told`,
    `Archive the other partitions by their names. To archive it, too, when nobody uses the table: select alter_table_set_access_method('${quoted(name).text}', 'heap');`,
  )
}

function rightsObjections({ server, table, itself }: ArchiveSituation): Objection[] {
  const name = display(table.name)
  const place = quoted(table.name).text
  return [
    ...when(itself.missingPrivileges.includes('select'), () =>
      objection(
        `privilege:${name}`,
        `${server.role} lacks select on ${name}`,
        `As its owner: grant select on ${place} to ${ident(server.role).text};`,
      ),
    ),
    ...when(itself.rowsHidden, () =>
      objection(
        `row-security:${name}`,
        `row-level security hides rows of ${name} from ${server.role}, so not all of them could be archived`,
        `Connect as a role with BYPASSRLS, or, if it is forced on the owner, lift that for the time being: alter table ${place} no force row level security;`,
      ),
    ),
  ]
}

function rowObjections({ table, foreign, notReadBack }: ArchiveSituation): Objection[] {
  const name = display(table.name)
  return [
    ...when(table.kind === 'table' && table.inheritedBy.length > 0, () =>
      objection(
        'inherited',
        `${name} has inheritance children: ${table.inheritedBy.join(', ')}`,
        'Archive each of them by itself, and take them out first: alter table <child> no inherit …;',
      ),
    ),
    ...foreign.map((one) =>
      objection(
        `foreign:${display(one)}`,
        `${display(one)} is a foreign table: its rows are in no snapshot of this server`,
        'Archive the other partitions one by one, and this one in the database that holds it.',
      ),
    ),
    ...notRestorable(table, notReadBack),
  ]
}

/** That values are written as text which PostgreSQL does not read again. */
export function notRestorable(table: Pick<TableModel, 'name'>, columns: readonly NotReadBack[]): Objection[] {
  return columns.map(({ column, type }) =>
    objection(
      `not-restorable:${column}`,
      `column ${column} has values of type ${type}, which PostgreSQL writes as text and does not read again`,
      `Convert it first: alter table ${place(table)} alter column ${ident(column).text} type text;`,
    ),
  )
}

function place({ name }: Pick<TableModel, 'name'>): string {
  return quoted(name).text
}
