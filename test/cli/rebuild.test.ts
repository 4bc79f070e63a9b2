import { execFileSync } from 'node:child_process'
import { expect } from 'vitest'
import { companion, display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { ebb, eventsTable, objects } from './support.ts'

const KEEP = ['--keep', "at > now() - interval '30 days'", '--no-archive']
/** Of events that are whole hours and a moment old. */
const KEPT = 719

function rebuild(table: TableName, database: Database, ...words: string[]): string[] {
  return ['rebuild', display(table), ...words, '--url', database.url]
}

async function count(database: Database, table: TableName): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`)
  return rows[0]?.n ?? -1
}

/** All relations, functions and triggers, as one text. */
async function everything(database: Database): Promise<string> {
  const { rows } = await database.admin<{ all: string }>(`
    select string_agg(what, ' ' order by what) as all from (
      select oid::regclass::text as what from pg_class where relnamespace = 'public'::regnamespace or relnamespace >= 16384
      union all select oid::regprocedure::text from pg_proc where oid >= 16384
      union all select tgname::text from pg_trigger where oid >= 16384) w`)
  return rows[0]?.all ?? ''
}

test('without --execute the plan is shown, and psql stops before running part of it', async ({ database, needs }) => {
  const psql = needs('psql')
  const table = await eventsTable(database)
  const before = await everything(database)
  const { code, out, err } = await ebb(rebuild(table, database, ...KEEP))
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const unwrapped = out.replace(/\n-- +/g, ' ')
  expect(unwrapped).toMatch(/^-- rebuild .* around the rows where at > now\(\) - interval '30 days'\s/)
  for (const pattern of ['s.ctid >= ', 'order by ebb_seq limit', 's.* *<> t.*', 'for each range of blocks'])
    expect(unwrapped).toContain(pattern)
  expect(out.trimEnd().split('\n').at(-1)).toMatch(
    /^-- Nothing has been changed\. To execute: ebb rebuild .* --no-archive .*--execute$/,
  )

  expect(() =>
    execFileSync(psql, ['--no-psqlrc', '--quiet', database.url], { input: out, stdio: ['pipe', 'ignore', 'pipe'] }),
  ).toThrow('This plan is for reading')
  expect(await everything(database)).toBe(before)
})

test('--execute rebuilds and reports; retire shows, then drops the retired table', async ({ database }) => {
  const table = await eventsTable(database)
  const done = await ebb([...rebuild(table, database, ...KEEP), '--execute'])
  expect(done.code, done.err).toBe(0)
  expect(done.err).toMatch(/copying, ([\d,]+) rows kept: 100 % \(\1 of \1 rows, [\d,.]+k?\/s/)
  expect(done.out).toContain(`${display(table)} is rebuilt (run 1).`)
  expect(done.out).toContain('locked for the swap')
  expect(done.out).toMatch(new RegExp(`about ${KEPT} rows`))
  expect(done.out).toMatch(/_retired\S* +about 2,000 rows .* retired table, kept for a rollback/)
  expect(await count(database, table)).toBe(KEPT)

  const status = await ebb(['status', '--url', database.url])
  expect(status.out).toMatch(/1 {2}rebuild .* done/)
  expect(status.out).toMatch(/Retired tables\n .*_retired\S* +[\d.]+ kB .*ebb retire 1 .*ebb rollback 1/)
  expect(objects((await ebb(['status', '--url', database.url, '--json'])).out)).toMatchObject([
    { status: { retired: [{ runId: '1', table, retired: { estimatedRows: 2000 } }] } },
  ])

  const shown = await ebb(['retire', '1', '--url', database.url])
  expect(shown.code).toBe(0)
  expect(shown.out.replace(/\n-- +/g, ' ')).toContain('there is no rollback')
  expect(await everything(database)).toContain('_retired')
  const gone = await ebb(['retire', '1', '--url', database.url, '--execute'])
  expect(gone.code, gone.err).toBe(0)
  expect(gone.out).toContain(`The retired table of run 1 on ${display(table)} is dropped`)
  expect(await everything(database)).not.toContain('_retired')
  expect((await ebb(['status', '--url', database.url])).out).not.toContain('Retired tables')

  expect(await ebb(['retire', '1', '--url', database.url])).toMatchObject({ code: 2 })
  expect(await ebb(['rollback', '1', '--url', database.url])).toMatchObject({ code: 3 })
})

test('retire --all drops every retired table, and finds none the second time', async ({ database }) => {
  const table = await eventsTable(database)
  const other: TableName = { schema: table.schema, name: 'other' }
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(other)} (id int primary key)`.text)
  for (const one of [table, other])
    expect(await ebb([...rebuild(one, database, '--keep-all'), '--execute'])).toMatchObject({ code: 0 })
  const all = ['retire', '--all', '--url', database.url]
  const shown = objects((await ebb([...all, '--json'])).out)
  expect(shown).toMatchObject([{ type: 'plans', plans: [{ runId: '1' }, { runId: '2' }] }])
  const gone = objects((await ebb([...all, '--execute', '--json'])).out)
  expect(gone.at(-1)).toMatchObject({ type: 'result', result: [{ runId: '1' }, { runId: '2' }] })
  expect(await everything(database)).not.toContain('_retired')
  expect(await ebb([...all, '--execute'])).toMatchObject({ code: 0, out: 'There is no retired table to drop.\n' })
  expect(await count(database, table)).toBe(2000)
})

test('rollback without a name selects the only run that can be rolled back', async ({ database }) => {
  const table = await eventsTable(database)
  const back = ['rollback', '--url', database.url]
  const once = [...rebuild(table, database, '--keep-all'), '--execute']
  expect(await ebb(once)).toMatchObject({ code: 0 })
  expect(await ebb(['retire', '1', '--url', database.url, '--execute'])).toMatchObject({ code: 0 })
  expect(await ebb(back)).toMatchObject({
    code: 2,
    err: expect.stringContaining('there is no run that can be rolled back') as string,
  })

  expect(await ebb(once)).toMatchObject({ code: 0 })
  expect(await ebb(back)).toMatchObject({ code: 0, out: expect.stringContaining('roll back run 2') as string })
})

test('the latest run is the one with the highest number, also with ten or more runs', async ({ database }) => {
  const table = await eventsTable(database)
  const once = [...rebuild(table, database, '--keep-all'), '--execute']
  const andRetire = async (run: string) => {
    expect(await ebb(once)).toMatchObject({ code: 0 })
    expect(await ebb(['retire', run, '--url', database.url, '--execute'])).toMatchObject({ code: 0 })
  }
  await andRetire('1')
  await database.admin(`select setval(pg_get_serial_sequence('ebb.run', 'id'), 8)`)
  await andRetire('9')
  expect(await ebb(once)).toMatchObject({ code: 0 })

  expect((await ebb(['status', '--url', database.url])).out).toMatch(/^Runs\n {2}10 .*\n {2}9 /)
  const back = await ebb(['rollback', display(table), '--url', database.url])
  expect(back).toMatchObject({ code: 0, out: expect.stringContaining('roll back run 10') as string })
})

test('--retire-after: rotate --all shows that the retired table is due, and drops it', async ({ database }) => {
  const table = await eventsTable(database)
  const rebuilt = await ebb([...rebuild(table, database, '--keep-all'), '--retire-after', '7 days', '--execute'])
  expect(rebuilt.out).toContain('ebb retire 1; or ebb rotate drops it after 7 days')
  const all = ['rotate', '--all', '--url', database.url]
  const status = async () => (await ebb(['status', '--url', database.url])).out
  expect((await ebb(all)).out).toContain('No table is managed by rotate yet')
  expect(await status()).toMatch(/dropped by ebb rotate from 20\d\d-/)

  await database.admin(`update ebb.run set ended_at = now() - interval '7 days'`)
  expect(await status()).toContain('dropped by the next ebb rotate')
  expect((await ebb(all)).out).toContain('drop table "')
  expect(objects((await ebb([...all, '--json'])).out)).toMatchObject([{ plans: [{ runId: '1', policy: null }] }])
  const gone = await ebb([...all, '--execute'])
  expect(gone).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^dropped .*_retired"?, .* of run 1: /) as string,
  })
  expect(await everything(database)).not.toContain('_retired')
})

test('rollback restores the retired table with the writes since the swap', async ({ database }) => {
  const table = await eventsTable(database)
  await ebb([...rebuild(table, database, ...KEEP), '--execute'])
  await database.admin(sql`insert into ${quoted(table)} (at, kind) values (now(), 'since')`)
  const shown = await ebb(['rollback', '1', '--url', database.url])
  expect(shown.code).toBe(0)
  expect(shown.out).toContain('This plan is for reading')
  const back = await ebb(['rollback', display(table), '--url', database.url, '--execute'])
  expect(back.code, back.err).toBe(0)
  expect(back.out).toContain('is rolled back to what it was before run')
  expect(await count(database, table)).toBe(2001)
})

/** Stops, as by Ctrl-C, a rebuild that begins with a step. */
async function stoppedAt(step: number, table: TableName, database: Database): Promise<void> {
  const stopping = new AbortController()
  const err = {
    write: (text: string) => void (text.startsWith(`step ${step} of`) && stopping.abort()),
    isTTY: false,
    columns: 100,
  }
  const words = [...rebuild(table, database, ...KEEP), '--execute']
  expect(await ebb(words, { err, signal: stopping.signal })).toMatchObject({ code: 4 })
}

test('a table that is not the retired table of a finished run is not dropped', async ({ database }) => {
  const table = await eventsTable(database)
  const none = { code: 0, out: 'There is no retired table to drop.\n' }
  const all = ['retire', '--all', '--url', database.url, '--execute']
  await stoppedAt(12, table, database) // after the swap, before the end
  expect(await everything(database)).toContain('_retired')
  expect(await ebb(all)).toMatchObject(none)
  await ebb(['resume', '--url', database.url, '--execute'])

  const owner = await database.session('owner')
  const retired = quoted({ ...table, name: companion(table.name, '_retired') }).text
  await owner.query(`alter table ${retired} rename to precious; create table ${retired} ()`)
  const told = (await ebb(all)).out
  expect(told).toMatch(
    /^\S+precious \([\d.]+ kB\) is the retired table \S+_retired"? of run 1, renamed or moved since: .*\n$/,
  )
  expect(await everything(database)).toContain('precious')
})

test('a retired table that was moved and renamed is found: told by --all and status, dropped by its number', async ({
  database,
}) => {
  const table = await eventsTable(database)
  const retiredAfter = ['--retire-after', '7 days', '--execute']
  expect(await ebb([...rebuild(table, database, '--keep-all'), ...retiredAfter])).toMatchObject({ code: 0 })
  await database.admin(
    sql`alter table ${quoted({ ...table, name: companion(table.name, '_retired') })} rename to precious;
    create schema attic; alter table ${quoted({ ...table, name: 'precious' })} set schema attic`.text,
  )
  await database.admin(`update ebb.run set ended_at = now() - interval '7 days'`)

  const at = ['--url', database.url]
  const told =
    /attic\.precious \([\d.]+ kB\) is the retired table \S+ of run 1, renamed or moved since: --all leaves it/
  const shown = await ebb(['retire', '--all', ...at])
  expect(shown.code, shown.err).toBe(0)
  expect(shown.out.replace(/\n-- +/g, ' ')).toMatch(told)
  expect((await ebb(['retire', '--all', ...at, '--execute'])).out).toMatch(told)
  const [renamed, result] = objects((await ebb(['retire', '--all', ...at, '--execute', '--json'])).out)
  expect(renamed).toMatchObject({ type: 'renamed', renamed: [{ runId: '1', retired: { name: { schema: 'attic' } } }] })
  expect(result).toEqual({ type: 'result', result: [] })

  const status = (await ebb(['status', ...at])).out
  expect(status).toMatch(/attic\.precious .* kB {2}since .*, was \S+_retired"? .*drop: ebb retire 1/)
  expect(status).not.toContain('dropped by')
  expect(status).not.toContain('--all')
  expect((await ebb(['rotate', '--all', ...at])).out).not.toContain('drop table')
  expect(await everything(database)).toContain('precious')

  const checked = (await ebb(['check', ...at])).out
  expect(checked).toMatch(
    /retired table attic\.precious \(.*\) of run 1 is waiting to be dropped; it was \S+_retired"?, and is not dropped automatically/,
  )

  // Until here the role could not use the schema.
  await database.admin('grant usage on schema attic to public')
  expect(await ebb(['retire', '1', ...at, '--execute'])).toMatchObject({ code: 0 })
  expect(await everything(database)).not.toContain('precious')
  expect((await ebb(['status', ...at])).out).not.toContain('Retired tables')
})

test('a stopped rebuild is continued by resume, or undone by abandon', async ({ database }) => {
  const table = await eventsTable(database)
  const before = await everything(database)
  await stoppedAt(4, table, database)
  expect(await everything(database)).not.toBe(before)
  const shown = await ebb(['abandon', '--url', database.url])
  expect(shown.out).toContain('only what was put beside it is taken away')
  expect(await ebb(['abandon', '--url', database.url, '--execute'])).toMatchObject({ code: 0 })
  expect(await leftovers(database)).toEqual([])

  await stoppedAt(4, table, database)
  const resumed = await ebb(['resume', '--url', database.url, '--execute'])
  expect(resumed.code, resumed.err).toBe(0)
  expect(resumed.out).toContain(`${display(table)} is rebuilt (run 2).`)
  expect(await count(database, table)).toBe(KEPT)
})

/** What a run has put beside the table, or on it. */
async function leftovers(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(`
    select relname as name from pg_class where relname ~ '_retired|_ebb|^ebb_.*(log|capture)' and relkind in ('r', 'p', 'i')
    union all select tgname from pg_trigger where tgname like 'ebb%' union all select proname from pg_proc where proname like 'ebb%'`)
  return rows.map(({ name }) => name)
}

test('partition --method copy creates partitions of the rows in the window', async ({ database }) => {
  const table = await eventsTable(database)
  const words = ['partition', display(table), '--by', 'at', '--every', 'week', '--keep', '30 days', '--method', 'copy']
  const refused = await ebb([...words, '--url', database.url])
  expect(refused.code).toBe(3)
  expect(refused.out).toContain('or --no-archive')
  const done = await ebb([...words, '--no-archive', '--transport', 'copy', '--url', database.url, '--execute'])
  expect(done.code, done.err + done.out).toBe(0)
  expect(done.out).toContain(`${display(table)} is partitioned (run 1).`)
  expect(done.out).toMatch(/partition +from +to +rows/)
  expect(done.out).toContain('ebb rotate')
  expect(await count(database, table)).toBe(KEPT)
})

test('split divides the history partition created by partition', async ({ database }) => {
  const table = await eventsTable(database)
  const monthly = ['partition', display(table), '--by', 'at', '--every', 'month', '--url', database.url, '--execute']
  expect(await ebb(monthly)).toMatchObject({ code: 0 })
  const words = ['split', display(table), '--keep', '30 days', '--no-archive', '--url', database.url]
  const shown = await ebb(words)
  expect(shown.code, shown.out).toBe(0)
  expect(shown.out).toContain('This plan is for reading')
  const done = await ebb([...words, '--execute'])
  expect(done.code, done.err).toBe(0)
  expect(done.out).toContain(`${display(table)} is split (run 2).`)
  expect(done.out).toMatch(/ebb rollback 2\n.*ebb retire 2\n/)
  expect(await count(database, table)).toBe(KEPT)
  expect((await ebb(['status', '--url', database.url])).out).toContain('ebb retire 2')

  const back = await ebb(['rollback', '2', '--url', database.url, '--execute'])
  expect(back.code, back.err).toBe(0)
  expect(await count(database, table)).toBe(2000)
})

test.for([
  { words: ['rebuild', 'events'], wrong: /missing required option --keep/ },
  { words: ['rebuild', 'events', '--keep', 'true', '--keep-all'], wrong: /it cannot be combined with --keep-all/ },
  { words: ['rebuild', 'events', '--keep', ' '], wrong: /the condition is empty/ },
  {
    words: ['rebuild', 'events', '--keep-all', '--transport', 'pigeon'],
    wrong: /--transport: 'pigeon' is not a transport/,
  },
  { words: ['rebuild', 'events', '--keep-all', '--jobs', '0'], wrong: /--jobs: '0' is not a whole number/ },
  {
    words: ['rebuild', 'events', '--keep-all', '--archive', 's3://x', '--no-archive'],
    wrong: /--archive: no row is left out/,
  },
  {
    words: ['partition', 't', '--by', 'at', '--every', 'month', '--method', 'magic'],
    wrong: /'magic' is not a method/,
  },
  {
    words: ['partition', 't', '--by', 'at', '--every', 'month', '--jobs', '2'],
    wrong: /--jobs requires --method copy/,
  },
  {
    words: ['partition', 't', '--by', 'at', '--every', 'month', '--no-archive'],
    wrong: /--no-archive requires --method/,
  },
  { words: ['split', 'events', '--every', '7d', '--keep', 'soon'], wrong: /--every: .*\n.*--keep: / },
  { words: ['retire'], wrong: /<run>: no run is named/ },
  { words: ['retire', '1', '--all'], wrong: /<run>: cannot be used with --all/ },
])('invalid options: $words', async ({ words, wrong }) => {
  const { code, err } = await ebb([...words, '--url', 'postgres://127.0.0.1:1/nowhere'])
  expect(code).toBe(2)
  expect(err).toMatch(wrong)
})

test.for([
  ['at > (select now())', /the condition contains a subquery/],
  ['at >', /the condition cannot be read/],
  ['nonsense > 1', /does not fit .*nonsense/],
  ['true; drop table events', /cannot be read|more than one/],
] as const)('an unusable condition: %s', async ([keep, wrong], { database }) => {
  const table = await eventsTable(database)
  const { code, err } = await ebb(rebuild(table, database, '--keep', keep, '--no-archive'))
  expect(code).toBe(2)
  expect(err).toMatch(wrong)
})

test('a volatile condition, or rows lost without an archive, are objections', async ({ database }) => {
  const table = await eventsTable(database)
  const { code, out } = await ebb([...rebuild(table, database, '--keep', 'random() < 0.5'), '--execute'])
  expect(code).toBe(3)
  expect(out).toContain('volatile:random')
  expect(out).toContain('archive: the rows left out would be deleted without an archive')

  const owner = await database.session('owner')
  await owner.query(
    `create function is_new(timestamptz) returns bool stable language sql as $$ select $1 > now() - interval '1 hour' $$`,
  )
  const stable = await ebb(
    rebuild(table, database, '--keep', 'is_new(at) and to_char(at, $$YYYY$$) > $$2000$$', '--no-archive'),
  )
  expect(stable.code).toBe(3)
  expect(stable.out.match(/stable:\w+/g)).toEqual(['stable:is_new'])
})
