import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { literal, raw, sql } from '../../sql/sql.ts'

// A table on the other server. Those that Ebb has made have a token of the journal in their comment.

export interface TableThere {
  readonly comment: string | null
}

/** Undefined where there is none. */
export async function readThere(session: Session, name: TableName): Promise<TableThere | undefined> {
  const [found] = await readAll<TableThere>(
    session,
    sql`select obj_description(c.oid, 'pg_class') as comment from pg_class c where c.oid = to_regclass(${quoted(name).text})`,
  )
  return found
}

/** The same when it is locked, until the transaction ends. A comment is only changed with such a lock. */
export async function lockThere(
  session: Session,
  name: TableName,
  mode: 'share update exclusive' | 'access exclusive',
): Promise<TableThere | undefined> {
  if ((await readThere(session, name)) === undefined) return undefined
  await session.query(sql`lock table ${quoted(name)} in ${raw(mode)} mode`)
  return readThere(session, name)
}

/** The comment of a table that was made for a move. */
export function markOf(token: string): string {
  return `ebb: moved, ${token}`
}

export function isMarked({ comment }: TableThere, tokens: readonly string[]): boolean {
  return tokens.some((token) => comment === markOf(token))
}

export function commentOn(kind: 'table' | 'foreign table', name: TableName, comment: string): string {
  return sql`comment on ${raw(kind)} ${quoted(name)} is ${literal(comment)}`.text
}
