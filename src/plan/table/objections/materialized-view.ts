import type { TableModel } from '../../../catalog/table/table-model.ts'
import { companion, display, quoted, type TableName } from '../../../sql/names.ts'
import { dollarQuoted, ident, literal, sql } from '../../../sql/sql.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/**
 * A materialized view cannot be replaced as a view can, and on the retired table it would be refreshed, without an error,
 * from rows that no longer change. On a view of the same query it follows the table; its readers notice nothing of that.
 */
export function materializedViewObjections({ name: table, otherDependents }: TableModel): Objection[] {
  return otherDependents.flatMap(({ materializedView: name, because }) =>
    name == null || because !== 'mentions the table'
      ? []
      : [
          objection(
            `materialized-view:${display(name)}`,
            `materialized view ${display(name)} is bound to ${display(table)}, and would be refreshed from the retired table without an error`,
            `Let it read a view, which follows the table from then on: ${onView(name).join(' ')} Give the new one the indexes and grants that ${display(name)} has, and before that is dropped, let views on it read the new one (create or replace view).`,
          ),
        ],
  )
}

/** The statements by which a materialized view is replaced by one on a view, with its readers served all along. */
function onView(name: TableName): string[] {
  const other = (suffix: string): TableName => ({ ...name, name: companion(name.name, suffix) })
  const [source, made, former] = [other('_source'), other('_new'), other('_former')]
  const body = sql`begin execute ${literal(`create view ${quoted(source).text} as `)} || pg_catalog.pg_get_viewdef(${literal(quoted(name).text)}::pg_catalog.regclass); end`
  return [
    sql`do ${dollarQuoted(body.text)};`.text,
    sql`create materialized view ${quoted(made)} as select * from ${quoted(source)};`.text,
    'begin;',
    sql`alter materialized view ${quoted(name)} rename to ${ident(former.name)};`.text,
    sql`alter materialized view ${quoted(made)} rename to ${ident(name.name)};`.text,
    'commit;',
    sql`drop materialized view ${quoted(former)};`.text,
  ]
}
