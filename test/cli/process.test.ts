import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test as plainTest } from 'vitest'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'
import { eventsTable } from './support.ts'

// bin/ebb.js as a process, built from the sources of this moment into a folder of its own.

const PROJECT = fileURLToPath(new URL('../../', import.meta.url))
let home = ''

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'ebb-process-'))
  for (const part of ['bin', 'package.json']) await cp(join(PROJECT, part), join(home, part), { recursive: true })
  for (const part of ['node_modules', 'migrations']) await symlink(join(PROJECT, part), join(home, part))
  const tsc = join(PROJECT, 'node_modules/typescript/bin/tsc')
  const options = ['-p', 'tsconfig.build.json', '--outDir', join(home, 'dist'), '--noCheck', '--declaration', 'false']
  await promisify(execFile)(process.execPath, [tsc, ...options], { cwd: PROJECT })
})

afterAll(() => rm(home, { recursive: true, force: true }))

function start(args: readonly string[], program = join(home, 'bin/ebb.js')) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => void (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void (said.err += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { child, said, ended, says: (what: string) => until(() => said.err.includes(what)) }
}

plainTest('the exit code and both streams are those of the command', async () => {
  const version = start(['--version'])
  expect(await version.ended).toBe(0)
  expect(version.said).toEqual({ out: '0.1.0\n', err: '' })
  const wrong = start(['partition', 't', '--evry', 'month'])
  expect(await wrong.ended).toBe(2)
  expect(wrong.said.err).toMatch(/^error: unknown option/)
})

plainTest('without dist it says how to make it', async () => {
  const elsewhere = join(home, 'elsewhere/bin')
  await mkdir(elsewhere, { recursive: true })
  await cp(join(PROJECT, 'bin/ebb.js'), join(elsewhere, 'ebb.mjs'))
  const { ended, said } = start(['status'], join(elsewhere, 'ebb.mjs'))
  expect(await ended).toBe(70)
  expect(said.err).toMatch(/^error: ebb has not been built\n.*\n next: npm run build\n$/)
})

plainTest('a reader who goes away is no crash', async () => {
  const { child, ended, said } = start(['--help'])
  child.stdout.destroy()
  expect(await ended).toBe(0)
  expect(said.err).toBe('')
})

test.for(['SIGINT', 'SIGTERM'] as const)(
  '%s stops a run cleanly, and it can be resumed',
  async (signal, { database }) => {
    const table = await eventsTable(database)
    const holder = await database.session('holder')
    await holder.query('begin')
    await holder.query(sql`lock table ${quoted(table)} in access share mode`)
    const words = ['partition', display(table), '--by', 'at', '--every', 'month', '--url', database.url, '--execute']
    const { child, said, ended, says } = start(words)
    await says('waiting: ')
    child.kill(signal)
    await says('stopping after the current statement')
    expect(await ended).toBe(4)
    expect(said.err).toMatch(/\nerror: stopped [\s\S]*\n {2}now: .*kept.*\n next: /)
    expect(said.err.match(/waiting: .*holder/g)).toHaveLength(1)

    await holder.query('rollback')
    expect(await start(words).ended).toBe(0)
  },
)

plainTest('a second signal ends it at once', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await once(silent, 'listening')
  const connected = once(silent, 'connection')
  const { port } = silent.address() as { port: number }
  const { child, ended, says } = start(['status', '--url', `postgres://u@127.0.0.1:${port}/d`])
  await connected
  child.kill('SIGINT')
  await says('stopping')
  child.kill('SIGINT')
  expect(await ended).toBe(130)
})
