import type pg from 'pg'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql, type Sql } from '../../src/sql/sql.ts'
import type { Database } from './test-database.ts'

/** What others cannot do on a table for as long as a statement's locks are held. */
export type Blocked = 'nothing' | 'writes' | 'reads and writes'

const PATIENCE = '200ms'

/**
 * Holds the statements open in a transaction of one session and finds out what another
 * can still do on the table; rolls back. Statements come as one or more texts or `Sql`s,
 * of the kind that a transaction can hold.
 */
export async function blockedBy(
  database: Database,
  table: TableName,
  statements: string | Sql | readonly (string | Sql)[],
): Promise<Blocked> {
  const holder = await database.session('holder')
  const visitor = await database.session('visitor')
  await visitor.query(`set lock_timeout = '${PATIENCE}'`)
  try {
    await holder.query('begin')
    for (const statement of [statements].flat()) await holder.query(statement)
    return await whatIsBlocked(visitor, table)
  } finally {
    await holder.end()
    await visitor.end()
  }
}

// Statements that touch no row take the same table locks as those that do: inserting locks
// the table it names, reading and deleting lock its partitions too. A plain `where false`
// would let the planner forget the partitions; what the clock says it cannot know.
async function whatIsBlocked(visitor: pg.Client, table: TableName): Promise<Blocked> {
  const name = quoted(table)
  if (!(await passes(visitor, sql`select from ${name} limit 0`))) return 'reads and writes'
  const inserts = await passes(visitor, sql`insert into ${name} select where false`)
  const deletes = await passes(visitor, sql`delete from ${name} where now() = 'infinity'`)
  return inserts && deletes ? 'nothing' : 'writes'
}

async function passes(client: pg.Client, statement: Sql): Promise<boolean> {
  try {
    await client.query(statement)
    return true
  } catch (error) {
    if ((error as pg.DatabaseError).code === '55P03') return false // lock_not_available
    throw error
  }
}
