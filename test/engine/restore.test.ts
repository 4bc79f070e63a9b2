import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, describe, test as plain } from 'vitest'
import { sql, raw } from '../../src/sql/sql.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ObjectionsError, type EbbError } from '../../src/errors.ts'
import { ARCHIVE } from '../support/receipts.ts'
import { test, type Database } from '../support/database.ts'
import { describeRestored } from '../../src/report/restored.ts'
import { planNewTable } from '../../src/plan/restore/new-table.ts'
import { newTableSituation, restoreRequest } from '../plan/support/situations.ts'
import { planRestoreFrom, restoreFrom, storeRows, storeTables, type StoredArchive } from '../support/restoring.ts'
import { until } from '../support/until.ts'
import { quietly, written } from '../support/tool.ts'
import { archive } from '../../src/engine/commands/archive.ts'
import { explainedOf, IN_RUN } from '../../src/engine/steps/errors.ts'
import { ATTACH_AGAIN } from '../../src/plan/restore/partition.ts'
import { carryOut } from '../../src/engine/run.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { purge } from '../support/commands.ts'
import { purgeRequest } from '../support/purging.ts'
import { NOTHING_RESTORED } from '../../src/journal/restores.ts'
import { resume, status } from '../../src/engine/runs/runs.ts'
import { codes } from '../plan/support/gist.ts'

const VALUES = `n, case n % 4 when 0 then null when 1 then '' when 2 then E'a "b"\\n, \\\\. c' else 'x' || n end, now() - n * interval '1 day', array[n, null], decode(lpad(to_hex(n), 4, '0'), 'hex')`

interface Setting {
  readonly table: TableName
  readonly archive: StoredArchive
  readonly before: string[]
}

/** A table of 100 rows, an archive of 40 of them in several objects, and the 40 deleted. */
async function archived(database: Database): Promise<Setting> {
  const table = database.table('notes')
  const owner = await database.session('setup')
  const name = quoted(table)
  await owner.query(
    sql`create table ${name} (id int generated always as identity primary key, body text, at timestamptz, parts int[], raw bytea, twice int generated always as (id * 2) stored)`
      .text,
  )
  await owner.query(
    sql`insert into ${name} (id, body, at, parts, raw) overriding system value select ${raw(VALUES)} from generate_series(1, 100) n`
      .text,
  )
  const before = await contentOf(database, table)
  const archive = await storeRows(owner, table, { where: 'id <= 40', partBytes: 900 })
  await owner.query(sql`delete from ${name} where id <= 40`.text)
  return { table, archive, before }
}

const NOTHING = NOTHING_RESTORED
const PLAN = planNewTable(newTableSituation(), restoreRequest())

async function contentOf(database: Database, table: TableName, columns = 't.*'): Promise<string[]> {
  const { rows } = await database.admin<{ row: string }>(
    sql`select row(${raw(columns)})::text as row from ${quoted(table)} t order by id`,
  )
  return rows.map(({ row }) => row)
}

async function runSql(database: Database, statement: string): Promise<void> {
  const owner = await database.session('change')
  await owner.query(statement)
}

describe('rows that were archived and deleted', () => {
  test('come back as they were, each once, however often', async ({ database }) => {
    const { table, archive, before } = await archived(database)

    expect(archive.table.objects.length).toBeGreaterThan(2)
    const { restored, plan } = await restoreFrom(archive, database.url)
    expect(restored).toEqual({ ...NOTHING, archived: 40, rows: 40 })
    expect(plan.steps).toHaveLength(archive.table.objects.length + 1)
    expect(await contentOf(database, table)).toEqual(before)
    const again = await restoreFrom(archive, database.url)
    expect(again.restored).toEqual({ ...NOTHING, archived: 40, present: 40 })
    expect(await contentOf(database, table)).toEqual(before)
  })

  test('come back in part; rows that have come meanwhile stay as they are', async ({ database }) => {
    const { table, archive, before } = await archived(database)
    await runSql(
      database,
      sql`insert into ${quoted(table)} (id, body) overriding system value values (5, 'another')`.text,
    )

    const { restored } = await restoreFrom(archive, database.url, { where: 'id < 10 -- the first' })
    const conflicts = [{ table, columns: ['id'], key: ['5'] }]
    expect(restored).toEqual({ ...NOTHING, archived: 40, rows: 8, differing: 1, conflicts })
    const there = await contentOf(database, table)
    expect(there).toHaveLength(69)
    expect(there.filter((row) => before.includes(row))).toHaveLength(68)
    expect(there[4]).toMatch(/^\(5,another,/)
  })

  test('come back into a new table, and into one that has changed', async ({ database }) => {
    const { table, archive, before } = await archived(database)
    const aside = { schema: table.schema, name: 'notes_back' }

    expect((await planRestoreFrom(archive, database.url, { into: written(aside) })).steps[0]?.key).toBe('create')
    await restoreFrom(archive, database.url, { into: written(aside), where: 'id <= 7' })
    expect(await contentOf(database, aside)).toEqual(before.slice(0, 7))

    const name = quoted(table)
    await runSql(
      database,
      sql`alter table ${name} rename body to note; alter table ${name} drop parts; alter table ${name} add more int default 3`
        .text,
    )
    expect(codes(await planRestoreFrom(archive, database.url))).toEqual(['restore-column:parts'])
    await restoreFrom(archive, database.url, { accept: ['restore-column:parts'] })
    const { rows } = await database.admin(sql`select note, more from ${name} where id = 3`)
    expect(rows).toEqual([{ note: 'x3', more: 3 }])
  })
})

test('an object that is not what was archived is refused, those before it are kept, and the restore resumes', async ({
  database,
}) => {
  const { table, archive, before } = await archived(database)
  const folder = join(archive.directory, ARCHIVE)
  const objects = (await readdir(folder)).filter((name) => name.endsWith('.csv.gz')).sort()
  const second = join(folder, objects[1] ?? '')
  const good = await readFile(second)
  await writeFile(second, good.subarray(0, good.length - 9))

  await expect(restoreFrom(archive, database.url)).rejects.toThrow(/is not what was archived/)
  const sofar = (await contentOf(database, table)).length - 60
  expect(sofar).toBe(archive.table.objects[0]?.rows)
  await rm(second)
  const state = 'No row is restored before its object has been read to the end and compared with the receipt.'
  await expect(restoreFrom(archive, database.url)).rejects.toMatchObject({ advice: { state } })
  await writeFile(second, good)
  const { restored } = await restoreFrom(archive, database.url)
  expect(restored).toEqual({ ...NOTHING, archived: 40, rows: 40 })
  expect(await contentOf(database, table)).toEqual(before)
})

test('a damaged removal document stops it before anything is restored', async ({ database }) => {
  const { table, archive } = await archived(database)
  await writeFile(join(archive.directory, ARCHIVE, 'removal.json'), '{"format": 2, "tables": []}')

  await expect(restoreFrom(archive, database.url)).rejects.toThrow(/removal.json is damaged/)
  expect(await contentOf(database, table)).toHaveLength(60)
})

test('a row with other values is overwritten where that is asked for; one with the same is not touched', async ({
  database,
}) => {
  const { table, archive, before } = await archived(database)
  const name = quoted(table)
  await restoreFrom(archive, database.url, { where: 'id in (3, 5, 7)' })
  await runSql(database, sql`update ${name} set body = 'another' where id in (5, 7)`.text)
  const place = () => database.admin(sql`select ctid::text, xmin::text from ${name} where id = 3`)
  const untouched = (await place()).rows

  const { restored } = await restoreFrom(archive, database.url, { onConflict: 'overwrite' })
  expect(restored).toEqual({ ...NOTHING, archived: 40, rows: 37, overwritten: 2, present: 1 })
  expect(await contentOf(database, table)).toEqual(before)
  expect((await place()).rows).toEqual(untouched)
})

test('a row that another one or a trigger keeps out is counted and listed, and one that a trigger alters is not', async ({
  database,
}) => {
  const { table, archive } = await archived(database)
  const name = quoted(table)
  await runSql(
    database,
    sql`create unique index on ${name} (body) where body like 'x%'; update ${name} set body = 'x3' where id = 99`.text,
  )
  await runSql(
    database,
    `create function alter_some() returns trigger language plpgsql as $$ begin
      if new.id = 8 then return null; end if; new.at := now(); return new; end $$;
      create trigger altering before insert on ${name.text} for each row execute function alter_some()`,
  )

  const { restored } = await restoreFrom(archive, database.url, { where: 'id <= 10' })
  expect(restored).toMatchObject({ rows: 8, present: 0, differing: 0, refused: 2 })
  expect(restored.conflicts.map(({ key }) => key)).toEqual([['3'], ['8']])
  const shown = (withValues: boolean) =>
    describeRestored({ runId: '1', plan: { ...PLAN, table }, steps: [], restored }, withValues).join('\n')
  expect(shown(true)).toContain('id = 3')
  expect(shown(false)).not.toContain('id = 3')
  expect(shown(false)).toMatch(/2 archived rows were refused[^]*shown with --show-values/)
})

test('two restores into one new table at once: one creates it, the other says so, and no row is there twice', async ({
  database,
}) => {
  const { table, archive } = await archived(database)
  const aside = { schema: table.schema, name: 'notes_back' }
  const faster = await database.session('faster')
  await faster.query(sql`begin; create table ${quoted(aside)} (id int)`.text)
  const slower = restoreFrom(archive, database.url, { into: written(aside) })
  await until(
    async () =>
      (
        await database.admin(
          sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).rowCount === 1,
    { what: 'the restore to wait' },
  )
  await Promise.all([
    expect(slower).rejects.toMatchObject({
      message: expect.stringContaining('another session has just created') as string,
      kind: 'try later',
    }),
    faster.query('commit'),
  ])
  await faster.query(sql`drop table ${quoted(aside)}`.text)

  const both = await Promise.allSettled([1, 2].map(() => restoreFrom(archive, database.url, { into: written(aside) })))
  const failures = both.flatMap((one) => (one.status === 'rejected' ? [one.reason as EbbError] : []))
  for (const failure of failures) expect(failure.message).toMatch(/another session has just created|another run|in use/)
  expect(failures.length).toBeLessThan(2)
  expect(await contentOf(database, aside)).toHaveLength(40)
})

test('a type that is gone is said before the new table is created', async ({ database }) => {
  const table = database.table('moods')
  const owner = await database.session('setup')
  await owner.query(
    sql`create type mood as enum ('good', 'bad'); create table ${quoted(table)} (id int primary key, now mood, note text collate "C")`
      .text,
  )
  const archive = await storeRows(owner, table)
  await owner.query(sql`drop table ${quoted(table)}; drop type mood`.text)

  const into = written(database.table('back'))
  expect(codes(await planRestoreFrom(archive, database.url, { into }))).toEqual(['restore-lacks:now'])
  await expect(restoreFrom(archive, database.url, { into })).rejects.toThrow(ObjectionsError)
})

test('what a receipt calls a type is not executed', async ({ database }) => {
  const table = database.table('notes')
  const owner = await database.session('setup')
  await owner.query(sql`create table ${quoted(table)} (id int primary key)`.text)
  const { table: stored } = await storeRows(owner, table)
  const columns = stored.columns.map((column) => ({
    ...column,
    type: 'integer); create table public.more (id integer',
  }))
  const altered = await storeRows(owner, table, { columns })

  const into = written(database.table('back'))
  await expect(planRestoreFrom(altered, database.url, { into })).rejects.toThrow(/a type that cannot be read/)
  await expect(restoreFrom(altered, database.url, { into })).rejects.toThrow(/a type that cannot be read/)
  expect((await database.admin(`select to_regclass('public.more') as more`)).rows).toEqual([{ more: null }])
})

test('types that were altered since are said before anything is done', async ({ database }) => {
  const table = database.table('typed')
  const owner = await database.session('setup')
  const name = quoted(table).text
  await owner.query(
    `create type mood as enum ('good', 'bad'); create type pair as (a int, b text); create domain small as int;
     create type spread as range (subtype = int);
     create table ${name} (id int primary key, moods mood[], two pair, few small, width spread, spreads spread[]);
     insert into ${name} values (1, '{bad}', (7, 'x'), 3, '[1,2]', '{}')`,
  )
  const folder = await archiveFolder()
  const order = { where: null, to: archiveTo(folder.uri), accept: [] }
  const { receipt: stored } = await carryOut(database.url, written(table), archive, order, quietly())
  const receipt = { receipt: stored.uri }
  await owner.query(`truncate ${name}`)
  expect(codes(await planRestoreFrom(receipt, database.url))).toEqual([])

  await owner.query(
    `alter type mood rename value 'bad' to 'evil'; alter domain small add check (value > 5);
     alter type pair drop attribute a; alter type pair add attribute c text`,
  )
  const changed = ['mood', 'pair', 'small'].map((type) => `restore-changed-type:${table.schema}.${type}`)
  expect(codes(await planRestoreFrom(receipt, database.url))).toEqual(changed)
  expect(codes(await planRestoreFrom(receipt, database.url, { into: written(database.table('back')) }))).toEqual(
    changed,
  )
  await expect(restoreFrom(receipt, database.url, { accept: changed })).rejects.toMatchObject({
    advice: { next: expect.stringMatching(/does not take one of the archived values.*--into/) as unknown },
  })
  await folder.close()
})

plain('rows of the range in the DEFAULT partition are what stops a partition from being created again', () => {
  const [step] = PLAN.steps
  const refused = Object.assign(new Error('updated partition constraint'), { code: '23514' })
  const explained = explainedOf({ ...step!, key: ATTACH_AGAIN }, refused, {
    stopped: false,
    waitedFor: null,
    advice: IN_RUN,
  })
  expect(explained).toMatchObject({ advice: { next: expect.stringMatching(/^The DEFAULT partition of/) as unknown } })
})

describe('several tables', () => {
  test('come back in the order of their foreign keys, one in one transaction that refers to itself', async ({
    database,
  }) => {
    const [lines, orders] = [database.table('lines'), database.table('orders')]
    const owner = await database.session('setup')
    await owner.query(
      sql`create table ${quoted(orders)} (id int primary key, before int references ${quoted(orders)});
      create table ${quoted(lines)} (id int primary key, of int not null references ${quoted(orders)});
      insert into ${quoted(orders)} select n, nullif((n + 1) % 300, 0) from generate_series(0, 299) n;
      insert into ${quoted(lines)} select n, n % 300 from generate_series(1, 500) n`.text,
    )
    const before = [await contentOf(database, orders), await contentOf(database, lines)]
    const archive = await storeTables(owner, [lines, orders], { partBytes: 500 })
    expect(archive.table.objects.length).toBeGreaterThan(2)
    await owner.query(sql`truncate ${quoted(orders)}, ${quoted(lines)}`.text)

    const into = written(database.table('aside'))
    await expect(restoreFrom(archive, database.url, { into })).rejects.toThrow(/has rows of several tables/)
    await expect(restoreFrom(archive, database.url, { where: 'id < 4' })).rejects.toThrow(/has rows of several tables/)
    const hold = { count: 30, unit: 'day' } as const
    const { restored } = await restoreFrom(archive, database.url, { hold })
    expect(restored).toEqual({ ...NOTHING, archived: 800, rows: 800 })
    expect([await contentOf(database, orders), await contentOf(database, lines)]).toEqual(before)
    const { holds } = await status(database.url, quietly())
    expect(holds.map(({ table }) => table.name).sort()).toEqual([lines.name, orders.name].sort())
    const one = await restoreFrom(archive, database.url, { table: written(lines), where: 'id < 4' })
    expect(one.restored).toMatchObject({ archived: 500, rows: 0, present: 3 })
  })
})

test('a restore of several tables has the lease of each, also when it is resumed', async ({ database }) => {
  const [lines, orders] = [database.table('lines'), database.table('orders')]
  const owner = await database.session('setup')
  await owner.query(
    sql`create table ${quoted(orders)} (id int primary key);
    create table ${quoted(lines)} (id int primary key, of int not null references ${quoted(orders)});
    insert into ${quoted(orders)} values (1), (2); insert into ${quoted(lines)} values (1, 1), (2, 2)`.text,
  )
  const archive = await storeTables(owner, [lines, orders])
  await owner.query(
    sql`truncate ${quoted(orders)}, ${quoted(lines)}; create table public.gate (); insert into public.gate default values;
    create function public.wait() returns trigger language plpgsql as $$ begin
      while exists (select from public.gate) loop perform pg_sleep(0.01); end loop; return new; end $$;
    create trigger waiting before insert on ${quoted(lines)} for each row execute function public.wait()`.text,
  )
  const refused = async () => {
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`
    await until(async () => (await database.admin(waits)).rowCount === 1, { what: 'the restore to wait' })
    await expect(restoreFrom(archive, database.url, { table: written(orders) })).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`^ebb restore .* is running on .*${orders.name}`)) as string,
      kind: 'try later',
    })
  }
  const first = restoreFrom(archive, database.url).catch((error: unknown) => error)
  await refused()
  await database.admin(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
  )
  expect(await first).toMatchObject({ kind: 'try later' })
  // A run of another table than its own stops it, too.
  await database.admin(sql`insert into ebb.run (command, schema_name, table_name, request, plan, ebb_version, status)
    values ('mark', ${orders.schema}, ${orders.name}, '{}', '{}', '0', 'running')`)
  const { runs } = await status(database.url, quietly())
  const runId = runs.find(({ command }) => command === 'restore')?.id ?? ''
  await expect(resume(database.url, { runId }, quietly())).rejects.toThrow(/ebb mark .* is unfinished/)
  await database.admin(`update ebb.run set status = 'abandoned' where command = 'mark'`)

  const resumed = resume(database.url, { runId }, quietly())
  await refused()
  await database.admin('delete from public.gate')
  expect(await resumed).toMatchObject({ restored: { rows: 4 } })
})

test('a receipt that was altered after it was written restores nothing', async ({ database }) => {
  const { table, archive } = await archived(database)
  await restoreFrom(archive, database.url, { where: 'false' })
  const id = ARCHIVE
  await database.admin(
    sql`insert into ebb.archive (id, command, schema_name, table_name, relation_oid, relation_schema, relation_name, store, receipt_uri, receipt_sha256)
      values (${id}, 'archive', ${table.schema}, ${table.name}, 1, ${table.schema}, ${table.name}, 'file:///', ${archive.receipt}, ${'0'.repeat(64)})`,
  )

  expect(codes(await planRestoreFrom(archive, database.url))).toEqual(['receipt-altered'])
  await expect(restoreFrom(archive, database.url)).rejects.toThrow(ObjectionsError)
  expect(await contentOf(database, table)).toHaveLength(60)
})

test('restored rows are on hold: no purge removes them before the date, unless that is accepted', async ({
  database,
}) => {
  const { table, archive } = await archived(database)
  await restoreFrom(archive, database.url, { hold: { count: 30, unit: 'day' } })

  const [hold] = (await status(database.url, quietly())).holds
  expect(hold).toMatchObject({ table, bounds: null })
  const request = purgeRequest('id <= 40')
  await expect(purge(database.url, written(table), request, quietly())).rejects.toThrow(ObjectionsError)
  const accept = { ...quietly(), accept: ['hold'] }
  await purge(database.url, written(table), { ...request, accept: ['hold'] }, accept)
  expect(await contentOf(database, table)).toHaveLength(60)
})
