import type { TableModel } from '../../catalog/table/table-model.ts'
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

export function addBound(table: TableName, condition: Sql): string {
  return sql`alter table ${quoted(table)} add constraint ${ident(BOUND)} check (${condition})`.text
}

export function dropBound(table: TableName): string {
  return sql`alter table ${quoted(table)} drop constraint ${ident(BOUND)}`.text
}
