import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { Span } from '../../grid/gaps.ts'
import type { Position } from '../../grid/key.ts'
import { toText } from '../../grid/key.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { SetPolicy } from '../language/policy.ts'

// The CHECK by which a partition that is attached proves its bounds, so that
// nothing is read under the lock.

const BOUND = 'ebb_bound'

/** Lies within the bounds, null being none; of the column's own type, or PostgreSQL would not take it as proof. */
export function rangeCondition(
  { column, kind }: Pick<SetPolicy, 'column' | 'kind'>,
  { from, to }: { readonly from: Position | null; readonly to: Position | null },
  table: TableModel,
): Sql {
  const type = raw(table.columns.find(({ name }) => name === column)?.type ?? '')
  const side = (operator: string, position: Position | null) =>
    position === null ? [] : [sql`${ident(column)} ${raw(operator)} ${literal(toText(kind, position))}::${type}`]
  return join([...side('>=', from), ...side('<', to)], ' and ')
}

/** The ranges of the other partitions, by each of which a DEFAULT one is bounded; adjacent ones as one. */
export function rangesBeside(set: PartitionedTable, partition: Pick<Partition, 'oid'>): Span[] {
  const spans = set.partitions.flatMap(({ oid, range }) =>
    oid === partition.oid || range === null ? [] : [{ from: range.from, to: range.to }],
  )
  return merged(spans)
}

/** In order, none touching the next. */
export function merged(spans: readonly Span[]): Span[] {
  return spans.reduce<Span[]>((all, span) => {
    const last = all.at(-1)
    if (last === undefined || last.to !== span.from || last.to === null) return [...all, span]
    return [...all.slice(0, -1), { from: last.from, to: span.to }]
  }, [])
}

/** Lies in none of the ranges, or has no key: what a DEFAULT partition beside them takes. */
export function besideCondition(
  policy: Pick<SetPolicy, 'column' | 'kind'>,
  ranges: readonly Span[],
  table: TableModel,
): Sql {
  const others = ranges.map((range) => sql`(${rangeCondition(policy, range, table)})`)
  const column = ident(policy.column)
  return others.length === 0 ? sql`true` : sql`(${column} is null or not (${join(others, ' or ')}))`
}

export function addBound(table: TableName, condition: Sql): string {
  return sql`alter table ${quoted(table)} add constraint ${ident(BOUND)} check (${condition})`.text
}

export function dropBound(table: TableName): string {
  return sql`alter table ${quoted(table)} drop constraint ${ident(BOUND)}`.text
}
