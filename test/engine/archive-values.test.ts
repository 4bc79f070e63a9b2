import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buffer } from 'node:stream/consumers'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, expect } from 'vitest'
import { openStore } from '../../src/archive/stores/open.ts'
import { CopyOut } from '../../src/db/copy-out.ts'
import { archiveRows, type Archived } from '../../src/engine/archive/archive-rows.ts'
import type { Happening } from '../../src/events.ts'
import { verifyArchive } from '../../src/library/archives.ts'
import { readingOf } from '../../src/plan/archive/reading.ts'
import type { ArchiveRequest } from '../../src/plan/archive/request.ts'
import type { ConditionSettings } from '../../src/sql/condition-settings.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { sha256 } from '../support/archive-objects.ts'
import { columnOf, createValues, ownTypes, VALUE_CASES, type ValueCase } from '../support/archived-values.ts'
import { archiveFolder, archiveTo, working } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { restoreFrom } from '../support/restoring.ts'

// Values of all types are archived, verified, restored, and read by DuckDB, in each format: their texts are the same.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

async function archiveAll(
  database: Database,
  table: TableName,
  changes: Partial<ArchiveRequest>,
  settings: ConditionSettings = {},
): Promise<Archived & { readonly notes: string[] }> {
  const oid = await database.admin<{ oid: string }>(sql`select ${quoted(table).text}::regclass::oid::text as oid`)
  const rows = { table, oid: oid.rows[0]!.oid, partitionOf: null, chosen: null, where: null, horizon: null }
  const nobody = { command: 'archive', runId: null, approvedBy: null, ticket: null, seal: null }
  const order = { rows: [{ ...rows, estimatedRows: null }] as const, to: archiveTo(folder.uri, changes), settings }
  const events: Happening[] = []
  const store = await openStore(folder.uri)
  const archived = await working(database, table, (context) => archiveRows(context, { ...nobody, ...order, store }), {
    events,
  })
  return { ...archived, notes: events.flatMap((event) => (event.type === 'note' ? [event.text] : [])) }
}

async function create(
  database: Database,
  cases: readonly ValueCase[],
  before: readonly string[] = [],
): Promise<TableName> {
  const table = database.table('values')
  const session = await database.session('setup')
  for (const statement of [...before, ...createValues(quoted(table), cases)]) await session.query(statement)
  return table
}

async function contentOf(database: Database, table: TableName): Promise<string[]> {
  const { rows } = await database.admin<{ row: string }>(sql`select t::text as row from ${quoted(table)} t order by id`)
  return rows.map(({ row }) => row)
}

/** Restores an archive into the emptied table, and compares. */
async function expectRestored(database: Database, table: TableName, { entry }: Archived): Promise<void> {
  const before = await contentOf(database, table)
  await database.admin(sql`truncate ${quoted(table)}`)
  await restoreFrom({ receipt: entry.uri }, database.url)
  expect(await contentOf(database, table)).toEqual(before)
}

/** Runs the query of a receipt in its folder. */
async function readByDuckDb({ receipt, entry }: Archived, select: string): Promise<unknown[][]> {
  const { duckdb: query } = readingOf(receipt.tables[0]!, receipt.encoding)
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run(`set TimeZone = 'UTC'; set file_search_path = '${dirname(fileURLToPath(entry.uri))}'`)
    return (await connection.runAndReadAll(`select ${select} from (${query})`)).getRowsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** What DuckDB reads, in a text that PostgreSQL reads again: not the one by which objects are read back. */
function textInDuckDb(type: string, column: string): string {
  if (type.endsWith('[]'))
    return `to_json(list_transform(${column}, lambda e : ${textInDuckDb(type.slice(0, -2), 'e')}))`
  return type === 'BLOB' ? `'\\x' || hex(${column})` : `${column}::varchar`
}

/** The texts of a column as PostgreSQL has them, and of those that DuckDB has read. */
async function compare(
  database: Database,
  table: TableName,
  type: string,
  column: string,
  stored: string,
  texts: unknown[],
) {
  const elements = stored.endsWith('[]')
  const value = elements
    ? sql`case when x is not null then array(select e from jsonb_array_elements_text(x::jsonb) with ordinality a(e, n) order by n)::text[]::${raw(type)} end`
    : sql`x::${raw(type)}`
  const { rows } = await database.admin<{ same: string | null; read: string | null }>(
    sql`select v.${raw(column)}::text as same, (${value})::text as read from ${quoted(table)} v
      join unnest(${texts}::text[]) with ordinality r(x, n) on v.id = r.n - 1 order by id`,
  )
  expect({ type, read: rows.map(({ read }) => read) }).toEqual({ type, read: rows.map(({ same }) => same) })
}

const CSV_TYPES: Readonly<Record<string, string>> = {
  smallint: 'SMALLINT',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  boolean: 'BOOLEAN',
  uuid: 'UUID',
}

const FORMATS = [
  { format: 'csv', compression: 'gzip', stored: ({ type }: ValueCase) => CSV_TYPES[type] ?? 'VARCHAR' },
  { format: 'parquet', compression: 'zstd', stored: ({ parquet }: ValueCase) => parquet },
] as const

test.for(FORMATS)('$format has every value of every type', async ({ format, compression, stored }, { database }) => {
  const own = ownTypes('public')
  const cases = [...VALUE_CASES, ...own.cases]
  const table = await create(database, cases, own.create)
  const archived = await archiveAll(database, table, { format, compression })

  // The digest is that of what PostgreSQL sends, whatever the format.
  const session = await database.session('copy')
  const sent = await buffer(
    session.query(new CopyOut(sql`copy (select * from ${quoted(table)}) to stdout (format csv, header)`.text)),
  )
  expect(archived.receipt.tables[0]!.sha256).toBe(sha256(sent))
  expect(await verifyArchive(archived.entry.uri)).toMatchObject({ compared: 'content', differences: [] })

  const types = await readByDuckDb(archived, `[${cases.map((_, i) => `typeof(any_value(${columnOf(i)}))`).join(', ')}]`)
  expect((types[0]![0] as string[]).map((found, i) => [cases[i]!.type, found])).toEqual(
    cases.map((one) => [one.type, stored(one)]),
  )
  const texts = cases.map((one, i) => `list(${textInDuckDb(stored(one), columnOf(i))} order by id)`)
  const [read = []] = await readByDuckDb(archived, texts.join(', '))
  for (const [i, one] of cases.entries())
    await compare(database, table, one.type, columnOf(i), stored(one), read[i] as unknown[])

  await expectRestored(database, table, archived)
})

test('in Parquet, instants are in UTC whatever the time zone, and other styles of dates are text', async ({
  database,
}) => {
  const cases: ValueCase[] = [
    {
      type: 'timestamptz',
      values: ['2026-07-01 00:00:00+02', '2026-10-25 02:30:00+02', '2026-10-25 02:30:00+01'],
      parquet: '',
    },
    { type: 'timestamptz', values: ['infinity'], parquet: '' },
    { type: 'timestamptz[]', values: ['{2026-07-01 00:00:00+02}'], parquet: '' },
    { type: 'date', values: ['2026-07-01'], parquet: '' },
    { type: 'bytea', values: ['\\x00ff5c'], parquet: '' },
    { type: 'interval', values: ['-1 day 01:00:00'], parquet: '' },
  ]
  const table = await create(database, cases)
  const typesUnder = async (settings: ConditionSettings) => {
    const archived = await archiveAll(database, table, { format: 'parquet' }, settings)
    const [[types, instant] = []] = await readByDuckDb(
      archived,
      `[${cases.map((_, i) => `typeof(any_value(c${i}))`).join(', ')}], min(c0)::varchar`,
    )
    await expectRestored(database, table, archived)
    return [types, instant]
  }
  const [zoned, text] = ['TIMESTAMP WITH TIME ZONE', 'VARCHAR']
  expect(await typesUnder({ TimeZone: 'Europe/Berlin' })).toEqual([
    [zoned, text, text, 'DATE', 'BLOB', text],
    '2026-06-30 22:00:00+00',
  ])
  expect(
    await typesUnder({
      DateStyle: 'German, DMY',
      IntervalStyle: 'sql_standard',
      bytea_output: 'escape',
      TimeZone: 'UTC',
    }),
  ).toEqual([[text, text, text, text, text, text], '25.10.2026 00:30:00 UTC'])
})
