import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql, type Sql } from '../../src/sql/sql.ts'
import type { Read } from './writers.ts'

/** The newest rows by a view (or a table). */
export function readThrough(view: TableName, orderBy: string): Read {
  const query = sql`select * from ${quoted(view)} order by ${ident(orderBy)} desc limit 10`
  return { name: 'view', run: (client) => client.query(query) }
}

/** Calls a function without arguments; one in PL/pgSQL keeps its plans from call to call. */
export function callFunction(name: TableName): Read {
  const query = sql`select * from ${quoted(name)}()`
  return { name: 'function', run: (client) => client.query(query) }
}

const CURSOR_OPEN_MS = 40

/** Keeps a cursor on the query, which has no parameters, open for 40 ms, in a transaction, as an application does that works on what it fetches. */
export function holdCursor(query: Sql): Read {
  return {
    name: 'cursor',
    async run(client, rest) {
      await client.query('begin')
      await client.query(sql`declare held cursor for `.concat(query))
      await client.query('fetch 10 from held')
      await rest(CURSOR_OPEN_MS)
      await client.query('fetch 10 from held')
      await client.query('commit')
    },
  }
}
