import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { Column, TableModel } from '../../catalog/table/table-model.ts'
import { companion, display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { showBytes } from '../../text/units.ts'
import { exclusive } from '../language/locks.ts'
import type { MoveStep, ShortLockStep } from '../language/step.ts'
import { dropForeignKeys } from '../table/definitions.ts'
import { dropGuard, guardStep } from './archiving.ts'
import { boundsCondition, locksToAttach } from './reattach.ts'

// Moves a partition to another server: its rows are copied into a table there while it stays in use, both are compared,
// and then a foreign table takes its place. The partition is attached all the time, so that no query ever misses a row; a
// trigger notices what is written to it, and then it is copied again.

/** Watching a partition, copying it, and putting a foreign table in its place. */
export interface Moving {
  readonly guard: ShortLockStep
  readonly copy: MoveStep
  readonly exchange: ShortLockStep
}

/** @param server a foreign server of postgres_fdw, by its name here */
export function movingOf(
  set: PartitionedTable,
  partition: Partition,
  server: string,
  because: string,
  journalSchema: string,
): Moving {
  const guard = guardStep(partition, journalSchema)
  return {
    guard: { ...guard, because: 'what is written to it while it is copied has to be copied as well' },
    copy: copyStep(partition, server, because),
    exchange: exchangeStep(set, partition, server),
  }
}

function copyStep(partition: Partition, server: string, because: string): MoveStep {
  const { name, bytes } = partition
  return {
    kind: 'move',
    key: `copy:${display(name)}`,
    title: `copy ${display(name)} to ${server}, and compare`,
    because,
    locks: [{ table: name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }],
    cost: `reads ${showBytes(bytes)} twice, and what was written there once`,
    statements: [],
    server,
  }
}

/**
 * All in one transaction, so that each query finds the rows in one place. What is dropped has been compared, and under
 * this lock nobody has written to it since.
 */
function exchangeStep(set: PartitionedTable, partition: Partition, server: string): ShortLockStep {
  const { name, boundsText, foreignKeys } = partition
  const [parent, place] = [quoted(set.name), quoted(name)]
  const { acquire, locks, workTimeoutMs } = locksToAttach(set, name)
  return {
    kind: 'short lock',
    key: `exchange:${display(name)}`,
    title: `replace ${display(name)} by a foreign table on ${server}`,
    because: 'its rows are there, and are the same',
    locks: [
      exclusive(set.name),
      ...locks.filter(({ table }) => display(table) !== display(set.name)),
      ...foreignKeys.map(({ references }) => exclusive(references)),
    ],
    cost: 'milliseconds: no row is read, and the other server is not asked; its files are deleted after the commit',
    quiet: name,
    acquire: [sql`lock table only ${parent} in access exclusive mode`.text, ...acquire],
    ...(workTimeoutMs === undefined ? {} : { workTimeoutMs }),
    statements: [
      sql`alter table ${parent} detach partition ${place}`.text,
      ...dropForeignKeys(name, foreignKeys),
      sql`drop table ${place}`.text,
      sql`create foreign table ${place} partition of ${parent} ${raw(boundsText)} ${onServer(server, name)}`.text,
      sql`alter foreign table ${place} owner to ${ident(set.owner)}`.text,
    ],
  }
}

/** Without `truncatable`, a truncate of the partitioned table would empty what was moved, too. */
function onServer(server: string, { schema, name }: TableName): Sql {
  return sql`server ${ident(server)} options (schema_name ${literal(schema)}, table_name ${literal(name)}, truncatable 'false')`
}

/** Notices writes no longer: a partition that was to be moved, and stays. */
export function unguardStep(name: TableName): ShortLockStep {
  return {
    kind: 'short lock',
    key: `unguard:${display(name)}`,
    title: `watch ${display(name)} for writes no longer`,
    because: 'it was to be moved, and no longer is',
    locks: [exclusive(name)],
    cost: 'milliseconds',
    quiet: name,
    acquire: [sql`lock table ${quoted(name)} in access exclusive mode`.text],
    statements: [dropGuard(name)],
  }
}

// ---- on the other server ----------------------------------------------------------------

/** A table for the rows of a partition, without keys and indexes. The bounds are a CHECK: what is outside would not be found. */
export function tableThere(set: PartitionedTable, leaf: TableModel, boundsText: string): string {
  const bounds = sql`constraint ebb_bounds check (${raw(boundsCondition(set, boundsText))})`
  return sql`create table ${quoted(leaf.name)} (${join([...leaf.columns.map(columnThere), bounds])})`.text
}

function columnThere({ name, type, collation, notNull, generated, default: value }: Column): Sql {
  const computed = generated && value !== null ? sql` generated always as (${raw(value)}) stored` : raw('')
  return sql`${columnHere({ name, type, collation })}${computed}${raw(notNull ? ' not null' : '')}`
}

function columnHere({ name, type, collation }: Pick<Column, 'name' | 'type' | 'collation'>): Sql {
  return sql`${ident(name)} ${raw(type)}${raw(collation === null ? '' : ` collate ${collation}`)}`
}

/** Keys, checks and indexes as PostgreSQL prints them: the table has the same name there. In the order in which they are made. */
export function partsThere({ name, constraints, indexes }: TableModel): string[] {
  const own = constraints.filter(({ type }) => ['primary key', 'unique', 'exclusion', 'check'].includes(type))
  return [
    ...own.map((one) => sql`alter table ${quoted(name)} add constraint ${ident(one.name)} ${raw(one.definition)}`.text),
    ...indexes.filter(({ constraint, valid }) => constraint === null && valid).map(({ definition }) => definition),
    sql`analyze ${quoted(name)}`.text,
  ]
}

/** What COPY sends, and takes there: values as text, for types made by users have other numbers there. */
export function copyOf({ name, columns }: TableModel): { readonly out: string; readonly into: string } {
  const sent = join(columns.filter(({ generated }) => !generated).map((one) => ident(one.name)))
  return {
    out: sql`copy (select ${sent} from only ${quoted(name)}) to stdout`.text,
    into: sql`copy ${quoted(name)} (${sent}) from stdin (freeze)`.text,
  }
}

/**
 * A foreign table like the one that takes the place of the partition, and a statement that compares both: `here` and
 * `there` are numbers of rows, `different` that of rows without an equal one. Row by row, by SHA-256 of all values as
 * text, read the way that queries will read them.
 */
export function comparisonOf({ name, columns }: TableModel, server: string) {
  const seen = { ...name, name: companion(name.name, '_ebb_moving') }
  const image = sql`sha256(convert_to(row(${join(columns.map((one) => ident(one.name)))})::text, 'UTF8'))`
  return {
    foreignTable: sql`create foreign table ${quoted(seen)} (${join(columns.map(columnHere))}) ${onServer(server, name)}`
      .text,
    compare: sql`
      select coalesce(sum(here), 0)::text as here, coalesce(sum(there), 0)::text as there, coalesce(sum(abs(here - there)), 0)::text as different
      from (select count(*) filter (where is_here) as here, count(*) filter (where not is_here) as there
        from (select ${image} as image, true as is_here from only ${quoted(name)}
          union all select ${image}, false from ${quoted(seen)}) both_sides group by image) images`.text,
  }
}
