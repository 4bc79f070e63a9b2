import type { Context } from '../../src/cli/context.ts'
import { run } from '../../src/cli/run.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import type { Database } from '../support/database.ts'

/** What a command line has printed and returned. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command line as the process would, in this process. */
export async function ebb(args: readonly string[], given: Partial<Context> = {}): Promise<Ran> {
  const printed = { out: '', err: '' }
  const output = (to: 'out' | 'err') => ({
    write: (text: string) => void (printed[to] += text),
    isTTY: false,
    columns: 100,
  })
  const context: Context = {
    out: output('out'),
    err: output('err'),
    env: {},
    signal: new AbortController().signal,
    ...given,
  }
  const code = await run(args, context)
  return { code, ...printed }
}

/** The objects of JSON output. */
export function objects(out: string): Record<string, unknown>[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** A table of 2000 events, one an hour until now. */
export async function eventsTable(database: Database): Promise<TableName> {
  const table = database.table('events')
  const client = await database.session('setup')
  await client.query(
    sql`create table ${quoted(table)} (id bigint generated always as identity primary key, at timestamptz not null, kind text)`
      .text,
  )
  await client.query(
    sql`insert into ${quoted(table)} (at, kind) select now() - (2001 - n) * interval '1 hour', 'k' from generate_series(1, 2000) n`,
  )
  await client.query(sql`create index on ${quoted(table)} (at)`.text)
  await client.query(sql`analyze ${quoted(table)}`.text)
  return table
}
