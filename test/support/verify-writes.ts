import type { ClientBase } from 'pg'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import type { LoadReport } from './writers.ts'

/**
 * Proves that the table holds what the application wrote: each acknowledged write once,
 * each one in doubt at most once, and besides only the `initialRows` that were there
 * before. Throws with everything that is wrong.
 */
export async function verifyWrites(
  client: ClientBase,
  table: TableName,
  tokenColumn: string,
  report: Pick<LoadReport, 'acknowledged' | 'inDoubt'>,
  initialRows = 0,
): Promise<void> {
  const acknowledged = await occurrences(client, table, tokenColumn, report.acknowledged)
  const inDoubt = await occurrences(client, table, tokenColumn, report.inDoubt)
  const lost = tokensWhere(acknowledged, (times) => times === 0)
  const doubled = tokensWhere([...acknowledged, ...inDoubt], (times) => times > 1)
  const present = tokensWhere([...acknowledged, ...inDoubt], (times) => times > 0)
  const rows = await countRows(client, table)
  const expected = initialRows + present.length

  const faults = [
    ...list('acknowledged but not there', lost),
    ...list('there more than once', doubled),
    ...(rows === expected ? [] : [`${rows} rows in the table instead of ${expected}`]),
  ]
  if (faults.length > 0) throw new Error(`writes were not kept:\n  ${faults.join('\n  ')}`)
}

interface Occurrence {
  readonly token: string
  readonly times: number
}

async function occurrences(
  client: ClientBase,
  table: TableName,
  column: string,
  tokens: readonly string[],
): Promise<Occurrence[]> {
  const { rows } = await client.query<Occurrence>(
    sql`select wanted.token, count(found.token)::int as times
        from unnest(${tokens}::text[]) as wanted (token)
        left join (select ${ident(column)}::text as token from ${quoted(table)}) as found using (token)
        group by wanted.token`,
  )
  return rows
}

async function countRows(client: ClientBase, table: TableName): Promise<number> {
  const { rows } = await client.query<{ count: number }>(sql`select count(*)::int from ${quoted(table)}`)
  return rows[0]!.count
}

function tokensWhere(occurrences: readonly Occurrence[], holds: (times: number) => boolean): string[] {
  return occurrences.filter(({ times }) => holds(times)).map(({ token }) => token)
}

const SHOWN = 5

function list(fault: string, tokens: readonly string[]): string[] {
  if (tokens.length === 0) return []
  const more = tokens.length > SHOWN ? ', …' : ''
  return [`${tokens.length} ${fault}: ${tokens.slice(0, SHOWN).join(', ')}${more}`]
}
