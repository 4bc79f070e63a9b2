import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test as plainTest, vi } from 'vitest'
import { writeMetrics } from '../../src/cli/metrics.ts'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { ebb, eventsTable } from './support.ts'

// --metrics-file: what the textfile collector of Prometheus gets, and what becomes of the run if it cannot be written.

test('is replaced whole once a command has been carried out, and by nothing else', async ({
  database,
  needs,
  skip,
  onTestFinished,
}) => {
  const table = await eventsTable(database)
  const folder = await mkdtemp(join(tmpdir(), 'ebb-metrics-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.prom')
  const words = (ids: string) => [
    'purge',
    display(table),
    '--where',
    `id <= ${ids}`,
    '--no-archive',
    '--no-vacuum',
    '--url',
    database.url,
  ]
  await writeFile(file, 'before')
  await ebb([...words('10'), '--metrics-file', file])
  expect(await readFile(file, 'utf8'), 'a plan that is only shown is no run').toBe('before')

  const umask = process.umask(0o077)
  const done = await ebb([...words('10'), '--metrics-file', file, '--execute'])
  process.umask(umask)
  expect(done.code, done.err).toBe(0)
  const text = await readFile(file, 'utf8')
  const name = display(table).replaceAll('\\', '\\\\').replaceAll('"', '\\"')
  const { host } = new URL(database.url)
  const common = `{database="${host}/${database.name}",command="purge"`
  expect(text).toContain(`ebb_last_run_exit_code${common}} 0\n`)
  expect(text).toContain(`ebb_last_run_rows${common},table="${name}",action="deleted",relation="${name}"} 10\n`)
  expect(text).toMatch(/^ebb_last_run_batches\{.*\} [1-9]\d*$/m)
  const [, ended] = /^ebb_last_run_timestamp_seconds\{.*\} (\d+)$/m.exec(text) ?? []
  expect(Math.abs(Number(ended) - Date.now() / 1000)).toBeLessThan(60)
  expect((await stat(file)).mode & 0o777, 'the collector is another user').toBe(0o644)
  expect(await readdir(folder)).toEqual(['ebb.prom'])
  expect(execFileSync(needs('promtool'), ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('')

  // A failure is told, too.
  const refused = await ebb([
    'rebuild',
    'missing',
    '--keep-all',
    '--url',
    database.url,
    '--metrics-file',
    file,
    '--execute',
  ])
  expect(refused.code).toBe(2)
  expect(await readFile(file, 'utf8')).toMatch(/^ebb_last_run_exit_code\{.*command="rebuild"\} 2$/m)

  // Where it cannot be written, the command ends as it would have.
  await mkdir(join(folder, 'a-folder.prom'))
  for (const wrong of [join(folder, 'missing', 'ebb.prom'), join(folder, 'a-folder.prom')]) {
    const { code, err, out } = await ebb([...words('20'), '--metrics-file', wrong, '--execute'])
    expect(code).toBe(0)
    expect(err).toMatch(/^warning: the metrics were not written to .*: E\w+/m)
    expect(out).toMatch(/purged|no row matches/)
  }
  expect((await readdir(folder)).sort()).toEqual(['a-folder.prom', 'ebb.prom'])

  const disk = SmallDisk.mount(1, folder, skip)
  onTestFinished(() => disk.unmount())
  const full = join(disk.folder, 'ebb.prom')
  await writeFile(full, 'before')
  await writeFile(join(disk.folder, 'filler'), Buffer.alloc(2 << 20)).catch(() => {})
  const { code, err } = await ebb([...words('30'), '--metrics-file', full, '--execute', '--log-format', 'json'])
  expect({ code, warned: /"level":"warn","msg":"the metrics were not written.*ENOSPC/.test(err) }).toEqual({
    code: 0,
    warned: true,
  })
  expect(await readFile(full, 'utf8'), 'what was there stays whole').toBe('before')
  expect((await readdir(disk.folder)).sort()).toEqual(['ebb.prom', 'filler'])
  const { rows } = await database.admin(sql`select count(*)::int as n from ${quoted(table)}`)
  expect(rows).toEqual([{ n: 1970 }])
})

plainTest('a file system that does not answer holds up neither hooks nor the end', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-metrics-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  // What opens a file of metrics waits for ever, and nothing but SIGKILL ends it.
  const hang = join(folder, 'hang.cjs')
  await writeFile(
    hang,
    `const fs = require('node:fs/promises')
    fs.open = () => new Promise(() => setInterval(() => {}, 1e9))
    process.on('SIGTERM', () => {})
    require('node:module').syncBuiltinESMExports()`,
  )
  vi.stubEnv('NODE_OPTIONS', `--require ${hang}`)
  onTestFinished(() => void vi.unstubAllEnvs())
  const file = join(folder, 'ebb.prom')
  const end = { exitCode: 0, milliseconds: 1, error: null } as const
  const why = await writeMetrics(file, { command: 'check', database: 'x' }, [], end, 500)
  expect(why).toBe('it was not done within 0.5 s, and was killed')
  expect(await readdir(folder)).toEqual(['hang.cjs'])
})

plainTest('a file that no collector would read is refused, for it would be replaced', async () => {
  const { code, err } = await ebb(['check', '--metrics-file', 'ebb.config.yaml', '--url', 'postgres://127.0.0.1:1/x'])
  expect(code).toBe(2)
  expect(err).toContain('ends with .prom')
})
