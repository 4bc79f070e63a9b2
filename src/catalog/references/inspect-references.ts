import type { ClientBase } from 'pg'
import type { TableName } from '../../sql/names.ts'
import type { RelationKind } from '../table/table-model.ts'
import { IS_KEY_ONTO, OID, readForeignKeys } from './foreign-key.ts'

/** A foreign key of another table onto this one, as deleting a row here sees it. */
export interface Reference {
  readonly name: string
  readonly table: TableName
  readonly tableKind: RelationKind
  readonly columns: readonly string[]
  /** An index begins with these columns; without one, each row deleted here reads that table from end to end. */
  readonly indexed: boolean
  readonly estimatedRows: number | null
}

/** The foreign keys that point at a table. */
export async function readReferences(client: ClientBase, table: TableName): Promise<readonly Reference[]> {
  return readForeignKeys<Reference>(
    client,
    ['name', 'table', 'tableKind', 'columns', 'indexed', 'estimatedRows'],
    IS_KEY_ONTO(OID(table)),
  )
}
