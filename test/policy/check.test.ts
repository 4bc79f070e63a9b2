import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test as pure } from 'vitest'
import { check, run, type Finding } from '../../src/index.ts'
import { describeFindings, findingsForNagios, samplesOfFindings } from '../../src/policy/describe-findings.ts'
import { findingsOf, type Checked } from '../../src/policy/findings.ts'
import { prometheusText } from '../../src/report/metrics.ts'
import { ebb } from '../cli/support.ts'
import { test } from '../support/database.ts'

const NOW = new Date('2026-11-29T00:00:00Z')
const EVENTS = { schema: 'public', name: 'events' }
const NOTHING: Checked = {
  status: { runs: [], sets: [], leftovers: [], holds: [], detached: [], archives: [] },
  ...{ retired: [], plans: [], gone: [], known: [], defaults: [], hasConfig: true, now: NOW },
}

describe('what is found', () => {
  const RUN = {
    ...{ id: '7', command: 'purge', table: EVENTS, status: 'running' as const, endedAt: null, stepsDone: 1, steps: 2 },
    ...{ lastError: null, refusesFrom: null, helped: [], swapped: false, atWork: false, rows: 1000 },
  }
  const archive = { id: 'a', command: 'purge', table: EVENTS, runId: null, store: 'file:///a', begunAt: NOW }
  const runs = (run: Partial<Checked['status']['runs'][number]>) => ({
    ...NOTHING.status,
    runs: [{ ...RUN, startedAt: new Date('2026-11-28T20:00:00Z'), ...run }],
  })

  pure('a replica, once for all policies, and nothing else of them', () => {
    const objections = [{ code: 'replica', what: 'this server is a replica', remedies: [] }]
    const refused = { table: EVENTS, judged: { objections }, rotation: null, view: null, failed: [] }
    const plans = [refused, { ...refused, view: { objections } }] as unknown as Checked['plans']
    expect(findingsOf({ ...NOTHING, plans })).toEqual([
      expect.objectContaining({ level: 'warning', code: 'blocked:replica', table: null }),
    ])
  })

  pure.for<[what: string, checked: Partial<Checked>, code: string | null]>([
    ['nothing', {}, null],
    ['an unfinished run', { status: runs({}) }, 'unfinished-run'],
    ['one that is at work', { status: runs({ atWork: true }) }, null],
    ['one by which rows are rejected', { status: runs({ refusesFrom: '9' }) }, 'refusing'],
    [
      'a purge that does not come to its end',
      { status: runs({ startedAt: new Date('2026-11-26T00:00:00Z') }) },
      'purge-behind',
    ],
    [
      'an archive without a receipt',
      { status: { ...NOTHING.status, archives: [{ ...archive, hasReceipt: false }] } },
      'archive-without-receipt',
    ],
    [
      'rows that no partition was made for',
      {
        defaults: [
          {
            table: EVENTS,
            unplanned: {
              partition: { schema: 'public', name: 'rest' },
              rows: 20,
              counted: true,
              bytes: 8192,
              ends: { least: '2026-01-01', greatest: '2026-02-01' },
            },
          },
        ],
      },
      'default-rows',
    ],
    ['a table that is gone', { gone: ['events'] }, 'gone'],
    ['a policy that is in force and not in the config', { known: [EVENTS] }, 'no-policy'],
    ['the same, without a config', { known: [EVENTS], hasConfig: false }, null],
  ])('%s', ([, checked, code]) => {
    expect(findingsOf({ ...NOTHING, ...checked }).map((one) => one.code)).toEqual(code === null ? [] : [code])
  })

  pure('is printed for monitors', () => {
    const table = { schema: 'public', name: 'a"b' }
    const findings: Finding[] = [
      { level: 'warning', code: 'gone', table, text: 'one | two' },
      { level: 'due', code: 'expired', table, text: 'three' },
    ]
    expect(findingsForNagios(findings, true)).toBe('EBB WARNING - one / two | critical=0 warning=1 due=1')
    expect(findingsForNagios([], false)).toBe(
      'EBB OK - nothing is wrong (no config was found) | critical=0 warning=0 due=0',
    )
    const lines = prometheusText(samplesOfFindings([...findings, ...findings]), { database: 'x' }).split('\n')
    expect(lines).toContain('ebb_findings{database="x",level="warning"} 2')
    expect(lines).toContain('ebb_finding{database="x",level="warning",code="gone",table="public.\\"a\\"\\"b\\""} 2')
    expect(describeFindings([], true)).toEqual(['Nothing is due, and nothing is wrong.'])
  })
})

test('a database is compared with a config, and not changed', async ({ database, onTestFinished }) => {
  await database.admin(`
    set role ebb_owner; set timezone = 'UTC';
    create table public.events (at timestamptz not null) partition by range (at);
    do $$ declare m date := date_trunc('month', now()); k int; begin
      for k in 0..3 loop
        execute format('create table public.events_%s partition of public.events for values from (%L) to (%L)',
          to_char(m - k * interval '1 month', 'YYYY_MM'), m - k * interval '1 month', m - (k - 1) * interval '1 month');
      end loop;
    end $$;
    insert into public.events select now() - n * interval '1 month' from generate_series(0, 3) n`)
  const config = {
    policies: {
      'public.events': { partition: { by: 'at', every: 'month', premake: 2 }, keep: '40 days', archive: 'none' },
    },
  }
  const codes = (findings: readonly Finding[]) => findings.map(({ level, code }) => `${level} ${code}`)
  // A monitor may write nowhere, and need not be able to do what it reports.
  const monitor = await database.role('monitor')
  await database.admin(`alter role "${monitor}" set default_transaction_read_only = on`)
  const seen = async (asked: Parameters<typeof check>[1]) => {
    const found = await check(database.url, asked)
    expect(await check(database.urlFor(monitor), asked)).toEqual(found)
    return found
  }
  expect(codes(await seen({ config }))).toEqual(['critical runway-short', 'due expired', 'due not-in-force'])
  await run(database.url, { config, execute: true })
  await database.admin(
    `grant usage on schema ebb to "${monitor}"; grant select on all tables in schema ebb to "${monitor}"`,
  )
  expect(await seen({ config })).toEqual([])
  const shorter = { policies: { 'public.events': { ...config.policies['public.events'], keep: '9 days' } } }
  expect(codes(await seen({ config: shorter }))).toEqual(['warning blocked:shorter-keep:public.events'])
  const viewed = {
    policies: { 'public.events': { ...config.policies['public.events'], view: { expired: 'at is null' } } },
  }
  // Without the right to read the table, what can be told of it is told all the same.
  const asMonitor = await check(database.urlFor(monitor), {
    config: {
      policies: {
        'public.events': { ...viewed.policies['public.events'], partition: { by: 'at', every: 'month', premake: 4 } },
      },
    },
  })
  expect(codes(asMonitor)).toEqual(['warning failed', 'due runway', 'due not-in-force'])
  await database.admin(`grant select on public.events to "${monitor}"`)
  expect(codes(await seen({ config: viewed }))).toEqual(['due view'])
  // What would be carried out takes the whole right, as before.
  await expect(run(database.urlFor(monitor), { config })).rejects.toThrow('cannot be trusted')

  await database.admin(
    `set role ebb_owner; create table public.rest partition of public.events default; insert into public.events values ('1999-01-01')`,
  )
  const folder = await mkdtemp(join(tmpdir(), 'ebb-check-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.json')
  await writeFile(file, JSON.stringify(config))
  const words = ['check', '--config', file, '--url', database.url]
  expect(await ebb(words)).toMatchObject({
    code: 3,
    out: expect.stringMatching(/^warning {2}default-rows {2}public.rest has 1 row .* to /) as string,
  })
  expect(await ebb([...words, '--format', 'nagios'])).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^EBB WARNING - public.rest .*\| critical=0 warning=1 due=0\n$/) as string,
  })
  const found = `/${database.name}",level="warning",code="default-rows",table="public.events"} 1\n`
  expect((await ebb([...words, '--format', 'prometheus'])).out).toContain(found)
  const metrics = join(folder, 'check.prom')
  await ebb([...words, '--metrics-file', metrics])
  expect(await readFile(metrics, 'utf8')).toContain(found)
  const away = await ebb(['check', '--config', file, '--url', 'postgres://127.0.0.1:1/x', '--format', 'nagios'])
  expect(away).toMatchObject({ code: 3, out: expect.stringMatching(/^EBB UNKNOWN - /) as string })
})
