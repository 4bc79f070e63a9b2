import { readTypesOfColumns, type UserType } from '../../catalog/table/user-types.ts'
import { readTable } from '../../catalog/table/read-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { type ArchivedTable } from '../../plan/archive/receipt.ts'
import { endOfKey, endsOfKey, from, fromKeys, type Relation, type RowsToArchive } from '../../plan/archive/rows.ts'
import { shapeOf, type Shape } from '../../plan/archive/shape.ts'
import { display, type TableName } from '../../sql/names.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'

// What there is to know of a relation whose rows are archived, in the snapshot of the archive.

/** A relation, its shape, the columns of its primary key, and the size of its partitions. */
export interface ReadRelation {
  readonly relation: Relation
  readonly shape: Shape
  readonly key: readonly string[] | null
  readonly bytes: number
}

/** @throws {EbbError} if another relation has the name by now */
export async function readRelation({ session, server }: TableContext, rows: RowsToArchive): Promise<ReadRelation> {
  const { table, oid } = rows
  const model = await readTable(session, table, server.version)
  if (model?.oid !== oid || (model.kind !== 'table' && model.kind !== 'partitioned table'))
    throw new EbbError(`${display(table)} has changed since the plan was made: it is another relation, or gone`, {
      state: 'Nothing has been archived, and nothing removed.',
      next: 'Find out which other session works on it, and run the command again.',
    })
  const { numbers, bytes } = await readOne<{ numbers: number[]; bytes: number }>(
    session,
    sql`
    select array(select attnum from pg_attribute where attrelid = ${oid}::oid and attnum > 0 and not attisdropped order by attnum) as numbers,
      (select coalesce(sum(pg_table_size(l)), 0)::float8 from unnest(${raw(LEAVES)}) l) as bytes
    from pg_class c where c.oid = ${oid}::oid`,
  )
  const relation = { table, kind: model.kind }
  const shape = withTypes(
    shapeOf({ ...model, name: archivedAs(rows) }, numbers),
    await readTypesOfColumns(session, oid),
  )
  return { relation, shape, key: keyOf(model), bytes }
}

function withTypes({ columns, ...shape }: Shape, all: readonly (UserType & { readonly column: string })[]): Shape {
  const typed = columns.map((column) => {
    const own = all.filter((type) => type.column === column.name)
    const types = own.map(({ name, kind, parts }) => ({ name, kind, parts }))
    return types.length === 0 ? column : { ...column, types }
  })
  return { ...shape, columns: typed }
}

// The tree of a plain table is empty.
const LEAVES = `case when c.relkind = 'p' then array(select relid::oid from pg_partition_tree(c.oid) where isleaf) else array[c.oid] end`

function keyOf({ constraints }: TableModel): readonly string[] | null {
  return constraints.find(({ type }) => type === 'primary key')?.columns ?? null
}

/** The first and the last key of the rows; null where that would take long, or there is none. */
export async function readRange(
  { session }: TableContext,
  relation: Relation,
  { chosen, keys }: RowsToArchive,
  { columns, key, cheap }: Pick<Shape, 'columns'> & Pick<ReadRelation, 'key'> & { readonly cheap: boolean },
): Promise<ArchivedTable['key']> {
  if (keys !== undefined) {
    const [name = '', ...others] = keys.columns
    const type = columns.find((column) => column.name === name)?.type ?? ''
    const source = fromKeys(keys)
    return others.length === 0 && WITH_ENDS.includes(type)
      ? bothEnds(session, source, name)
      : rangeOf(session, source, keys.columns)
  }
  return key === null || (chosen !== null && !cheap) ? null : rangeOf(session, from(relation, chosen), key)
}

/** Types that keys mostly have: no index leads to the ends of the archived ones, so both are looked for at once. */
const WITH_ENDS = ['smallint', 'integer', 'bigint', 'date', 'timestamp without time zone', 'timestamp with time zone']

async function bothEnds(session: Session, rows: Sql, name: string): Promise<ArchivedTable['key']> {
  const [ends] = await readAll<{ first: string[]; last: string[] }>(session, endsOfKey(rows, name))
  return ends === undefined ? null : { columns: [name], ...ends }
}

async function rangeOf(session: Session, rows: Sql, columns: readonly string[]): Promise<ArchivedTable['key']> {
  const [first] = await readAll<{ key: string[] }>(session, endOfKey(rows, columns, 'first'))
  const [last] = await readAll<{ key: string[] }>(session, endOfKey(rows, columns, 'last'))
  return first === undefined || last === undefined ? null : { columns, first: first.key, last: last.key }
}

/** What it is called in the receipt. */
export function archivedAs({ table, as = table }: RowsToArchive): TableName {
  return as
}
