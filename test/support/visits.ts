import { expect } from 'vitest'
import type { Turns } from '../../src/engine/purge/turns.ts'
import { EbbError } from '../../src/errors.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'
import { contentOf, purgeRequest } from './purging.ts'

// A table to be purged, in whose midst somebody else does something.

export const ROWS = 4_000
export const OLD = purgeRequest(`kind = 'old'`, { vacuum: true })
/** Every other row is old. */
export async function visits(database: Database): Promise<TableName> {
  const table = database.table('visits')
  const place = quoted(table)
  for (const statement of [
    sql`create table ${place} (id int primary key, day int not null, kind text not null, note text default repeat('x', 200))`,
    sql`create index by_day on ${place} (day)`,
    sql`insert into ${place} select n, n / 10, case when n % 2 = 0 then 'old' else 'new' end from generate_series(1, 4000) n`,
    sql`analyze ${place}`,
  ])
    await owned(database, statement.text)
  return table
}

/** The same in four partitions by their number. */
export async function inParts(database: Database): Promise<{ table: TableName; parts: readonly TableName[] }> {
  const table = database.table('visits')
  const place = quoted(table)
  const parts = [0, 1, 2, 3].map((n) => database.table(`visits_${n}`))
  await owned(
    database,
    sql`create table ${place} (id int primary key, kind text not null, note text default repeat('x', 200)) partition by range (id)`
      .text,
  )
  for (const [n, part] of parts.entries())
    await owned(
      database,
      `create table ${quoted(part).text} partition of ${place.text} for values from (${n * 1000}) to (${n * 1000 + 1000})`,
    )
  await owned(
    database,
    sql`insert into ${place} select n, case when n % 2 = 0 then 'old' else 'new' end from generate_series(0, 3999) n`
      .text,
  )
  await owned(database, sql`analyze ${place}`.text)
  return { table, parts }
}

/** As the table's owner. */
export async function owned(database: Database, statement: string): Promise<void> {
  const owner = await database.session('owner')
  await owner.query(statement)
  await owner.end()
}

/** Small batches; before the one of that number, somebody does something. */
export function inTheMidst(batch: number, act: () => Promise<unknown>, rows = 50): Turns {
  let turns = 0
  return {
    turn: async () => {
      if (++turns === batch) await act()
      return { rows }
    },
  }
}

export async function failureOf(work: Promise<unknown>): Promise<EbbError> {
  const error: unknown = await work.then(
    () => new Error('it has not failed'),
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(EbbError)
  return error as EbbError
}

export async function expectNoneLeft(database: Database, table: TableName): Promise<void> {
  expect(await contentOf(database, table, `kind = 'new'`)).toMatchObject({ rows: 0 })
  expect(await contentOf(database, table, `kind = 'old'`)).toMatchObject({ rows: ROWS / 2 })
}

export async function gone(database: Database): Promise<number> {
  const { rows } = await database.admin<{ gone: number }>('select sum(rows)::int as gone from ebb.purge_batch')
  return rows[0]?.gone ?? 0
}
