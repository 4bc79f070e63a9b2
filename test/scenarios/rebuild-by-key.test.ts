import { beforeEach, describe, expect } from 'vitest'
import { EbbError } from '../../src/errors.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { Rebuilding } from '../support/rebuilding.ts'

// Where an index reaches the kept rows, chunks are ranges of its values, and the other rows are not read.

const SIZES = { chunkBlocks: 1, batchEntries: 50, shortLog: 0 }
const KEEP = `at >= '2026-01-11'`

/** Twenty rows at each instant, one instant per hour: a range can only end between instants. */
async function createLedger(database: Database, nullable = false): Promise<TableName> {
  const table = database.table('ledger')
  const app = await database.session('app')
  await app.query(sql`
    create table ${quoted(table)} (id bigint primary key, at timestamptz, n int not null)`)
  if (!nullable) await app.query(sql`alter table ${quoted(table)} alter at set not null`)
  await app.query(sql`
    insert into ${quoted(table)} select n, timestamptz '2026-01-01' + n / 20 * interval '1 hour', n from generate_series(0, 9999) n`)
  await app.query(sql`create index on ${quoted(table)} (at, n)`)
  await app.query(sql`analyze ${quoted(table)}`)
  return table
}

/** Nearly all are done, some hundreds open or held, a few rare. */
async function createKinds(database: Database): Promise<TableName> {
  const table = database.table('kinds')
  const app = await database.session('app')
  await app.query(sql`create table ${quoted(table)} (n int primary key, kind text not null)`)
  await app.query(sql`
    insert into ${quoted(table)} select n, case when n % 30 = 0 then 'open' when n % 30 = 1 then 'held' when n % 500 = 7 then 'rare' else 'done' end
    from generate_series(1, 20000) n`)
  await app.query(sql`create index on ${quoted(table)} (kind, n)`)
  await app.query(sql`analyze ${quoted(table)}`)
  return table
}

async function contents(database: Database, table: TableName): Promise<unknown[]> {
  const { rows } = await database.admin(
    sql`select t::text as row from ${quoted(table)} t where ${KEPT} order by id`.text,
  )
  return rows
}

const KEPT = sql`at >= '2026-01-11'`

async function chunks(database: Database): Promise<{ by_column: string | null; rows: string }[]> {
  return (await database.admin<{ by_column: string | null; rows: string }>('select * from ebb.chunk order by first'))
    .rows
}

describe('a rebuild by ranges of a key', () => {
  beforeEach<{ database: Database }>(async ({ database }) => {
    await database.admin(
      `do $$ begin execute format('alter database %I set enable_seqscan = off', current_database()); end $$`,
    )
  })

  test.for([1, 3])('copies each kept row once, however many share a value (%i jobs)', async (jobs, { database }) => {
    const table = await createLedger(database)
    const before = await contents(database, table)

    await new Rebuilding(database, table, { keep: KEEP, jobs }, { copySizes: SIZES }).end()

    expect(await contents(database, table)).toEqual(before)
    const done = await chunks(database)
    expect(done.every(({ by_column }) => by_column === 'at')).toBe(true)
    expect(done.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(before.length)
    expect(done.length).toBeGreaterThan(50)
  })

  test('neither loses nor duplicates rows that move from range to range', async ({ database }) => {
    const table = await createLedger(database)
    const app = await database.session('app')
    const rebuilding = new Rebuilding(database, table, { keep: KEEP, jobs: 2 }, { copySizes: SIZES })
    await rebuilding.began('copy')
    let done = false
    const moving = (async () => {
      for (let turn = 0; !done; turn++)
        await app.query(
          sql`update ${quoted(table)} set at = '2026-01-01'::timestamptz + (random() * 500)::int * interval '1 hour', n = n + 1
              where id % 50 = ${turn % 50}`,
        )
      return contents(database, table)
    })()
    await rebuilding.began('reconcile')
    done = true
    const expected = await moving
    await rebuilding.end()

    expect(await contents(database, table)).toEqual(expected)
  })

  test('resumes with whichever ranges are missing', async ({ database }) => {
    const table = await createLedger(database)
    const before = await contents(database, table)
    let stops = 0
    for (let stopAfter = 1; ; stopAfter += 7) {
      const stop = new AbortController()
      const rebuilding = new Rebuilding(
        database,
        table,
        { keep: KEEP, jobs: 3 },
        { copySizes: SIZES, signal: stop.signal },
      )
      const timer = setInterval(() => {
        if (rebuilding.events.filter(({ type }) => type === 'progress').length >= stopAfter) stop.abort()
      }, 1)
      try {
        await rebuilding.end()
        break
      } catch (error) {
        if (!(error instanceof EbbError && error.kind === 'stopped')) throw error
        stops++
        // As if the session of one of the jobs had been lost before it could commit.
        if (stops === 2) await database.admin('delete from ebb.chunk where first in (1, 2)')
        if (stops === 2) await forgetRows(database, table)
      } finally {
        clearInterval(timer)
      }
    }

    expect(await contents(database, table)).toEqual(before)
    expect(stops).toBeGreaterThan(1)
  })

  test.for([`kind = 'open'`, `kind in ('open', 'held')`, `kind <> 'done'`])(
    'uses another walk if a chunk would contain all rows of a value: %s',
    async (keep, { database }) => {
      const table = await createKinds(database)
      await new Rebuilding(database, table, { keep }, { copySizes: SIZES }).end()

      const done = await chunks(database)
      expect(done.some(({ by_column }) => by_column === 'kind')).toBe(false)
      expect(done.length).toBeGreaterThan(50)
    },
  )

  test('uses an index whose frequent values are not kept', async ({ database }) => {
    const table = await createKinds(database)
    await new Rebuilding(database, table, { keep: `kind = 'rare'` }, { copySizes: SIZES }).end()

    expect((await chunks(database)).every(({ by_column }) => by_column === 'kind')).toBe(true)
  })

  test('uses blocks if the column is nullable, since such rows are in no range', async ({ database }) => {
    const table = await createLedger(database, true)
    await database.admin(sql`update ${quoted(table)} set at = null where id = 5`.text)

    // The index serves for its second column.
    await new Rebuilding(database, table, { keep: 'n >= 0' }, { copySizes: SIZES }).end()

    expect((await chunks(database)).every(({ by_column }) => by_column === null)).toBe(true)
    const { rows } = await database.admin(sql`select from ${quoted(table)} where at is null`.text)
    expect(rows).toHaveLength(1)
  })
})

/** What the two chunks that were forgotten had brought. */
async function forgetRows(database: Database, table: TableName): Promise<void> {
  const { rows } = await database.admin<{ a: string; b: string; shadow: string }>(
    `select (select to_key from ebb.chunk where first = 0) as a, (select from_key from ebb.chunk where first = 3) as b,
       (select plan #>> '{rebuild,shadow,name}' from ebb.run order by id desc limit 1) as shadow`,
  )
  const { a, b, shadow } = rows[0]!
  await database.admin(
    sql`delete from ${quoted({ schema: table.schema, name: shadow })} where at >= ${a} and at < ${b}`.text.replace(
      /\$1|\$2/g,
      (place) => `'${place === '$1' ? a : b}'`,
    ),
  )
}
