import { expect, test as plainTest } from 'vitest'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { ebb, eventsTable, objects } from './support.ts'

// --log-format json: what a collector of logs gets.

const JSON_LOG = ['--log-format', 'json']

test('each line of standard error is an object, and results stay text', async ({ database }) => {
  const table = await eventsTable(database)
  const words = ['rebuild', display(table), '--keep-all', '--url', database.url, '--execute']
  const { code, out, err } = await ebb([...words, ...JSON_LOG])
  expect(code, err).toBe(0)
  expect(out).toMatch(/rebuilt/i)
  const lines = objects(err)
  for (const line of lines) {
    expect(line).toMatchObject({ level: expect.stringMatching(/^(info|warn)$/) as string, command: 'rebuild' })
    expect(line.msg).toEqual(expect.any(String))
    expect(new Date(line.time as string).toISOString()).toBe(line.time)
  }
  const started = lines.filter(({ type }) => type === 'step started')
  expect(started.length).toBeGreaterThan(3)
  expect(started[0]).toMatchObject({
    msg: expect.stringMatching(/^step 1 of /) as string,
    table,
    runId: '1',
    position: 0,
  })
  expect(Object.keys(started[0]!.step as object)).toEqual(['key', 'kind', 'title', 'locks'])
  expect(lines.find(({ lock }) => lock)).toMatchObject({ lock: { heldMs: expect.any(Number) as number } })
  expect(lines.at(-1)).toMatchObject({ type: 'ended', level: 'info', exitCode: 0 })

  // Events are where --json has them, and not twice.
  const purge = ['purge', display(table), '--where', 'id <= 10', '--no-archive', '--url', database.url, '--execute']
  const both = await ebb([...purge, ...JSON_LOG, '--json'])
  expect(objects(both.out).at(-1)).toMatchObject({ type: 'result' })
  expect(objects(both.err).map(({ type }) => type)).toEqual(['ended'])
})

test('a name with line breaks and quotes stays on its line', async ({ database }) => {
  const table = { schema: 'public', name: 'a"\n{"level":"fake"}' }
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(table)} (id int primary key)`.text)
  const { err } = await ebb(['rebuild', display(table), '--keep-all', '--url', database.url, '--execute', ...JSON_LOG])
  const lines = objects(err)
  expect(lines.find(({ type }) => type === 'step started')).toMatchObject({ table })
  expect(lines.every(({ command }) => command === 'rebuild')).toBe(true)
})

plainTest.for([
  ['typed', [...JSON_LOG], {}],
  ['typed in one word', ['--log-format=json'], {}],
  ['by its variable', [], { EBB_LOG_FORMAT: 'json' }],
] as const)('errors, in other options too, and warnings: %s', async ([, typed, env]) => {
  const given = { env: { ...env, EBB_LOCK_TIMEOUTT: '5' } }
  const wrong = await ebb(['rotate', 'events', '--keep', 'x', ...typed], given)
  expect(objects(wrong.err)).toMatchObject([
    { level: 'warn', msg: expect.stringContaining('did you mean EBB_LOCK_TIMEOUT') as string },
    { level: 'error', type: 'error', kind: 'usage', exitCode: 2, next: expect.any(String) as string },
    { level: 'error', type: 'ended', exitCode: 2 },
  ])
  const unknown = await ebb(['rotate', '--evry', ...typed], given)
  expect(objects(unknown.err).map(({ type }) => type)).toEqual(['error', 'ended'])
})

plainTest('what is typed comes before the variable, and there are two formats', async () => {
  const typed = await ebb(['rotate', '--log-format', 'text'], { env: { EBB_LOG_FORMAT: 'json' } })
  expect(typed.err).toMatch(/^error: /)
  const other = await ebb(['status', '--log-format', 'yaml', '--url', 'postgres://127.0.0.1:1/x'])
  expect(other).toMatchObject({ code: 2, err: expect.stringContaining('Pass text or json') as string })
})

plainTest('no password is in it', async () => {
  const { code, err } = await ebb(['status', '--url', 'postgres://u:secret@127.0.0.1:1/x', ...JSON_LOG])
  expect(code).toBe(75)
  expect(objects(err)).toMatchObject([{ kind: 'try later' }, { level: 'warn', exitCode: 75 }])
  expect(err).not.toContain('secret')
})
