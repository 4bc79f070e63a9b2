import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { describeRun } from '../../src/policy/describe-run.ts'
import { kindOf } from '../../src/policy/outcome.ts'
import { findPolicies } from '../../src/policy/plan-policies.ts'
import { policiesOfProgram } from '../../src/policy/read-config.ts'
import { runPolicies, timeLimit } from '../../src/policy/run-policies.ts'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { ACCESS_KEY, S3Server } from '../support/s3-server.ts'

/** `ebb run` whose time is up when some rows have been deleted: how long that takes depends on the machine. */
async function endedInTheMidst(database: Database, words: readonly string[]) {
  for (let seconds = 2; seconds <= 64; seconds *= 2) {
    const ran = await ebb([...words, '--max-duration', String(seconds)])
    if ((await countOf(database, 'public.logs')) < 4000) return ran
  }
  throw new Error('no row has been deleted in time')
}

/** Three sets with this month and two old ones, and none ahead; a row in each. */
async function threeSets(database: Database): Promise<void> {
  await database.admin(`
    set role ebb_owner; set timezone = 'UTC';
    do $$ declare m date := date_trunc('month', now()); i int; k int; begin
      for i in 1..3 loop
        execute format('create table public.set_%s (at timestamptz not null, id int) partition by range (at)', i);
        foreach k in array array[0, 5, 6] loop
          execute format('create table public.set_%1$s_%2$s partition of public.set_%1$s for values from (%3$L) to (%4$L)', i, k,
            m - k * interval '1 month', m - (k - 1) * interval '1 month');
          execute format('insert into public.set_%s values (%L, %s)', i, m - k * interval '1 month', k);
        end loop;
      end loop;
    end $$`)
}

/** A bucket that never answers when the object of a partition is stored. */
async function silentBucket(partition: string, onAsked: () => void) {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: ACCESS_KEY,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  })
  const server = await S3Server.start('archive')
  onTestFinished(() => server.stop())
  server.fault = ({ operation, key }) => {
    if (operation !== 'PutObject' || !key.includes(`${partition}-0`)) return undefined
    onAsked()
    return 'silence'
  }
  return {
    uri: `s3://archive/sets?region=us-east-1&path-style=true&endpoint=${server.endpoint}`,
    answers: () => server.calm(),
    names: () => [...server.objects.keys()],
  }
}

async function configOf(policies: object): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-run-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.json')
  await writeFile(file, JSON.stringify({ policies }))
  return ['run', '--config', file, '--execute']
}

async function countOf(database: Database, what: string): Promise<number> {
  return (await database.admin<{ n: number }>(`select count(*)::int as n from ${what}`)).rows[0]?.n ?? -1
}

test('a time that is longer than a timer can be is not up at once', async () => {
  const limit = timeLimit(40 * 86_400_000)
  await sleep(20)
  expect(limit.aborted).toBe(false)
})

test('a purge whose time is up ends with its batch, says so, and is continued', async ({ database }) => {
  await database.admin(`
    set role ebb_owner;
    create table public.logs (id int primary key, old boolean not null, note text default repeat('x', 100));
    insert into public.logs select n, n % 2 = 0 from generate_series(1, 4000) n;
    create function public.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.005); return old; end $$;
    create trigger slowly before delete on public.logs for each row execute function public.slowly()`)
  const words = [
    ...(await configOf({ 'public.logs': { purge: { where: 'old' }, archive: 'none' } })),
    '--url',
    database.url,
  ]
  const ended = await endedInTheMidst(database, words)
  expect(ended.code).toBe(75)
  expect(ended.out).toContain('  ended in the midst of: purge public.logs; the next run continues it\n')
  expect(ended.out).toMatch(
    /To be continued: public.logs\nThe time is up: what was done is kept, and the next run continues/,
  )
  expect(await countOf(database, 'public.logs')).toBeGreaterThan(2000)
  await database.admin(`
    create or replace function public.slowly() returns trigger language plpgsql as $$ begin return old; end $$`)
  const next = await ebb(words)
  expect(next.code, next.err).toBe(0)
  expect(next.err).toContain('resuming run 1')
  expect(await countOf(database, 'public.logs where old')).toBe(0)
})

test('an archive whose time is up ends, partitions ahead of all tables are there, and the next run continues', async ({
  database,
}) => {
  await threeSets(database)
  const time = new AbortController()
  const bucket = await silentBucket('set_2_5', () => time.abort())
  const keep = { keep: '90 days', partition: { by: 'at', every: 'month', premake: 3, timezone: 'UTC' } }
  const policy = { ...keep, archive: bucket.uri }
  const config = await policiesOfProgram({
    policies: { 'public.set_1': policy, 'public.set_2': policy, 'public.set_3': policy },
  })
  const options = { journalSchema: 'ebb', observer: () => {}, signal: new AbortController().signal }
  const found = await findPolicies(database.url, config, [], options)
  const ended = await runPolicies(database.url, found, time.signal, options)
  expect(kindOf(ended)).toBe('try later')
  expect(ended).toMatchObject({ ended: 'time is up', left: ['public.set_3'], ahead: [{ name: 'public.set_3' }] })
  expect(describeRun(ended, 'ebb.config.yaml', false).slice(-4)).toEqual([
    '2 policies: 1 done',
    'To be continued: public.set_2',
    'Not begun: public.set_3',
    'The time is up: what was done is kept, and the next run continues.',
  ])
  const ahead = `(select from pg_inherits where inhparent = 'public.set_3'::regclass)`
  expect(await countOf(database, `${ahead} p`)).toBe(6)
  expect(await countOf(database, 'public.set_3')).toBe(3)

  bucket.answers()
  const next = await runPolicies(database.url, found, new AbortController().signal, options)
  expect(kindOf(next), describeRun(next, '', false).join('\n')).toBeNull()
  for (const set of [1, 2, 3]) expect(await countOf(database, `public.set_${set} where id >= 5`)).toBe(0)
  expect(await countOf(database, 'ebb.retirement')).toBe(0)
  expect(await countOf(database, 'ebb.archive where receipt_uri is null or removal_at is null')).toBe(0)
  // Nothing of the interrupted one is left.
  expect(await countOf(database, 'ebb.archive')).toBe(6)
  expect(bucket.names().filter((name) => name.endsWith('.csv.gz'))).toHaveLength(6)
})
