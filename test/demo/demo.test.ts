import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import type { Context } from '../../src/cli/context.ts'
import { runDemo } from '../../src/demo/demo.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'

const SMALL = { events: 20_000, pageViews: 14_000 }

// Servers live in the folder for temporary files, so what is in there tells what is left of them.
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-demo-test-'))
  await chmod(folder, 0o755) // the server may run as another user
  vi.stubEnv('TMPDIR', folder)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

/** A terminal that remembers, and a key to stop with. */
function audience() {
  const stop = new AbortController()
  const heard: string[] = []
  const output = { write: (text: string) => heard.push(text), isTTY: false, columns: 80 }
  const context: Context = { out: output, err: output, env: {}, signal: stop.signal }
  return { context, stop: () => stop.abort(), heard: () => heard.join('') }
}

test('runs the whole demo without an error or a lost row, and leaves nothing behind', async () => {
  const { context, heard } = audience()
  const { before, after, traffic, missing, lockMs } = await runDemo(context, { keep: false, scale: SMALL })

  expect(traffic.errors).toEqual([])
  expect(missing).toBe(0)
  expect(lockMs.partition).toBeGreaterThan(0)
  expect(lockMs.split).toBeGreaterThan(0)
  expect(before.events.rows).toBe(SMALL.events)
  expect(traffic.written.events).toBeGreaterThan(0)
  expect(after.eventsToKeep).toBe(before.eventsToKeep + traffic.written.events)
  // 90 days of fourteen months, and nothing older.
  expect(after.events.rows - traffic.written.events).toBeLessThan(SMALL.events / 3)
  // What was written meanwhile takes room, too: the more of it, the longer the story takes.
  const older = 1 - traffic.written.events / after.events.rows
  expect(after.events.bytes * older).toBeLessThan(before.events.bytes / 2)
  // 90 days touch at most five of the fourteen months, and one has been restored.
  expect(after.pageViews.rows - traffic.written.pageViews).toBeLessThan(SMALL.pageViews / 2)
  expect(after.pageViewsToKeep).toBe(before.pageViewsToKeep + traffic.written.pageViews)

  const commands = [
    'inspect events',
    'partition events --by created_at',
    'rotate events page_views',
    'archive verify',
    'restore file:',
    'split events',
  ]
  for (const typed of [...commands, 'retire --all']) expect(heard()).toContain(`$ ebb ${typed}`)
  expect(heard()).toMatch(/application errors +0 in/)
  expect(heard()).toMatch(/events_2\d{3}_\d\d +MINVALUE/)
  expect(await readdir(folder)).toEqual([])
})

test.for([
  // Nothing tells from outside that the rows are under way; they would take minutes.
  { moment: 'while the tables are filled', sign: 'Filling', afterMs: 1_000, scale: { ...SMALL, events: 50_000_000 } },
  { moment: 'while a command is at work', sign: '--execute', afterMs: 0, scale: SMALL },
])('stopped $moment, it leaves nothing behind', async ({ sign, afterMs, scale }) => {
  const { context, stop, heard } = audience()
  const ended = runDemo(context, { keep: false, scale }).catch((error: unknown) => error)
  await until(() => heard().includes(sign))
  await setTimeout(afterMs)
  stop()
  expect(await ended).toMatchObject({ kind: 'stopped' })
  expect(await readdir(folder)).toEqual([])
})

test('keeps the server on request, and says how to stop it', async () => {
  const { context, heard } = audience()
  await runDemo(context, { keep: true, scale: SMALL })

  const [, url = ''] = /psql (postgres:\S+)/.exec(heard()) ?? []
  const [, pid = '', left = ''] = /kill -INT (\d+) && sleep 1 && rm -r (\S+)/.exec(heard()) ?? []
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('select relkind from pg_class where relname = $1', ['events'])
  await client.end()
  expect(rows).toEqual([{ relkind: 'p' }])

  process.kill(Number(pid), 'SIGINT')
  await until(() => !isAlive(Number(pid)), { what: 'the end of the server' })
  await rm(left, { recursive: true })
  expect(await readdir(folder)).toEqual([])
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
