import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test as pure } from 'vitest'
import { readConfig } from '../../src/policy/read-config.ts'
import { firstConfig, largestAppendOnly, type FoundTable } from '../../src/policy/first-config.ts'
import { toText } from '../../src/text/comment.ts'
import { ebb } from '../cli/support.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'

const EVENTS: FoundTable = {
  ...{ name: { schema: 'public', name: 'events' }, partitioned: false, bytes: 2e9, rows: 1e7 },
  ...{ inserted: 1000, updated: 50, deleted: 0 },
  key: { by: 'created_at', every: '1 month', timezone: 'UTC', expireBy: null },
  growth: { from: new Date('2026-01-01'), to: new Date('2026-04-11'), rows: 1e7, bytes: 2e9 },
  remarks: ['not partitioned yet'],
}
const ODD: FoundTable = {
  ...EVENTS,
  ...{ name: { schema: 'a: #b', name: 'x"\n\u2028y' }, rows: null, inserted: 0, updated: 0, growth: null },
  key: { by: 'true', every: '10_000_000', timezone: null, expireBy: 'at: {' },
  remarks: ['one\ntwo'],
}
const ID: FoundTable = {
  ...EVENTS,
  name: { schema: 'public', name: 'ids' },
  key: { by: 'id', every: '1000', timezone: null, expireBy: null },
}
const OTHER: FoundTable = { ...EVENTS, name: { schema: 'public', name: 'other' }, key: null }

/** A config as a file: what is wrong with it, or its policies. */
async function read(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-first-'))
  try {
    const file = join(folder, 'ebb.config.yaml')
    await writeFile(file, text)
    return await readConfig(file, {}).then(
      ({ policies }) => ({ policies, faults: [] }),
      ({ message }: Error) => ({
        policies: [],
        faults: [...message.matchAll(/\d+:\d+: (.*)/g)].map(([, fault]) => fault),
      }),
    )
  } finally {
    await rm(folder, { recursive: true })
  }
}

function filledIn(text: string): string {
  return text
    .replaceAll(/ keep:$/gm, ' keep: 90 days')
    .replaceAll(/ archive:$/gm, ' archive: none')
    .replaceAll(/ where:$/gm, ' where: void')
    .replaceAll(/ expireBy:$/gm, ' expireBy: at')
}

describe('a first config', () => {
  pure('says for each table what there is, and leaves open what is kept', () => {
    const text = toText(firstConfig([EVENTS]))
    expect(text.slice(text.indexOf('policies:'))).toBe(`policies:
  # 2.0 GB, about 10,000,000 rows; 100,000 rows and 20.0 MB a day from 2026-01-01 to 2026-04-11
  # 1,000 inserted, 50 updated, 0 deleted since the last statistics reset
  public.events:
    # not partitioned yet
    partition:
      by: created_at
      every: 1 month
      timezone: UTC
    # how long rows are kept: a number of days, weeks, months or years
    keep:
    # where rows are archived before they are removed: a directory, file:///dir or s3://bucket/prefix; or none
    archive:
`)
  })

  pure('is refused as it is, with what is missing, and accepted once that is filled in', async () => {
    const text = toText(firstConfig([EVENTS, ODD, ID, OTHER]))
    const { faults } = await read(text)
    expect(faults).toEqual([
      'public.events: keep: missing',
      'public.events: archive: missing',
      expect.stringContaining('"a: #b"'),
      expect.stringContaining('"a: #b"'),
      'public.ids: partition.expireBy: missing',
      'public.ids: keep: missing',
      'public.ids: archive: missing',
      'public.other: purge.where: missing',
      'public.other: archive: missing',
    ])
    const filled = await read(filledIn(text))
    expect(filled.faults).toEqual([])
    expect(filled.policies.map(({ table, set, tasks }) => [table, set?.by, set?.expireBy, tasks[0]?.kind])).toEqual([
      [EVENTS.name, 'created_at', null, 'rotate'],
      [ODD.name, 'true', 'at: {', 'rotate'],
      [ID.name, 'id', 'at', 'rotate'],
      [OTHER.name, undefined, undefined, 'purge'],
    ])
  })

  pure('has the largest tables whose rows hardly change', () => {
    const table = (name: string, bytes: number, counts: Partial<FoundTable> = {}) => ({
      ...{ ...EVENTS, name: { schema: 's', name }, bytes, inserted: 100, updated: 0, deleted: 0 },
      ...counts,
    })
    const chosen = largestAppendOnly([
      table('small', 10),
      table('updated', 1e6, { updated: 6 }),
      table('deleted', 1e6, { updated: 3, deleted: 3 }),
      table('medium', 300),
      table('large', 690, { updated: 5 }),
    ])
    expect(chosen.map(({ name }) => name.name)).toEqual(['large', 'medium'])
    expect(largestAppendOnly(Array.from({ length: 50 }, (_, i) => table(`t${i}`, 100)))).toHaveLength(20)
  })
})

test('ebb init writes what it finds in a database, and overwrites nothing', async ({ database, onTestFinished }) => {
  await database.admin(`
    set role ebb_owner;
    create table public.events (id bigint generated always as identity primary key, at timestamptz not null);
    create index on public.events (at);
    insert into public.events (at) select now() - interval '1 year' * (n / 20000.0) from generate_series(1, 20000) n;
    create table public.logs (at date not null, line text) partition by range (at);
    create table public.logs_2025_01 partition of public.logs for values from ('2025-01-01') to ('2025-02-01');
    create table public.logs_2025_02 partition of public.logs for values from ('2025-02-01') to ('2025-03-01');
    insert into public.logs select date '2025-01-01' + n % 59, repeat('x', 100) from generate_series(0, 9999) n;
    create table public.accounts (id int, at timestamptz);
    insert into public.accounts select n, now() from generate_series(1, 20000) n; update public.accounts set at = now();
    analyze public.events; analyze public.logs`)
  // Servers before 15 count a moment later.
  const counted =
    "select from pg_stat_user_tables where relname in ('events', 'accounts', 'logs_2025_02') and n_tup_ins > 0"
  await until(async () => (await database.admin(counted)).rowCount === 3)
  const folder = await mkdtemp(join(tmpdir(), 'ebb-init-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.yaml')
  const init = (to: string) => ebb(['init', '--url', database.url, '--config', to])

  expect(await init(file)).toMatchObject({ code: 0, out: expect.stringContaining('with 2 tables') as string })
  const text = await readFile(file, 'utf8')
  expect(text).toMatch(/about 20,000 rows; \d\d rows and .* a day from/)
  expect(text).toContain('  public.events:\n')
  expect(text).toContain("not partitioned yet: ebb partition public.events --by at --every '1 month'")
  expect(text).toMatch(/10,000 rows; 169 rows and .* a day from 2025-01-01 to 2025-03-01/)
  expect(text).toContain('by: at\n      every: 1 month\n      timezone: UTC\n')
  expect(text).not.toContain('accounts')
  expect((await read(filledIn(text))).policies).toHaveLength(2)

  await writeFile(file, 'mine')
  expect(await init(file)).toMatchObject({ code: 2, err: expect.stringContaining('already exists') as string })
  expect(await readFile(file, 'utf8')).toBe('mine')
  expect(await init(join(folder, 'ebb.config.json'))).toMatchObject({ code: 2 })
  expect(await init('-')).toMatchObject({ code: 0, out: text })
  const { rows } = await database.admin("select from pg_namespace where nspname = 'ebb'")
  expect(rows).toEqual([])

  // What is registered counts more than what the partitions look like.
  const words = ['--by', 'at', '--every', 'week', '--keep', '90 days', '--url', database.url, '--execute']
  expect((await ebb(['partition', 'public.events', ...words])).code).toBe(0)
  const { out } = await init('-')
  expect(out).toMatch(/public.events:\n {4}# registered: by at, every 1 week .*keep 90 days\n/)
  expect(out).toMatch(/by: at\n {6}every: 1 week\n {6}timezone: UTC\n.*\n {4}keep:\n/)
})
