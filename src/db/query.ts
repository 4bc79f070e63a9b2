import { createHash } from 'node:crypto'
import type { ClientBase, QueryResultRow } from 'pg'
import type { Sql } from '../sql/sql.ts'

/** The only row of a query that always has one. */
export async function readOne<Row extends object>(session: ClientBase, query: Statement): Promise<Row> {
  const [row] = await readAll<Row>(session, query)
  if (row === undefined) throw new Error(`no row from: ${query.text}`)
  return row
}

/**
 * The same by a prepared statement, for long questions to the catalogue that are asked of one table after the other: to
 * plan one takes longer than to answer it.
 */
export function readAllPrepared<Row extends object>(session: ClientBase, query: Sql): Promise<Row[]> {
  return readAll<Row>(session, prepared(query))
}

/** The same for one row. */
export function readOnePrepared<Row extends object>(session: ClientBase, query: Sql): Promise<Row> {
  return readOne<Row>(session, prepared(query))
}

/** A statement that a session prepares at its first use. Its text must be the same for every table. */
export function prepared({ text, values }: Sql): Statement & { readonly name: string } {
  const name = STATEMENTS.get(text) ?? nameOf(text)
  STATEMENTS.set(text, name)
  return { name, text, values }
}

type Statement = Pick<Sql, 'text' | 'values'>

/** The names of prepared statements, by their texts, which are long. */
const STATEMENTS = new Map<string, string>()

function nameOf(text: string): string {
  return `ebb_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

/** All rows of a query. The row type is not checked. */
export async function readAll<Row extends object>(session: ClientBase, query: Statement): Promise<Row[]> {
  return (await session.query<Row & QueryResultRow>(query)).rows
}
