import { display, type TableName } from '../../../sql/names.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** That an extension decides where the rows of a table are, so what the catalogue and sizes of files say means nothing. */
export function unknownNodeObjections(table: TableName, nodes: readonly string[]): Objection[] {
  if (nodes.length === 0) return []
  return [
    objection(
      'unknown-plan',
      `PostgreSQL reaches the rows of ${display(table)} by ${nodes.join(', ')}, which Ebb does not know, so it cannot tell in which tables they are`,
      'Leave their retention to the extension that stores them (TimescaleDB: drop_chunks), or delete them with SQL.',
    ),
  ]
}
