import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { planRotationsToSave } from '../../src/engine/commands/rotate-saved.ts'
import { differences, savedPlans, type SavedPlan } from '../../src/plan/language/saved.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test as plainTest, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { ebb, eventsTable } from './support.ts'

const test = plainTest.extend<{ folder: string }>({
  // eslint-disable-next-line no-empty-pattern -- vitest wants it
  folder: async ({}, use) => {
    const path = await mkdtemp(join(tmpdir(), 'ebb-plan-'))
    await use(path)
    await rm(path, { recursive: true })
  },
})

const KEEP = ['--keep', "at > now() - interval '30 days'", '--no-archive']

function rebuild(database: Database, table: TableName, ...words: string[]) {
  return ebb(['rebuild', display(table), ...words, '--url', database.url])
}

test('a saved plan is executed as it was reviewed, although rows have come and statistics have changed', async ({
  database,
  folder,
}) => {
  const file = join(folder, 'plan.json')
  const table = await eventsTable(database)
  const planned = await rebuild(database, table, ...KEEP, '--plan-out', file)
  expect(planned.code, planned.err).toBe(0)
  expect(planned.err).toBe(`plan saved in ${file}\n`)
  expect(planned.out.trimEnd()).toMatch(new RegExp(`To execute: ebb rebuild .* --plan ${file} .*--execute$`))
  expect((await stat(file)).mode & 0o777).toBe(0o600)

  await database.admin(
    sql`insert into ${quoted(table)} (at) select now() - interval '1 day' from generate_series(1, 20000)`,
  )
  await database.admin(sql`analyze ${quoted(table)}`)
  // Expired by now, but not when the plan was made.
  const { now } = JSON.parse(await readFile(file, 'utf8')) as { now: string }
  const edge = sql`timestamptz 'epoch' + ${now}::bigint * interval '1 microsecond' - interval '30 days' + interval '1 microsecond'`
  await database.admin(sql`insert into ${quoted(table)} (at, kind) select ${edge}, 'edge'`)
  const done = await rebuild(database, table, ...KEEP, '--plan', file, '--execute')
  expect(done.code, done.err).toBe(0)
  const { rows } = await database.admin(sql`select kind from ${quoted(table)} where kind = 'edge'`)
  expect(rows).toEqual([{ kind: 'edge' }])
  const again = await rebuild(database, table, ...KEEP, '--plan', file, '--execute')
  expect(again).toMatchObject({ code: 3, err: expect.stringContaining('this plan was carried out by run 1') as string })

  // What is different is shown in a line, also where a condition was written in several.
  const saved = JSON.parse(await readFile(file, 'utf8')) as SavedPlan
  const step = { ...saved.steps[0]!, key: 'more', title: 'delete rows where a\n  and b' }
  expect(differences({ ...saved, steps: [...saved.steps, step] }, saved)).toEqual([
    'no longer planned: delete rows where a and b',
  ])
})

test('a run of a saved plan that was stopped is resumed by the same command', async ({ database, folder }) => {
  const file = join(folder, 'plan.json')
  const table = await eventsTable(database)
  await rebuild(database, table, ...KEEP, '--plan-out', file)
  const stop = new AbortController()
  const err = { isTTY: false, columns: 100, write: (text: string) => void (/step 5 of/.test(text) && stop.abort()) }
  const execute = ['rebuild', display(table), ...KEEP, '--plan', file, '--execute', '--url', database.url]
  expect((await ebb(execute, { err, signal: stop.signal })).code).toBe(4)
  const resumed = await ebb(execute)
  expect(resumed.code, resumed.err).toBe(0)
  const { rows } = await database.admin('select status from ebb.run')
  expect(rows).toEqual([{ status: 'done' }])
})

test('another plan than the saved one is not executed', async ({ database, folder }) => {
  const file = join(folder, 'plan.json')
  const table = await eventsTable(database)
  const other = database.table('other')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(other)} (like ${quoted(table)} including all)`)
  await rebuild(database, table, ...KEEP, '--plan-out', file)
  const refused = async (ran: ReturnType<typeof ebb>) => {
    const { code, err } = await ran
    expect({ code, runs: await database.admin("select to_regclass('ebb.run') as run") }).toMatchObject({
      code: 3,
      runs: { rows: [{ run: null }] },
    })
    return err
  }
  const saved = ['--plan', file, '--execute']
  expect(await refused(rebuild(database, table, '--keep-all', ...saved))).toContain('it was made with other options')
  expect(await refused(rebuild(database, other, ...KEEP, ...saved))).toContain(
    `it is of ebb rebuild for public.${table.name} in database`,
  )
  await database.admin(sql`alter table ${quoted(table)} add column more text`)
  const err = await refused(rebuild(database, table, ...KEEP, ...saved))
  expect(err).toContain('this is not what was saved: the definition of the table has changed')
  expect(err).toMatch(/planned otherwise: /)
  expect(err).toContain('Plan again with --plan-out, and look at the new plan.')

  // The same name, but another table.
  await database.admin(sql`drop table ${quoted(other)}`)
  await database.admin(sql`alter table ${quoted(table)} drop column more`)
  const changed = join(folder, 'changed.json')
  await writeFile(changed, (await readFile(file, 'utf8')).replace(/"oid": "\d+"/, '"oid": "1"'))
  expect(await refused(rebuild(database, table, ...KEEP, '--plan', changed, '--execute'))).toContain('it is of ebb')
})

test('a file that is no plan, or is there already, is refused before anything is read', async ({
  database,
  folder,
}) => {
  const file = join(folder, 'plan.json')
  const table = await eventsTable(database)
  const missing = await rebuild(database, table, ...KEEP, '--plan', file, '--execute')
  expect(missing).toMatchObject({ code: 2, err: expect.stringContaining(`cannot read ${file}`) as string })
  await writeFile(file, '{"type":"ebb plan"}')
  const damaged = await rebuild(database, table, ...KEEP, '--plan', file, '--execute')
  expect(damaged).toMatchObject({ code: 2, err: expect.stringContaining('is not a plan of this version') as string })
  const present = await rebuild(database, table, ...KEEP, '--plan-out', file)
  expect(present).toMatchObject({ code: 2, err: expect.stringContaining('already exists') as string })
  expect(await readFile(file, 'utf8')).toBe('{"type":"ebb plan"}')
  for (const [words, message] of [
    [['--plan', file], '--plan: it requires --execute'],
    [['--plan-out', file, '--execute'], '--plan-out: it saves a plan that is not executed yet'],
  ] as const)
    expect((await rebuild(database, table, ...KEEP, ...words)).err).toContain(message)
})

test('so are plans of the other commands', async ({ database, folder }) => {
  const table = await eventsTable(database)
  await database.admin(sql`alter table ${quoted(table)} add column gone boolean not null default false`)
  const commands = [
    ['mark', '--where', "at < now() - interval '70 days'", '--set', 'gone'],
    ['purge', '--where', "at < now() - interval '60 days'", '--no-archive'],
    ['archive', '--archive', folder],
    ['partition', '--by', 'at', '--every', 'month'],
    ['split', '--keep', '40 days', '--no-archive'],
  ]
  for (const [command = '', ...words] of commands) {
    const file = join(folder, `${command}.json`)
    const line = [command, display(table), ...words, '--url', database.url]
    const planned = await ebb([...line, '--plan-out', file])
    expect(planned.code, planned.err).toBe(0)
    await database.admin(sql`insert into ${quoted(table)} (at) select now() from generate_series(1, 300)`)
    const done = await ebb([...line, '--plan', file, '--execute'])
    expect(done.code, `${command}: ${done.err}`).toBe(0)
  }
})

test('a restore is of the receipt and of the tables that there were', async ({ database, folder }) => {
  const table = await eventsTable(database)
  await database.admin(sql`delete from ${quoted(table)} where id > 40`)
  const url = ['--url', database.url]
  await ebb(['archive', display(table), '--archive', folder, '--execute', ...url])
  const found = (await readdir(folder, { recursive: true })).find((name) => name.endsWith('receipt.json'))
  const receipt = join(folder, found ?? '')
  await database.admin(sql`delete from ${quoted(table)}; drop schema ebb cascade`)
  const file = join(folder, 'plan.json')
  const line = ['restore', receipt, ...url]
  const planned = await ebb([...line, '--plan-out', file])
  expect(planned.code, planned.err).toBe(0)

  const executing = [...line, '--plan', file, '--execute']
  const refused = async (words: readonly string[] = executing) => {
    const { code, err } = await ebb(words)
    expect({ code, rows: await countOf(database, table) }, err).toMatchObject({ code: 3 })
    return err
  }
  // Another receipt at the same address, of which the journal of this database has no digest.
  const text = await readFile(receipt, 'utf8')
  await writeFile(receipt, `${text} `)
  expect(await refused()).toContain('the receipt has changed')
  await writeFile(receipt, text)

  await database.admin(sql`insert into ${quoted(table)} (at) values (now())`)
  expect(await refused()).toContain(`whether ${display(table)} is empty has changed`)
  await database.admin(sql`delete from ${quoted(table)}`)
  // The moment in the file is not to come: else rows could be said to be expired that are not.
  const later = join(folder, 'later.json')
  await writeFile(later, (await readFile(file, 'utf8')).replace(/"now": "\d+"/, '"now": "4102444800000000"'))
  expect(await refused([...line, '--plan', later, '--execute'])).toContain('is still to come, by the server’s clock')
  // Nor of a table that does not exist, before or since.
  const into = ['--into', 'public.nowhere']
  for (const words of [
    ['--plan-out', join(folder, 'new.json')],
    ['--plan', file, '--execute'],
  ])
    expect(await ebb([...line, ...into, ...words])).toMatchObject({
      code: 2,
      err: expect.stringContaining(
        'public.nowhere does not exist, and a plan that is saved is of a table that does',
      ) as string,
    })

  const done = await ebb(executing)
  expect(done.code, done.err).toBe(0)
  expect(await countOf(database, table)).toBe(40)
  expect(await refused()).toContain('this plan was carried out by run 1')
})

async function countOf(database: Database, table: TableName): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`)
  return rows[0]?.n ?? -1
}

const STALE = ['--stale-group', 'experiment', '--activity', 'at', '--idle', '30 days', '--no-archive']

test('stale groups are those of the moment of the plan, and one that has become active since stays', async ({
  database,
  folder,
}) => {
  await database.admin(`set role ebb_owner;
    create table experiments (id int primary key, archived boolean not null default false);
    insert into experiments select generate_series(1, 9);
    create table seen (id bigint generated always as identity primary key, experiment int references experiments, at timestamptz not null);
    insert into seen (experiment, at) select e, now() - interval '90 days' from generate_series(1, 4) e, generate_series(1, 50);
    insert into seen (experiment, at) select e, now() - interval '29 days' from generate_series(5, 6) e, generate_series(1, 50);
    insert into seen (experiment, at) select e, now() from generate_series(7, 9) e, generate_series(1, 50);
    create index on seen (experiment, at); analyze`)
  const file = join(folder, 'plan.json')
  const line = ['purge', 'seen', ...STALE, '--flag', 'experiments.archived', '--url', database.url]
  const planned = await ebb([...line, '--plan-out', file])
  expect(planned.code, planned.err).toBe(0)
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
    type: 'ebb plans',
    plans: [{ command: 'mark' }, { command: 'purge' }],
  })
  const execute = [...line, '--plan', file, '--execute']
  const left = async () => {
    const { rows } = await database.admin<{ left: string; flagged: string }>(
      `select (select string_agg(distinct experiment::text, ' ') from seen) as left,
        (select string_agg(id::text, ' ' order by id) from experiments where archived) as flagged`,
    )
    return rows[0]
  }
  const withoutFlag = line.filter((word) => !/flag|archived/.test(word) || word === '--no-archive')
  for (const [words, why] of [
    [[...withoutFlag, '--plan', file, '--execute'], 'it was made with other options'],
    [execute.map((word) => (word === '30 days' ? '31 days' : word)), 'it was made with other options'],
  ] as const)
    expect(await ebb(words)).toMatchObject({ code: 3, err: expect.stringContaining(why) as string })
  await database.admin('alter table seen add column more int')
  // Neither the rows nor their groups.
  expect(await ebb(execute)).toMatchObject({
    code: 3,
    err: expect.stringContaining('the definition of the table has changed') as string,
  })
  expect((await left())?.flagged).toBe(null)
  await database.admin('alter table seen drop column more')

  await database.admin(`insert into seen (experiment, at) values (4, now())`)
  const [plan] = (JSON.parse(await readFile(file, 'utf8')) as { plans: SavedPlan[] }).plans
  // Active at the moment of the plan, and idle by now.
  const edge = sql`timestamptz 'epoch' + ${plan?.now}::bigint * interval '1 microsecond' - interval '30 days' + interval '1 microsecond'`
  await database.admin(sql`update seen set at = ${edge} where experiment in (5, 6)`)
  // Stopped when the groups are flagged, with the deletion begun, and not begun.
  const stopped = async () => {
    const stop = new AbortController()
    const err = { isTTY: false, columns: 100, write: (text: string) => void (/delete rows/.test(text) && stop.abort()) }
    expect((await ebb(execute, { err, signal: stop.signal })).code).toBe(4)
    expect(await left()).toEqual({ left: '1 2 3 4 5 6 7 8 9', flagged: '1 2 3' })
  }
  await stopped()
  expect((await ebb(['abandon', 'seen', '--execute', '--url', database.url])).code).toBe(0)
  await stopped()
  const done = await ebb(execute)
  expect(done.code, done.err).toBe(0)
  expect(await left()).toEqual({ left: '4 5 6 7 8 9', flagged: '1 2 3' })
  expect(await ebb(execute)).toMatchObject({
    code: 3,
    err: expect.stringContaining('this plan was carried out by run 3') as string,
  })
})

/** Seven months with a row in each, the last of them this one. */
async function monthsOf(database: Database, table: string): Promise<void> {
  await database.admin(`
    set role ebb_owner; set timezone = 'UTC';
    create table public.${table} (at timestamptz not null) partition by range (at);
    do $$ declare m date := date_trunc('month', now()); k int; begin
      for k in 0..6 loop
        execute format('create table public.${table}_%s partition of public.${table} for values from (%L) to (%L)',
          6 - k, m - k * interval '1 month', m - (k - 1) * interval '1 month');
        execute format('insert into public.${table} values (%L)', m - k * interval '1 month');
      end loop;
    end $$`)
}

async function partitionsOf(database: Database, table: string): Promise<string> {
  const { rows } = await database.admin<{ names: string }>(
    `select string_agg(inhrelid::regclass::text, ' ' order by inhrelid) as names from pg_inherits where inhparent = '${table}'::regclass`,
  )
  return (rows[0]?.names ?? '').replaceAll(`${table}_`, '')
}

const ROTATE = ['--keep', '60 days', '--no-archive']

test('a rotation that was saved is of the partitions that were due then, and is continued when it was stopped', async ({
  database,
  folder,
}) => {
  await monthsOf(database, 'seen')
  await monthsOf(database, 'sent')
  const file = join(folder, 'plan.json')
  const line = ['rotate', 'seen', 'sent', ...ROTATE, '--url', database.url]
  const planned = await ebb([...line, '--plan-out', file])
  expect(planned.code, planned.err).toBe(0)
  expect(planned.out).toContain(`--plan ${file} `)
  const before = await partitionsOf(database, 'sent')
  const execute = [...line, '--plan', file, '--execute']
  const refused = async (why: string, words: readonly string[] = execute) => {
    const { code, err } = await ebb(words)
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining(why) as string })
    expect(err).toContain('Plan again with --plan-out, and look at the new plan.')
    // Not of the other table either.
    expect(await partitionsOf(database, 'sent')).toBe(before)
  }

  await refused(
    'it was made with other options',
    execute.map((word) => (word === '60 days' ? '50 days' : word)),
  )
  const edited = join(folder, 'edited.json')
  const content = await readFile(file, 'utf8')
  for (const [a, b, why] of [
    [/"database": ".*?"/, '"database": "other"', 'in database other'],
    [/"now": "\d+"/, '"now": "4102444800000000"', 'the moment that it is of is still to come'],
    [/"now": "\d+"/, '"now": "1262304000000000"', 'planned otherwise'],
    [/"key": "detach:public.seen_1"/, '"key": "detach:public.seen_6"', 'planned in addition: detach public.seen_1'],
  ] as const) {
    await writeFile(edited, content.replace(a, b))
    const line = execute.map((word) => (word === file ? edited : word))
    if (why === 'planned otherwise') expect((await ebb(line)).err).toMatch(/planned in addition|no longer planned/)
    else await refused(why, line)
  }

  await database.admin('alter table seen detach partition seen_1')
  await refused('public.seen: no longer planned: detach public.seen_1; no longer planned: drop public.seen_1')
  await replaceFirst(database, 'seen')
  await refused('public.seen: partition public.seen_1 has changed')

  // Of a month ago: what has become due since stays.
  const [moment] = (
    await database.admin<{ moment: string }>(
      `select (extract(epoch from now() - interval '45 days') * 1000000)::bigint::text as moment`,
    )
  ).rows
  const earlier = join(folder, 'earlier.json')
  await planEarlier(database, line.slice(1, 3), moment?.moment ?? '', earlier)
  const stop = new AbortController()
  const err = {
    isTTY: false,
    columns: 100,
    write: (text: string) => void (/drop public.seen_1/.test(text) && stop.abort()),
  }
  const then = execute.map((word) => (word === file ? earlier : word))
  expect((await ebb(then, { err, signal: stop.signal })).code).toBe(4)
  const done = await ebb(then)
  expect(done.code, done.err).toBe(0)
  const { rows } = await database.admin<{ n: number }>(
    `select count(*)::int as n from pg_class where relname ~ '^(seen|sent)_[0-6]$' and relkind = 'r'`,
  )
  expect(rows[0]?.n).toBeGreaterThan(2 * 3)
  expect(await ebb(then)).toMatchObject({
    code: 3,
    err: expect.stringContaining('was carried out by rotations since') as string,
  })
  // By now more is due.
  expect((await ebb([...line, '--execute'])).out).toMatch(/dropped/)
})

test('a partition that is exchanged after all sets were compared, before its own is rotated, is left alone', async ({
  database,
  folder,
}) => {
  await monthsOf(database, 'seen')
  await monthsOf(database, 'sent')
  const file = join(folder, 'plan.json')
  const line = ['rotate', 'seen', 'sent', ...ROTATE, '--url', database.url]
  const planned = await ebb([...line, '--plan-out', file])
  expect(planned.code, planned.err).toBe(0)

  const reader = await database.session('reader')
  await reader.query('begin; select from seen_1')
  let said = ''
  const err = { isTTY: false, columns: 100, write: (text: string) => void (said += text) }
  const rotating = ebb([...line, '--plan', file, '--execute'], { err })
  await until(() => said.includes('(reader)'), { what: 'the first set to wait' })
  await database.admin('alter table sent detach partition sent_1')
  await replaceFirst(database, 'sent')
  await reader.query('commit')

  const { code, out } = await rotating
  expect(code, out).not.toBe(0)
  expect(out + said).toContain('partition public.sent_1 has changed')
  expect((await partitionsOf(database, 'sent')).split(' ')).toContain('1')
  expect((await partitionsOf(database, 'seen')).split(' ')).not.toContain('1')
})

/** Puts another table in the place of the first partition, which is detached: of the same name, and with the same bounds. */
async function replaceFirst(database: Database, table: string): Promise<void> {
  await database.admin(`
    set role ebb_owner; set timezone = 'UTC'; drop table ${table}_1; create table ${table}_1 (at timestamptz not null);
    do $$ declare m date := date_trunc('month', now()) - interval '5 months'; begin
      execute format('alter table ${table} attach partition ${table}_1 for values from (%L) to (%L)', m, m + interval '1 month');
    end $$`)
}

async function planEarlier(database: Database, tables: readonly string[], now: string, file: string): Promise<void> {
  const request = {
    tables: tables.map((name) => ({ schema: null, name })),
    keep: { count: 60, unit: 'day' },
    retire: 'drop',
    grace: null,
    archive: null,
    noArchive: true,
    forget: false,
    accept: [],
  } as const
  const options = { journalSchema: 'ebb', observer: () => {}, signal: new AbortController().signal, now }
  const { saved } = await planRotationsToSave(database.url, request, options)
  await writeFile(file, JSON.stringify(savedPlans(saved ?? [])))
}
