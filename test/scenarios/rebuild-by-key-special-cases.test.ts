import { beforeEach, describe, expect } from 'vitest'
import { EbbError } from '../../src/errors.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startTool, type Errand } from '../support/process.ts'
import { contentOf } from '../support/purging.ts'
import { randomFrom } from '../support/random.ts'
import { Rebuilding, rebuildRequest } from '../support/rebuilding.ts'
import { persevere } from '../support/tool.ts'

// A rebuild along an index, over values of every kind, killed anywhere, and when somebody takes the index, or the column,
// away in its midst.

const SIZES = { chunkBlocks: 1, batchEntries: 50, shortLog: 0 }
const ROWS = 3_000

/** A table along whose index on `k` the kept rows are reached. */
async function made(database: Database, type: string, value: string): Promise<TableName> {
  const table = database.table('ledger')
  const place = quoted(table).text
  const owner = await database.session('owner')
  for (const statement of [
    `create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    `create table ${place} (id int primary key, gone int, k ${type} not null, note text default 'n')`,
    `alter table ${place} drop column gone`,
    `insert into ${place} (id, k) select n, ${value} from generate_series(1, ${ROWS}) n`,
    `create index by_k on ${place} (k, id)`,
    `analyze ${place}`,
  ])
    await owner.query(statement)
  return table
}

async function chunks(database: Database): Promise<{ by_column: string | null; rows: string }[]> {
  return (await database.admin<{ by_column: string | null; rows: string }>('select * from ebb.chunk order by first'))
    .rows
}

beforeEach<{ database: Database }>(async ({ database }) => {
  await database.admin(
    `do $$ begin execute format('alter database %I set enable_seqscan = off', current_database()); end $$`,
  )
})

describe('values of', () => {
  test.for<[string, string, string]>([
    ['numeric(20, 10)', `case n % 90 when 0 then 'NaN'::numeric else n / 7.0 end`, 'k > 10'],
    ['text collate "C"', `chr(n % 900 + 32) || n % 3`, `k > 'A'`],
    ['text collate "und-x-icu"', `case n % 3 when 0 then 'ä' when 1 then 'A' else 'a''"\\' end || n % 400`, `k > 'a1'`],
    ['text collate folded', `case n % 3 when 0 then 'ä' when 1 then 'A' else 'a' end || n % 300`, `k > 'a1'`],
    ['varchar(30)', `'x ' || n % 700 || '  '`, `k > 'x 1'`],
    ['uuid', `md5((n % 800)::text)::uuid`, `k > '10000000-0000-0000-0000-000000000000'`],
    [
      'timestamptz',
      `case n % 90 when 0 then '-infinity'::timestamptz when 1 then 'infinity' when 2 then '0044-03-15 BC' else '2026-01-01'::timestamptz + n * interval '1.000001 s' end`,
      `k < '2026-01-01 00:40:00'`,
    ],
    ['date', `case n % 90 when 0 then 'infinity'::date else '2026-01-01'::date + n % 900 end`, `k > '2026-02-01'`],
    ['int2', `n % 300 - 150`, 'k between -100 and 100'],
  ])('%s are each in one chunk', async ([type, value, keep], { database }) => {
    const table = await made(database, type, value)
    const kept = await contentOf(database, table, `not (${keep})`)
    await new Rebuilding(database, table, { keep, jobs: 3 }, { copySizes: SIZES }).end()
    expect(await contentOf(database, table)).toEqual(kept)
    const done = await chunks(database)
    expect(done.every(({ by_column }) => by_column === 'k')).toBe(true)
    expect(done.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(kept.rows)
    expect(done.length).toBeGreaterThan(20)
  })
})

test('killed at random with three jobs, while rows move from range to range, it resumes', async ({ database }) => {
  const table = await made(database, 'int', 'n % 1000')
  const app = await database.session('app')
  const random = randomFrom('kill a rebuild along an index')
  const keep = 'k >= 100'
  let done = false
  const moving = (async () => {
    for (let turn = 0; !done; turn++) {
      await app.query(
        sql`update ${quoted(table)} set k = (random() * 1000)::int, note = ${`turn ${turn}`} where id % 60 = ${turn % 60}`,
      )
      await app.query(
        sql`insert into ${quoted(table)} (id, k) values (${ROWS + 1 + turn}, ${turn % 1000}) on conflict (id) do update set k = excluded.k`,
      )
    }
  })()
  const rebuild = rebuildRequest({ keep, jobs: 3, transport: 'server' })
  const errand: Errand = { command: 'rebuild', url: database.url, table, rebuild, options: { copySizes: SIZES } }
  let kills = 0
  for (let i = 0; i < 10; i++) {
    const dieAtStatement = { number: 60 + Math.floor(random() * 300), afterMs: Math.floor(random() * 6) }
    if ((await startTool({ ...errand, dieAtStatement }).end()) !== 'SIGKILL') break
    kills++
  }
  expect(kills).toBeGreaterThan(2)
  done = true
  await moving
  const kept = await contentOf(database, table, 'k < 100')
  await persevere(() => new Rebuilding(database, table, rebuild, { copySizes: SIZES }).end())
  expect(await contentOf(database, table)).toEqual(kept)
  expect((await chunks(database)).every(({ by_column }) => by_column === 'k')).toBe(true)
})

test('an index dropped during the copy stops it, and it resumes once it is back', async ({ database }) => {
  const table = await made(database, 'int', 'n % 1000')
  const kept = await contentOf(database, table, 'k < 100')
  const owner = await database.session('owner')
  const sent = { keep: 'k >= 100' }
  const rebuilding = new Rebuilding(database, table, sent, { copySizes: SIZES })
  await rebuilding.seenProgress(3)
  await owner.query(sql`drop index ${ident(table.schema, 'by_k')}`.text)
  const error: unknown = await rebuilding.end().catch((error: unknown) => error)
  expect(error).toBeInstanceOf(EbbError)
  expect((error as EbbError).message).toMatch(/no longer has an index on k/)
  expect((await chunks(database)).length).toBeLessThan(40)

  await owner.query(sql`create index by_k on ${quoted(table)} (k, id)`.text)
  await new Rebuilding(database, table, sent, { copySizes: SIZES }).end()
  expect(await contentOf(database, table)).toEqual(kept)
})
