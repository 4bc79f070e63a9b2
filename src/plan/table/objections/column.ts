import type { TableModel } from '../../../catalog/table/table-model.ts'
import { display, quoted } from '../../../sql/names.ts'
import { ident } from '../../../sql/sql.ts'
import { objection, type Objection } from '../../language/objection.ts'

/** What stands beside columns of keys, in logs and batches, has names that begin so. */
const OURS = 'ebb_'

export function reservedColumnObjections(table: TableModel): Objection[] {
  const keys = new Set(table.indexes.flatMap(({ columns }) => columns.flatMap((column) => column ?? [])))
  return [...keys]
    .filter((name) => name.startsWith(OURS))
    .map((name) =>
      objection(
        `reserved-column:${name}`,
        `column ${name} of ${display(table.name)} could not be told from Ebb’s own columns, whose names begin with ${OURS}`,
        `Rename it: alter table ${quoted(table.name).text} rename column ${ident(name).text} to …;`,
      ),
    )
}
