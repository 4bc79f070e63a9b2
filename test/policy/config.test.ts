import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as zod from 'zod'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineOptions } from '../../src/engine/options.ts'
import { UsageError } from '../../src/errors.ts'
import { defineConfig, type SharedConfig } from '../../src/policy/config.ts'
import { optionsOf } from '../../src/policy/plan-policies.ts'
import { taskOf, type Policies } from '../../src/policy/policy.ts'
import { policiesOfProgram, readConfig } from '../../src/policy/read-config.ts'
import { configSchema } from '../../src/policy/schema.ts'

let folder = ''
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'ebb-config-'))))
afterAll(() => rm(folder, { recursive: true }))

let files = 0

/** Reads a config of that text. */
async function read(text: string, extension = 'yaml', env = {}): Promise<Policies> {
  const file = join(folder, `${++files}.${extension}`)
  await writeFile(file, text)
  return readConfig(file, env)
}

/** What is wrong with it: a line for each fault, without the name of the file. */
async function faultsOf(text: string, extension = 'yaml', env = {}): Promise<string[]> {
  const error: unknown = await read(text, extension, env).catch((thrown: unknown) => thrown)
  if (!(error instanceof UsageError)) throw new Error('nothing is wrong with it', { cause: error })
  const lines = error.message.split('\n').map((line) => line.trim())
  const own = lines.length === 1 ? lines : lines.slice(1)
  return own.map((line) => line.replaceAll(`${join(folder, String(files))}.${extension}:`, '').trim())
}

const EXAMPLE = `
defaults: { archive: ./archive, keepJournal: 7 years, pace: { windows: [01:00-05:00] }, partition: { timezone: Europe/Berlin } }
policies:
  public.events: { partition: { by: created_at, every: 1 month, premake: 3 }, keep: 90 days, retire: drop, archive: s3://audit/events }
  public.logs: { purge: { where: "level = 'debug' and at < now() - interval '30 days'" }, archive: none }
  public.assignments: { stale: { group: experiment_id, activity: seen_at, idle: 30 days, flag: experiments.archived } }
  shop.orders: { mark: { where: void, column: deleted_at }, purge: { marked: { column: deleted_at, olderThan: 7 days } } }
`

describe('a config', () => {
  test('is read by the options of the commands', async () => {
    const { policies } = await read(EXAMPLE)
    expect(policies.map(({ name, tasks }) => [name, tasks.map(({ kind }) => kind)])).toEqual([
      ['public.events', ['rotate']],
      ['public.logs', ['purge']],
      ['public.assignments', ['stale']],
      ['shop.orders', ['mark', 'purge']],
    ])
    const [events, logs, assignments] = policies
    expect(events?.set).toMatchObject({ by: 'created_at', premake: 3, timezone: 'Europe/Berlin' })
    expect(events && taskOf(events, 'rotate')).toMatchObject({
      request: { keep: { count: 90, unit: 'day' }, retire: 'drop', archive: { uri: 's3://audit/events' } },
      engine: { pacing: { settings: { windows: [{ from: 60, to: 300, timezone: 'UTC' }] } } },
    })
    expect(logs && taskOf(logs, 'purge')?.request.deletion).toMatchObject({ noArchive: true })
    const removing = policies.flatMap(({ tasks }) => tasks).filter(({ kind }) => kind !== 'mark')
    expect(removing.map(({ engine }) => engine.keepJournal)).toEqual(removing.map(() => ({ count: 7, unit: 'year' })))
    expect(assignments && taskOf(assignments, 'stale')).toMatchObject({
      flag: { table: { name: 'experiments' }, column: 'archived' },
      // Relative to the file, wherever the job was started.
      request: { archive: { uri: pathToFileURL(join(folder, 'archive')).href } },
    })
  })

  test('says how locks are asked for and waited for, by the task and by default; a flag comes before it', async () => {
    const { policies } = await read(`
defaults: { deadlineMs: 2 minutes }
policies:
  events: { keep: 90 days, archive: none, lockTimeoutMs: 100, wait: true }
  logs: { purge: { where: void }, archive: none, deadlineMs: 3000, wait: 5 minutes }`)
    const [events, logs] = policies.map(({ tasks }) => tasks[0]!)
    expect(events!.engine).toMatchObject({ lockLimits: { lockTimeoutMs: 100, deadlineMs: 120_000 }, waitMs: 120_000 })
    expect(logs!.engine).toMatchObject({ lockLimits: { deadlineMs: 3000 }, waitMs: 300_000 })
    const given = { signal: new AbortController().signal, journalSchema: 'ebb' } as EngineOptions
    expect(optionsOf(logs!, given).waitMs).toBe(300_000)
    expect(optionsOf(logs!, { ...given, waitMs: 1000 }).waitMs).toBe(1000)
    expect(await faultsOf('policies: { events: { keep: 90 days, lockTimeoutMs: 0, wait: soon } }')).toEqual([
      expect.stringContaining("lockTimeoutMs: '0' is not a whole number from 1 to 60000"),
      expect.stringContaining("wait: 'soon' is not a duration"),
    ])
  })

  test('is the same as JSON, JavaScript, TypeScript, and in a program', async () => {
    const json = {
      journalSchema: 'book',
      policies: { events: { partition: { by: 'at', every: 10_000_000 }, keep: '1 year', archive: 'none' } },
    }
    const expected = await policiesOfProgram(json)
    expect(expected.journalSchema).toBe('book')
    const text = JSON.stringify(json)
    for (const [extension, written] of [
      ['json', text],
      ['js', `export default ${text}`],
      ['mjs', `export default ${text}`],
      ['ts', `const config: object = ${text}; export default config`],
    ] as const)
      expect(await read(written, extension), extension).toMatchObject({
        journalSchema: 'book',
        policies: expected.policies,
      })
  })

  test('has what the environment supplies', async () => {
    const text = 'policies: { events: { keep: 1 year, archive: "s3://${BUCKET}/events" } }'
    const { policies } = await read(text, 'yaml', { BUCKET: 'audit' })
    expect(policies[0]?.tasks).toMatchObject([{ request: { archive: { uri: 's3://audit/events' } } }])
    expect(await faultsOf(text)).toEqual(['1:46: events: archive: BUCKET is not set in the environment'])
  })

  test('may detach partitions and archive what else is removed', async () => {
    const { policies } = await read(
      `policies: { events: { keep: 1 year, retire: detach, archive: ./a, purge: { where: void } } }`,
    )
    expect(policies[0]?.tasks).toMatchObject([
      { kind: 'rotate', request: { retire: 'detach', archive: null } },
      { kind: 'purge', request: { deletion: { archive: { uri: expect.stringMatching(/^file:/) as string } } } },
    ])
  })

  test('says of all tables where rows are archived, also of those whose partitions are kept', async () => {
    const text = `defaults: { archive: ./a, compression: gzip, retire: move, to: cold, toUrl: "postgres://cold/b" }
policies: { a: { keep: 1 year }, b: { keep: 1 year, retire: detach }, c: { keep: 1 year, retire: drop } }`
    const { policies } = await read(text)
    expect(policies.map(({ tasks }) => tasks[0])).toMatchObject([
      { request: { retire: 'move', to: 'cold', archive: null, noArchive: false } },
      { request: { retire: 'detach', archive: null } },
      { request: { retire: 'drop', archive: { uri: expect.stringMatching(/^file:/) as string } } },
    ])
    expect(policies[2]?.tasks[0]?.request).not.toHaveProperty('to')
  })

  test('says how long moved rows are kept, and that they are not archived', async () => {
    const moved = 'keep: 1 year, retire: move, to: cold, toUrl: "postgres://cold/b", keepMoved: 7 years'
    const { policies } = await read(`defaults: { archive: ./a, compression: gzip }
policies: { a: { ${moved}, archive: none } }`)
    expect(policies[0]?.tasks).toMatchObject([
      { request: { keepMoved: { count: 7, unit: 'year' }, archive: null, noArchive: true } },
    ])
    expect(
      await faultsOf(`defaults: { archive: ./a }
policies: { a: { ${moved} }, b: { keep: 1 year, keepMoved: 7 years } }`),
    ).toEqual([
      '1:22: defaults.archive: what is removed with keepMoved is not archived',
      expect.stringMatching(/^2:\d+: b: keepMoved: partitions are not moved/),
    ])
  })
})

describe('what is wrong with a config', () => {
  test('is reported together, with line and column', async () => {
    const faults = await faultsOf(`defaults: { retire: dorp }
policies:
  public.events:
    partition: { bye: created_at, every: 1 mnth }
    keep: 90d
    pace: { windows: [25:00-05:00], maxActiv: 3 }
  public.logs: { purge: { where: " ", orderBy: 7 }, archive: none, premake: 3 }
  public.nothing: { archive: none }
  public.stale: { stale: { group: a, idle: 30 days } }
  "a.b.c": { keep: 1 year }
polices: {}
`)
    expect(faults).toEqual([
      '1:21: defaults.retire: expected drop, detach, truncate, move or columnar',
      '4:5: public.events: partition.by: missing',
      '4:18: public.events: partition.bye: there is no such key; did you mean by?',
      "4:42: public.events: partition.every: '1 mnth' is not an interval",
      "5:11: public.events: keep: '90d' is not an interval",
      "6:22: public.events: pace.windows: '25:00-05:00' is not a time window",
      '6:37: public.events: pace.maxActiv: there is no such key; did you mean maxActive?',
      '7:34: public.logs: purge.where: the condition is empty',
      '7:48: public.logs: purge.orderBy: expected text, and 7 is a number (a time has a unit: 7 days)',
      '7:68: public.logs: premake: there is no such key',
      '8:3: public.nothing: the policy says nothing',
      '9:19: public.stale: stale.activity: missing',
      '10:3: a.b.c: "a.b.c" is not a table name',
      '11:1: polices: there is no such key; did you mean policies?',
    ])
  })

  test('contradictions', async () => {
    const text = `policies:
  a: { keep: 1 year, retire: detach, archive: ./a }
  b: { purge: { where: void, marked: { column: c } }, archive: none }
  c: { keep: 1 year, archive: none, encryptTo: [age1x] }
  d: { purge: { marked: { olderThan: 7 days } }, archive: none }
`
    const faults = await faultsOf(text)
    expect(faults.map((fault) => fault.replace(/: (?:a|b|c|d): .*/, ''))).toEqual([
      '2:47',
      '3:24',
      '4:48',
      '5:8',
      '5:38',
    ])
    expect(faults.join('\n')).toMatch(/archive: nothing is removed with retire/)
  })

  test('two policies for one table', async () => {
    expect(await faultsOf('policies:\n  public.events: { keep: 1 year }\n  events: { keep: 2 years }\n')).toEqual([
      '3:3: events: there are two policies for this table: public.events and events',
    ])
    // Whatever else is wrong with them.
    expect(await faultsOf('policies:\n  public.events: { keep: 1 yaer }\n  events: { keep: 2 years }\n')).toEqual([
      "2:26: public.events: keep: '1 yaer' is not an interval",
      '3:3: events: there are two policies for this table: public.events and events',
    ])
    expect(await faultsOf('policies:\n  EVENTS: { keep: 1 year }\n  "\\"events\\"": { keep: 2 years }\n')).toHaveLength(
      1,
    )
    expect(await faultsOf('policies:\n  events: { keep: 1 year }\n  events: { keep: 2 years }\n')).toEqual([
      '3:3: Map keys must be unique',
    ])
    expect(await faultsOf('{"policies": {\n"a": {"keep": "1 year"},\n"a": {"keep": "2 years"}}}', 'json')).toEqual([
      '3:1: Map keys must be unique',
    ])
    expect((await read('policies: { a.events: { keep: 1 year }, b.events: { keep: 1 year } }')).policies).toHaveLength(
      2,
    )
  })

  test.for([
    ['yaml', 'policies: { a: { keep: 1 year, pace: { healthUrl: "https://u:hunter2@host/" } } }', '1:52'],
    ['yaml', '# postgres://app:hunter2@db/shop\npolicies: { a: { keep: 1 year, archive: none } }', '1:3'],
    [
      'ts',
      'export default { policies: { a: { keep: "1 year", pace: { healthUrl: "https://h?token=hunter2" } } } }',
      '1:80',
    ],
    ['js', 'const key = `AGE-SECRET-KEY-1HUNTER2`\nexport default { policies: { a: { keep: "1 year" } } }', '1:14'],
  ] as const)('a secret, which is not repeated (%s)', async ([extension, text, place]) => {
    const faults = await faultsOf(text, extension)
    expect(faults).toEqual([`${place}: a secret is in the file`])
  })

  test('a reference to the environment is none', async () => {
    const text =
      'const pw = process.env.PW\nconst url = `postgres://app:${pw}@db`\nexport default { policies: { a: { keep: "1 year" } } }'
    expect((await read(text, 'mjs')).policies).toHaveLength(1)
  })

  test.for([
    ['yaml', 'policies: [', /Flow sequence/],
    ['yaml', '', /policies: missing|expected an object/],
    ['yaml', 'policies: { a: }', /^1:16: a: expected an object$/],
    [
      'yaml',
      'url: postgres://db/shop\npolicies: { a: { keep: 1 year } }',
      /^1:1: url: a config does not name the database$/,
    ],
    ['js', 'export const config = {}', /has no default export/],
    ['ts', 'export default { policies', /cannot be read/],
    ['txt', '', /is no config by its name/],
  ] as const)('another shape (%s: %s)', async ([extension, text, fault]) => {
    expect((await faultsOf(text, extension)).join('\n')).toMatch(fault)
  })
})

test('the schema knows what the types know, and nothing else', async () => {
  const pace = {
    maxBlocked: 1,
    maxReplicaLagBytes: '1MB',
    maxSlotWalBytes: 'off',
    maxWalBytesPerSecond: 1,
    maxArchiveBacklogBytes: 1,
  }
  const more = {
    maxActive: 1,
    yieldToVacuum: 'any',
    windows: ['01:00-05:00'],
    healthSql: 'select true',
    healthUrl: 'http://h',
  } as const
  const files = { pauseFile: 'p', stopFile: 's', paceFile: 'f', pauseMs: 1, targetMs: 50 }
  const deletion = { cascade: true, protect: ['x'], orderBy: 'at', allRows: true, vacuum: false }
  const shared = {
    ...{
      keep: '1 year',
      retire: 'drop' as const,
      grace: '7 days',
      archive: './a',
      partSize: '256 MB',
      archiveFormat: 'parquet',
      compression: 'gzip' as const,
      encryptTo: [RECIPIENT],
      keepJournal: '7 years',
    },
    ...{ lockTimeoutMs: 50, deadlineMs: '10 minutes', wait: true as const },
    pace: { ...pace, ...more, ...files },
    accept: ['clock'],
  } satisfies SharedConfig
  const config = defineConfig({
    hooks: { onFailure: 'https://chat.example.com/x', onObjection: 'mail ops', onFinish: 'true' },
    journalSchema: 'book',
    // What goes with `retire: move` excludes `grace`, and is given by the last policy.
    defaults: { ...shared, partition: { premake: 3, timezone: 'UTC' } },
    policies: {
      events: {
        ...shared,
        partition: { by: 'at', every: 'month', premake: 3, timezone: 'UTC', expireBy: 'at' },
        mark: { where: 'void', column: 'deleted_at', allRows: true, vacuum: true },
        view: { name: 'shown', hideMarked: 'deleted_at', expired: 'void', keep: { by: 'at', interval: '1 year' } },
        hold: { until: '2027-01-01', reason: 'an audit' },
        stale: { ...deletion, group: 'g', activity: 'a', idle: '1 year', flag: 'parents.archived' },
        purge: { ...deletion, marked: { column: 'deleted_at', olderThan: '7 days' } },
      },
      others: { ...shared, purge: { ...deletion, where: 'void' } },
      moved: {
        partition: { by: 'at', every: 'month' },
        retire: 'move',
        to: 'cold',
        toUrl: 'postgres://cold.example.com/b',
        purge: { where: 'void' },
      },
    },
  })
  const { policies } = await policiesOfProgram(config)
  expect(policies).toMatchObject([
    { hold: { until: '2027-01-01', reason: 'an audit' } },
    { hold: null },
    { hold: null },
  ])
  const dayless = policiesOfProgram({ policies: { a: { hold: { until: '2027-02-30' } } } })
  await expect(dayless).rejects.toThrow('hold.until: 2027-02-30 is not a day')
  const given = new Set([...pathsOf(config)].map((path) => path.replace(/policies\.\w+/, 'policies.*')))
  const known = keysOf(zod.toJSONSchema(configSchema(zod), { io: 'input' }) as Json)
  expect([...known].filter((path) => path !== '$schema')).toEqual(expect.arrayContaining([...given]))
  expect([...known].filter((path) => !given.has(path))).toEqual([
    '$schema',
    ...['defaults.to', 'defaults.toUrl', 'defaults.keepMoved', 'policies.*.keepMoved'],
  ])
})

const RECIPIENT = 'age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq'

interface Json {
  readonly properties?: Readonly<Record<string, Json>>
  readonly additionalProperties?: Json | boolean
}

function keysOf({ properties = {}, additionalProperties }: Json, prefix = ''): Set<string> {
  const inner = typeof additionalProperties === 'object' ? { '*': additionalProperties } : properties
  return new Set(Object.entries(inner).flatMap(([key, one]) => [`${prefix}${key}`, ...keysOf(one, `${prefix}${key}.`)]))
}

function pathsOf(value: object, prefix = ''): Set<string> {
  return new Set(
    Object.entries(value).flatMap(([key, one]: [string, unknown]) => [
      `${prefix}${key}`,
      ...(typeof one === 'object' && one !== null && !Array.isArray(one) ? pathsOf(one, `${prefix}${key}.`) : []),
    ]),
  )
}
