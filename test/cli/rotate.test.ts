import { execFileSync } from 'node:child_process'
import { expect } from 'vitest'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { ebb, objects } from './support.ts'

/** Monthly partitions from five months ago up to this one, with a row in each. */
async function monthlySet(database: Database, name = 'events'): Promise<TableName> {
  const table = database.table(name)
  const client = await database.session(`set-up of ${name}`)
  await client.query("set timezone to 'UTC'")
  await client.query(sql`create table ${quoted(table)} (at timestamptz not null) partition by range (at)`.text)
  const { rows } = await client.query<{ from: string; to: string; name: string }>(
    `select m::text as from, (m + interval '1 month')::text as to, to_char(m, 'YYYY_MM') as name
     from generate_series(date_trunc('month', now()) - interval '5 months', date_trunc('month', now()), interval '1 month') m`,
  )
  for (const month of rows) {
    const leaf = quoted({ schema: table.schema, name: `${name}_${month.name}` }).text
    await client.query(
      `create table ${leaf} partition of ${quoted(table).text} for values from ('${month.from}') to ('${month.to}')`,
    )
    await client.query(sql`insert into ${quoted(table)} values (${month.from})`)
  }
  await client.query(sql`analyze ${quoted(table)}`.text)
  return table
}

async function partitions(database: Database, table: TableName): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(
    sql`select count(*)::int as n from pg_inherits where inhparent = ${quoted(table).text}::regclass`,
  )
  return rows[0]?.n ?? 0
}

test('the plan shows partitions to create and to remove, and changes nothing', async ({ database }) => {
  const table = await monthlySet(database)
  const words = ['rotate', display(table), '--keep', '2 months', '--no-archive', '--url', database.url]
  const { code, out } = await ebb(words)
  expect(code).toBe(0)
  expect(out).toMatch(/-- Create \(3\)/)
  expect(out).toMatch(/-- Retire \(3\), oldest first\n-- {3}drop .*1 rows/)
  expect(out).toContain('0 rows inside the keep window')
  expect(out).toContain('concurrently;\n')
  expect(out.trimEnd().split('\n').at(-1)).toMatch(
    /^-- Nothing has been changed\. To execute: ebb rotate .* --execute$/,
  )
  expect(await partitions(database, table)).toBe(6)
})

test('the printed plan runs in psql, with the described effect', async ({ database, needs }) => {
  const psql = needs('psql')
  const table = await monthlySet(database)
  const { out } = await ebb(['rotate', display(table), '--keep', '3 months', '--no-archive', '--url', database.url])
  execFileSync(psql, ['--no-psqlrc', '--quiet', database.url], { input: out, stdio: ['pipe', 'ignore', 'pipe'] })
  expect(await partitions(database, table)).toBe(6 + 3 - 2)
})

test('--execute rotates and reports', async ({ database }) => {
  const table = await monthlySet(database)
  const words = ['rotate', display(table), '--keep', '2 months', '--no-archive', '--url', database.url, '--execute']
  const { code, out, err } = await ebb(words)
  expect(err).toMatch(/^step 1 of 3: add partition/)
  expect(code).toBe(0)
  expect(out.match(/^ {2}created /gm)).toHaveLength(3)
  expect(out.match(/^ {2}dropped /gm)).toHaveLength(3)
  expect(out).toMatch(/longest lock \d+ ms/)
  expect(out).toMatch(/removed about 3 rows, .*; 0 rows inside the keep window/)
  expect(out).toMatch(/ in 6 partitions:/)
  expect(await partitions(database, table)).toBe(6)

  const { out: status } = await ebb(['status', '--url', database.url])
  expect(status).toMatch(
    / {2}partitions until 20\d\d-\d\d-01 00:00 UTC {2}rotated 20\d\d-.* UTC {2}by at, every 1 month/,
  )
  const [next] = (
    await database.admin<{ next: string }>(
      `select to_char(date_trunc('month', now() at time zone 'UTC') + interval '4 months', 'YYYY-MM-DD') as next`,
    )
  ).rows
  expect(status).toContain(`partitions until ${next?.next} 00:00 UTC`)

  const again = await ebb(['rotate', '--all', '--no-archive', '--url', database.url, '--execute'])
  expect(again.out).toContain(`${display(table)}: nothing was due`)
  expect(again.code).toBe(0)
})

test('without --no-archive nothing is dropped, partitions are created ahead, and the exit code is 3', async ({
  database,
}) => {
  const table = await monthlySet(database)
  const words = ['rotate', display(table), '--keep', '2 months', '--url', database.url]
  const shown = await ebb(words)
  expect(shown.code).toBe(3)
  expect(shown.out).toMatch(/-- Withheld \(3\)/)
  expect(shown.out).toContain('--no-archive')
  expect(shown.out).toContain('To execute what is not blocked: ')

  const done = await ebb([...words, '--execute', '--json'])
  expect(done.code).toBe(3)
  expect(objects(done.out).at(-1)).toMatchObject({
    type: 'result',
    result: { sets: [{ created: [{}, {}, {}], retired: [], objections: [{ code: 'archive' }] }], stopped: false },
  })
  expect(await partitions(database, table)).toBe(9)
})

test('--archive contradicts --no-archive and --retire detach, and says which other options need it', async () => {
  const cases: [string[], string][] = [
    [['--archive', '/x', '--no-archive'], '--no-archive: it contradicts --archive'],
    [['--archive', '/x', '--retire', 'detach'], '--archive: nothing is removed with --retire detach'],
    [['--no-archive', '--part-size', '8 MB'], '--part-size: it requires --archive'],
    [['--archive', 'ftp://x'], "--archive: archives cannot be kept at 'ftp:'"],
  ]
  for (const [words, says] of cases) {
    const { code, err } = await ebb(['rotate', 'events', ...words, '--execute'])
    expect(code).toBe(2)
    expect(err).toContain(says)
  }
})

test.for([
  [[], 'no table is named'],
  [['events', '--all'], '<tables>: cannot be used with --all'],
  [['events', '--retire', 'archive'], "'archive' is not a way to retire a partition"],
  [['events', '--keep', '90d'], "--keep: '90d' is not an interval"],
] as const)('rotate %j', async ([words, says]) => {
  const { code, err } = await ebb(['rotate', ...words])
  expect(code).toBe(2)
  expect(err).toContain(says)
})

test('a failing set does not stop the others, and the exit code shows it', async ({ database }) => {
  const table = await monthlySet(database)
  const words = ['rotate', 'public.not_there', display(table), '--url', database.url, '--execute']
  const { code, out } = await ebb(words)
  expect(code).toBe(1)
  expect(out).toContain('failed: public.not_there: there is no table')
  expect(out.match(/^ {2}created /gm)).toHaveLength(3)
})

test('--all without registered tables', async ({ database }) => {
  for (const more of [[], ['--execute']]) {
    const { code, err } = await ebb(['rotate', '--all', '--url', database.url, ...more])
    expect(code).toBe(2)
    expect(err).toMatch(/^error: no table is managed by rotate in database .*, according to the journal in schema ebb/)
    expect(err).toContain('--journal-schema')
  }
})
