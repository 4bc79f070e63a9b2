import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { differences, type SavedPlan } from '../../src/plan/language/saved.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test as plainTest, type Database } from '../support/database.ts'
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
