import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test as plainTest, vi } from 'vitest'
import { withSession } from '../../src/db/session.ts'
import { check, run, status, UsageError, type Config } from '../../src/index.ts'
import { forgetMissing } from '../../src/journal/sets.ts'
import { failuresOf, kindOf } from '../../src/policy/outcome.ts'
import { findPolicies } from '../../src/policy/plan-policies.ts'
import { runPolicies, withinWindow } from '../../src/policy/run-policies.ts'
import { describeRetired, describeRun } from '../../src/policy/describe-run.ts'
import { withLockLimits } from '../../src/policy/policy.ts'
import { policiesOfProgram } from '../../src/policy/read-config.ts'
import { sql } from '../../src/sql/sql.ts'
import { ebb, objects } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { quietly } from '../support/tool.ts'

/** Sets with two old months and this one, a row in each. */
async function sets(database: Database, from: number, to: number): Promise<void> {
  await database.admin(`
    set role ebb_owner; set timezone = 'UTC';
    do $$ declare m date := date_trunc('month', now()); i int; k int; begin
      for i in ${from}..${to} loop
        execute format('create table public.set_%s (at timestamptz not null, id int) partition by range (at)', i);
        for k in 0..2 loop
          execute format('create table public.set_%1$s_%2$s partition of public.set_%1$s for values from (%3$L) to (%4$L)', i,
            to_char(m - k * interval '1 month', 'YYYY_MM'), m - k * interval '1 month', m - (k - 1) * interval '1 month');
          execute format('insert into public.set_%s values (%L, %s)', i, m - k * interval '1 month', k);
        end loop;
      end loop;
    end $$`)
}

async function rowsIn(database: Database, table: string): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(`select count(*)::int as n from ${table}`)
  return rows[0]?.n ?? -1
}

/** Another run that is at work on a table of this schema. */
async function anotherRunOn(database: Database, table: string): Promise<void> {
  const other = await database.session('ebb purge abc123')
  await other.query(`insert into ebb.lease (schema_name, table_name, token, holder, backend_pid, expires_at)
    values ('public', '${table}', 7, 'ebb purge abc123', pg_backend_pid(), now() + interval '1 hour')
    on conflict (schema_name, table_name) do update set holder = excluded.holder, expires_at = excluded.expires_at, token = 7`)
}

const SET = { partition: { by: 'at', every: 'month', premake: 1 }, keep: '40 days', archive: 'none' }

test('what is due is done, table after table, and what is broken is named', async ({ database, onTestFinished }) => {
  await sets(database, 1, 4)
  await database.admin(`
    set role ebb_owner;
    create table public.logs (id int primary key, level text, at timestamptz default now() - interval '60 days');
    insert into public.logs select n, case when n % 2 = 0 then 'debug' else 'error' end from generate_series(1, 1000) n;
    create table public.plain (at timestamptz); create table public.misspelt (created timestamptz);
    reset role; create table public.foreigners (id int); revoke all on public.foreigners from ebb_owner`)
  const folder = await mkdtemp(join(tmpdir(), 'ebb-run-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.json')
  const config = {
    policies: {
      'public.set_1': { ...SET, keepJournal: '7 years' },
      'public.foreigners': { purge: { where: 'id > 0' }, archive: 'none' },
      'public.misspelt': { purge: { where: 'kreated < now()' }, archive: 'none' },
      'public.set_2': { partition: SET.partition, keep: '40 days' },
      'public.plain': SET,
      'public.logs': { purge: { where: "level = 'debug' and at < now() - interval '30 days'" }, archive: 'none' },
      set_3: { keep: '40 days', retire: 'detach' },
    },
  } satisfies Config
  await writeFile(file, JSON.stringify(config))

  const plan = await ebb(['run', '--config', file, '--url', database.url])
  expect(plan.code).toBe(1)
  expect(plan.out).toContain('-- 7 policies.\n')
  // As PostgreSQL points at it, line by line.
  const pointed = 'column "kreated" does not exist\n--   kreated < now()\n--   ^\n'
  expect(plan.out).toContain(pointed.replaceAll('\n--   ', '\n--     '))
  expect((await status(database.url)).sets).toEqual([])

  const done = await ebb(['run', '--config', file, '--url', database.url, '--execute'])
  expect(done.out, done.err).toMatch(
    /7 policies: 3 done\nFailed: public.misspelt\nWith blocking issues: public.foreigners, public.set_2, public.plain\n/,
  )
  expect(done.out).toMatch(
    /not-partitioned:public.plain.*\n.*ebb partition public.plain --by at --every '1 month' --keep '40 days'/,
  )
  expect(done.code).toBe(1)
  expect(await rowsIn(database, 'public.logs')).toBe(500)
  expect(await rowsIn(database, 'public.set_1')).toBe(1 + 1)
  expect(await rowsIn(database, 'public.set_3')).toBe(1 + 1)
  // Without a word on archives nothing is removed, but partitions are there ahead.
  expect(await rowsIn(database, 'public.set_2')).toBe(3)
  expect(done.out).toMatch(/public.set_2: .*\n {2}created public.set_2_/)
  // What was detached is still there.
  expect(done.out).toMatch(/ {2}dropped public.set_1_\w+: \d/)
  expect(done.out).toMatch(/ {2}detached public.set_3_\w+: \d/)

  const kept = await database.admin('select table_name, keep::text from ebb.journal_retention')
  expect(kept.rows).toEqual([{ table_name: 'set_1', keep: '7 years' }])

  // Started again, nothing is due any more.
  const again = await ebb([
    'run',
    '--config',
    file,
    '--only',
    'set_1',
    '--only',
    'public.logs',
    '--url',
    database.url,
    '--json',
    '--execute',
  ])
  expect(again.code).toBe(0)
  expect(objects(again.out).at(-1)).toMatchObject({
    type: 'result',
    result: {
      policies: [
        { name: 'public.set_1', outcome: 'done', created: [], retired: [] },
        { name: 'public.logs', purged: [{ rows: 0 }] },
      ],
    },
  })

  // A typing error removes nothing; partitions are created by what is in force.
  const typo = { policies: { 'public.set_1': { ...SET, keep: '9 days' } } }
  const refused = await run(database.url, { config: typo, execute: true })
  expect(refused.policies).toMatchObject([
    { notNow: 'its policy has blocking issues', objections: [{ code: 'shorter-keep:public.set_1' }] },
  ])
  expect(await rowsIn(database, 'public.set_1')).toBe(2)
  await run(database.url, { config: typo, accept: ['shorter-keep:public.set_1'], execute: true })
  expect(await rowsIn(database, 'public.set_1')).toBe(1)

  // A dropped table is noted; one that was never there is a fault, and then nothing is done.
  await database.admin('drop table public.set_3')
  const gone = await run(database.url, { config, only: ['set_3'], execute: true })
  expect(gone).toMatchObject({ policies: [], gone: ['set_3'] })
  expect((await status(database.url)).sets.map(({ table }) => table.name)).toEqual(['set_1', 'set_2'])
  const wrong = { policies: { 'public.sett_1': SET, 'public.set_4': SET, 'public.sett_2': SET } }
  await writeFile(file, JSON.stringify(wrong, null, 2))
  const faults = await ebb(['run', '--config', file, '--url', database.url, '--execute'])
  expect(faults.code).toBe(2)
  expect(faults.err).toMatch(
    /2 faults:\n.*ebb.config.json:3:5: public.sett_1: there is no such table\n.*ebb.config.json:21:5: public.sett_2/,
  )
  expect(await rowsIn(database, 'public.set_4')).toBe(3)
})

plainTest('partitions that are detached for a while are said to be, and until when', () => {
  const partition = (name: string) => ({ partition: { schema: 'public', name }, bytes: 8192, goesFrom: null })
  const goesFrom = '2026-12-06 01:10 UTC'
  expect(
    describeRetired([
      { ...partition('a'), outcome: 'detached', goesFrom },
      { ...partition('b'), outcome: 'dropped' },
      { ...partition('c'), outcome: 'detached', goesFrom },
    ]),
  ).toEqual([
    'detached public.a, public.c: 16.4 kB, to be dropped from 2026-12-06 01:10 UTC on',
    'dropped public.b: 8.2 kB',
  ])
})

test('a window and a budget end the work, and partitions are created all the same', async ({
  database,
  onTestFinished,
}) => {
  await sets(database, 1, 2)
  const { rows } = await database.admin<{ closed: string }>(
    sql`select to_char(now() at time zone 'UTC' + interval '2 hours', 'HH24:MI') || '-' || to_char(now() at time zone 'UTC' + interval '3 hours', 'HH24:MI') as closed`,
  )
  const config = {
    policies: { 'public.set_1': { ...SET, pace: { windows: [rows[0]?.closed ?? ''] } }, 'public.set_2': SET },
  }
  const report = await run(database.url, { config, only: ['set_1'], execute: true })
  expect(report.policies).toMatchObject([{ notNow: 'it is outside its windows', failed: [] }])
  expect(report.policies[0]?.rotation?.sets).toMatchObject([{ created: [{}], retired: [], failed: [] }])
  // What waits for its window is not idle, and is shown.
  const folder = await mkdtemp(join(tmpdir(), 'ebb-run-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.json')
  await writeFile(file, JSON.stringify(config))
  const words = ['run', '--config', file, '--url', database.url, '--only']
  const { out } = await ebb([...words, 'set_1'])
  expect(out).toContain('-- policy of public.set_1\n-- nothing is removed: it is outside its windows\n')
  expect(out).toContain('-- 1 policy.\n')
  expect(await ebb([...words, 'set_3'])).toMatchObject({
    code: 2,
    err: expect.stringMatching(
      /no policy for set_3\n.*\n next: Name tables of the config: public.set_1, public.set_2\.\n/,
    ) as string,
  })
  const none = await run(database.url, { config, maxDurationMs: 1, execute: true })
  expect(none).toMatchObject({ ended: 'time is up', left: ['public.set_2'] })
  expect(await rowsIn(database, 'public.set_2')).toBe(3)

  // What the whole run is given of locks comes before what its policies say, also by a variable.
  const migration = await database.session('migration')
  await migration.query('begin')
  await migration.query('lock table public.set_2 in share update exclusive mode')
  const locked = await ebb([...words, 'set_2', '--execute'], { env: { EBB_DEADLINE: '1 second' } })
  expect(locked).toMatchObject({
    code: 75,
    out: expect.stringMatching(/in use throughout 1 s: pid \d+ \(migration/) as string,
  })
  await migration.query('rollback')
})

test('when the time is up, locks are tried for a while in all, and a wait for another run is over', async ({
  database,
}) => {
  await sets(database, 1, 5)
  const named = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`public.set_${n}`, SET]))
  const policies = await policiesOfProgram({ policies: named })
  const asked = quietly({ waitMs: 600_000 })
  const found = await findPolicies(database.url, policies, [], asked)
  await run(database.url, { config: { policies: named }, only: ['set_1'], execute: true })

  // The first is waited for, as another run is at work on it; two of the others are locked, and not read either; on the last
  // there is another run, too, and it is not waited for.
  await anotherRunOn(database, 'set_1')
  await anotherRunOn(database, 'set_5')
  const migration = await database.session('migration')
  await migration.query('begin; lock table public.set_2, public.set_3 in share update exclusive mode')
  const timeIsUp = new AbortController()
  const observer: typeof asked.observer = (event) => {
    if (event.type === 'waiting' && event.table.name === 'set_1') timeIsUp.abort()
  }
  const options = { ...asked, observer }
  const report = await runPolicies(database.url, found, timeIsUp.signal, options, { ofEachMs: 5_000, inAllMs: 900 })
  await migration.query('rollback')

  expect(report).toMatchObject({ ended: 'time is up', left: [2, 3, 4, 5].map((n) => `public.set_${n}`) })
  expect(kindOf(report)).toBe('try later')
  const [, first, second, third, fourth] = [...report.policies, ...report.ahead].map((one) =>
    failuresOf(one).map(({ error }) => error.message),
  )
  expect(first).toEqual([expect.stringMatching('set_2 within 1 s')])
  expect(second).toEqual([expect.stringMatching('set_3 within 0 s')])
  expect(third).toEqual([])
  expect(fourth).toEqual([expect.stringMatching('is still running on public.set_5 after 0 s')])
})

test('a window that closes ends a wait for another run, and nothing of its policy is begun afterwards', async ({
  database,
}) => {
  await sets(database, 1, 2)
  const { rows } = await database.admin<{ window: string }>(
    `select to_char(at - interval '2 hours', 'HH24:MI-') || to_char(at + interval '2 hours', 'HH24:MI') as window
     from (select now() at time zone 'UTC' as at) x`,
  )
  const policy = { ...SET, purge: { where: 'id >= 0' }, wait: '5 minutes', pace: { windows: [rows[0]?.window ?? ''] } }
  const policies = await policiesOfProgram({ policies: { 'public.set_1': policy, 'public.set_2': SET } })
  await run(database.url, { config: { policies: { 'public.set_1': SET } }, execute: true })
  await anotherRunOn(database, 'set_1')
  const closing = spyOnTimers(60 * 60_000)
  const options = quietly()
  const found = await findPolicies(database.url, policies, [], options)
  const report = await runPolicies(database.url, found, new AbortController().signal, {
    ...options,
    observer: (event) => event.type === 'waiting' && event.reason.includes('abc123') && closing.fire(),
  })

  expect(closing.milliseconds).toHaveLength(1)
  expect(report).toMatchObject({ ended: null, left: [], policies: [{ purged: [], failed: [] }, { failed: [] }] })
  const [first, second] = report.policies.map((one) => failuresOf(one).map(({ error }) => error.message))
  expect(first).toEqual(['stopped while rotating public.set_1'])
  expect(second).toEqual([])
  expect(describeRun(report, '', false)).toContain('To be continued: public.set_1')
  expect(kindOf(report)).toBe('try later')
  expect(await rowsIn(database, 'public.set_1')).toBe(2)
  expect(await rowsIn(database, 'public.set_2')).toBe(2)
})

/** Knows the timers that are longer than this, and can let the first of them run out. */
function spyOnTimers(longerThanMs: number) {
  const real = globalThis.setTimeout
  const held: { readonly fire: () => void; readonly ms: number }[] = []
  const spy = vi.spyOn(globalThis, 'setTimeout').mockImplementation((fire, ms = 0) => {
    if (ms > longerThanMs) held.push({ fire, ms })
    return real(fire, ms)
  })
  onTestFinished(() => spy.mockRestore())
  return { milliseconds: held, fire: () => held[0]?.fire() }
}

plainTest('a window closes although nothing refers to its end, and memory is tidied up meanwhile', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await withinWindow(20, new AbortController().signal, async (signal) => {
    const closed = once(signal, 'abort')
    await setImmediate()
    collect()
    // Timers run out in their order, on a slow machine too.
    await Promise.race([closed, setTimeout(1000)])
    expect(signal.aborted).toBe(true)
  })
})

test('a view is kept as its policy says, and no command removes rows before the day of a hold', async ({
  database,
}) => {
  await database.admin(`
    set role ebb_owner;
    create table public.logs (id int primary key, level text, at timestamptz default now() - interval '60 days');
    insert into public.logs select n, case when n % 2 = 0 then 'debug' else 'error' end from generate_series(1, 100) n`)
  const view = { expired: "level = 'debug'", keep: { by: 'at', interval: '90 days' } }
  const purge = { where: "level = 'debug'" }
  const asked = (policy: object) => ({ config: { policies: { 'public.logs': { archive: 'none', ...policy } } } })
  const held = asked({ view, purge, hold: { until: '2999-01-01', reason: 'an audit' } })
  const codes = async (given: ReturnType<typeof asked>) => (await check(database.url, given)).map(({ code }) => code)
  expect(await codes(held)).toEqual(['not-in-force', 'view'])
  const first = await run(database.url, { ...held, execute: true })
  const notNow = 'it is on hold until 2999-01-01 (an audit)'
  expect(first.policies).toMatchObject([{ notNow, purged: [], objections: [], failed: [], view: { runId: '1' } }])
  expect(await rowsIn(database, 'public.logs_live')).toBe(50)
  // Replacing it takes a lock for which its readers wait, so nothing is done where nothing is different.
  expect(await codes(held)).toEqual([])
  expect((await run(database.url, { ...held, execute: true })).policies).toMatchObject([{ view: null }])
  await database.admin('alter table public.logs add column more int; grant select on public.logs to public')
  expect(await codes(held)).toEqual(['view'])
  expect((await run(database.url, { ...held, execute: true })).policies).toMatchObject([{ view: { runId: '2' } }])
  expect(await rowsIn(database, 'public.logs_live where more is null')).toBe(50)
  // By hand, its comment stays as it was.
  await database.admin('create or replace view public.logs_live as select id, level, at, more from public.logs')
  expect(await codes(held)).toEqual(['view'])
  expect((await run(database.url, { ...held, execute: true })).policies).toMatchObject([{ view: { runId: '3' } }])
  expect(await rowsIn(database, 'public.logs_live')).toBe(50)
  expect(await codes(held)).toEqual([])

  // By hand neither; and leaving it out is no way around it.
  const words = ['purge', 'public.logs', '--where', purge.where, '--no-archive', '--execute', '--url', database.url]
  expect(await ebb(words)).toMatchObject({
    code: 3,
    out: expect.stringContaining(
      'all rows of public.logs are on hold until 2999-01-01 (by its policy: an audit)',
    ) as string,
  })
  expect((await run(database.url, { ...asked({ view, purge }), execute: true })).policies).toMatchObject([{ notNow }])
  const over = asked({ view, purge, hold: { until: '2020-01-01' } })
  expect((await run(database.url, { ...over, execute: true })).policies).toMatchObject([
    { notNow: 'its policy has blocking issues', objections: [{ code: 'shorter-hold:public.logs' }] },
  ])
  expect(await rowsIn(database, 'public.logs')).toBe(100)
  await run(database.url, { ...over, accept: ['shorter-hold:public.logs'], execute: true })
  expect(await rowsIn(database, 'public.logs')).toBe(50)
})

test('a renamed key is the key of the policy; a table created again under the name is another one', async ({
  database,
}) => {
  await sets(database, 1, 1)
  const config = { policies: { 'public.set_1': SET } } satisfies Config
  await run(database.url, { config, execute: true })
  await database.admin('alter table public.set_1 rename at to seen_at')
  const [before] = (await run(database.url, { config, execute: true })).policies
  expect(before!.objections).toMatchObject([{ code: 'other-key:public.set_1', fix: 'Write by: seen_at.' }])
  const renamed = { policies: { 'public.set_1': { ...SET, partition: { ...SET.partition, by: 'seen_at' } } } }
  expect((await run(database.url, { config: renamed, execute: true })).policies).toMatchObject([
    { objections: [], failed: [] },
  ])
  expect(await check(database.url, { config: renamed })).toEqual([])

  await database.admin('drop table public.set_1')
  await sets(database, 1, 1)
  await database.admin('alter table public.set_1 rename at to seen_at')
  expect(await ebb(['rotate', '--all', '--no-archive', '--url', database.url])).toMatchObject({
    code: 3,
    out: expect.stringContaining('It is not the table that was registered') as string,
  })
  expect((await run(database.url, { config: renamed, execute: true })).policies).toMatchObject([{ objections: [] }])
})

test('a table that was renamed is no table that was dropped', async ({ database }) => {
  await sets(database, 1, 2)
  await database.admin(`set role ebb_owner; create table public.logs (id int primary key)`)
  const purge = { purge: { where: 'id > 0' }, archive: 'none' }
  const config = { policies: { 'public.set_1': SET, 'public.set_2': SET, 'public.logs': purge } } satisfies Config
  expect((await run(database.url, { config, execute: true })).policies).toMatchObject(Array(3).fill({ failed: [] }))
  await database.admin(`alter table public.set_1 rename to set_one; alter table public.logs rename to "Logs"`)

  const renamed = { objections: [{ code: 'renamed' }] }
  const set1 = { name: 'public.set_1', table: { name: 'set_1' } }
  const again = await run(database.url, { config, execute: true })
  expect(again).toMatchObject({
    gone: [],
    policies: [{ ...set1, ...renamed }, { name: 'public.logs', ...renamed }, {}],
  })
  const found = (await check(database.url, { config })).filter(({ code }) => code === 'blocked:renamed')
  expect(found.map(({ text }) => text.split(':', 1)[0])).toEqual([
    'public.set_1 was renamed to public.set_one',
    'public.logs was renamed to public."Logs"',
  ])
  for (const how of [[], ['--execute']]) {
    const all = await ebb(['rotate', '--all', '--no-archive', '--url', database.url, ...how])
    expect(all).toMatchObject({ code: 3, out: expect.stringContaining('or by ebb rotate public.set_one') as string })
    expect(all.out).not.toContain('no longer exists')
  }
  // Nor is it forgotten where it is renamed after it was found to be gone.
  const forgotten = withSession(database.url, 'test', (session) =>
    forgetMissing(session, 'ebb', { schema: 'public', name: 'set_1' }),
  )
  expect(await forgotten).toBe(false)
  expect((await check(database.url)).map(({ code }) => code)).toEqual(['blocked:renamed'])
  expect((await ebb(['status', '--url', database.url])).out).toMatch(/public.set_1 +was renamed to public.set_one/)

  // Under the name that it has now there is one registration again.
  const { 'public.set_1': policy, ...others } = config.policies
  const corrected = {
    policies: { ...others, 'public.set_one': policy, 'public."Logs"': purge, 'public.logs': undefined },
  }
  await run(database.url, { config: JSON.parse(JSON.stringify(corrected)) as Config, execute: true })
  expect((await status(database.url)).sets.map(({ table }) => table.name)).toEqual(['set_2', 'set_one'])
  // One that was dropped is still forgotten.
  await database.admin('drop table public.set_one')
  expect(await ebb(['rotate', '--all', '--no-archive', '--execute', '--url', database.url])).toMatchObject({ code: 0 })
  expect((await status(database.url)).sets.map(({ table }) => table.name)).toEqual(['set_2'])
  // One that was made anew is known by its new OID.
  await database.admin('drop table public.set_2')
  await sets(database, 2, 2)
  await ebb(['rotate', '--all', '--no-archive', '--execute', '--url', database.url])
  await database.admin('alter table public.set_2 rename to set_two')
  expect((await check(database.url)).map(({ code }) => code)).toEqual(['blocked:renamed'])
})

plainTest('each policy has its own limits for locks, where the run is given none', async () => {
  const config = await policiesOfProgram({
    defaults: { lockTimeoutMs: 20 },
    policies: { a: { ...SET, deadlineMs: 5 } },
  })
  const limitsOf = (locks: object) => withLockLimits(config, locks).policies[0]?.tasks[0]?.engine.lockLimits
  expect(limitsOf({})).toMatchObject({ lockTimeoutMs: 20, deadlineMs: 5 })
  expect(limitsOf({ lockTimeoutMs: 30 })).toMatchObject({ lockTimeoutMs: 30, deadlineMs: 5 })
  expect(limitsOf({ deadlineMs: 40 })).toMatchObject({ lockTimeoutMs: 20, deadlineMs: 40 })
})

test('names a database that cannot be reached, and a config that is not there', async () => {
  const nowhere = 'postgres://127.0.0.1:1/nowhere'
  await expect(run(nowhere, { config: { policies: { a: SET } } })).rejects.toMatchObject({ kind: 'try later' })
  await expect(run(nowhere, { config: '/nowhere/ebb.config.yaml' })).rejects.toThrow(UsageError)
})
