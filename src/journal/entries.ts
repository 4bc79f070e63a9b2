import type { ClientBase } from 'pg'
import { readOne } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { mayHold } from './holds.ts'
import { at } from './journal.ts'

/** Of which kinds the journal has entries that may concern a table; for most tables of none. */
export interface Entries {
  readonly runs: boolean
  readonly holds: boolean
  readonly retirements: boolean
  readonly closed: boolean
}

/** One question instead of several. */
export async function entriesAbout(session: ClientBase, schema: string, table: TableName): Promise<Entries> {
  const ofTable = sql`schema_name = ${table.schema} and table_name = ${table.name}`
  return readOne<Entries>(
    session,
    sql`
    select exists (select from ${at(schema, 'run')} where ${ofTable}) as runs, ${await mayHold(session, schema)} as holds,
      exists (select from ${at(schema, 'retirement')}) as retirements,
      exists (select from ${at(schema, 'closed_partition')} where ${ofTable}) as closed`,
  )
}
