import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test as plainTest } from 'vitest'
import { logOf } from '../../src/cli/log.ts'
import { reporterFor } from '../../src/cli/reporter.ts'
import { SHIPPED } from '../../rolldown.config.ts'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { shellWord } from '../../src/text/shell-word.ts'
import { writeBundle } from '../support/compiled.ts'
import { test } from '../support/database.ts'
import { PROJECT } from '../docs/pages.ts'
import { until } from '../support/until.ts'
import { eventsTable } from './support.ts'

// bin/ebb.js as a process, with the sources of this moment made into what the package has, in a folder of its own.

let home = ''

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'ebb-process-'))
  for (const part of ['bin', 'package.json']) await cp(join(PROJECT, part), join(home, part), { recursive: true })
  for (const part of ['node_modules', 'migrations']) await symlink(join(PROJECT, part), join(home, part))
  await writeBundle(SHIPPED, join(home, 'dist'))
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

plainTest('the help loads no driver, and the status little of what plans and copies', async () => {
  const help = await loadedBy('cli.js')
  expect(help.packages).toEqual(['commander'])
  expect(help.bytes).toBeLessThan(50_000)
  const files = await readdir(join(home, 'dist'))
  const texts = await Promise.all(files.map((file) => readFile(join(home, 'dist', file), 'utf8')))
  const status = await loadedBy(files[texts.findIndex((text) => text.includes('Lists runs, unfinished ones first'))]!)
  expect(status.packages).toEqual(['commander', 'get-east-asian-width', 'pg'])
  expect(status.bytes).toBeLessThan(530_000)
})

plainTest('fetch is not loaded, which the driver does where there is no navigator', async () => {
  const program = `process.argv.push('status', '--url', 'postgres://u@127.0.0.1:1/d')
    await import('./bin/ebb.js')
    console.log(process.moduleLoadList.filter((name) => name.includes('undici')).join())`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: home,
  }).catch((error: { stdout: string }) => error)
  expect(stdout).toBe('\n')
})

/** What is loaded with a file of the package before anything is executed: how many bytes, and which packages. */
async function loadedBy(file: string): Promise<{ bytes: number; packages: string[] }> {
  const files = new Map<string, string>()
  const packages = new Set<string>()
  const visit = async (name: string): Promise<void> => {
    if (files.has(name)) return
    files.set(name, await readFile(join(home, 'dist', name), 'utf8'))
    for (const [, from = ''] of files.get(name)!.matchAll(/^(?:import|export)\b[^'"]*?from ["'](.+)["'];$/gm)) {
      if (from.startsWith('./')) await visit(from.slice(2))
      else if (!from.startsWith('node:')) packages.add(from)
    }
  }
  await visit(file)
  return { bytes: [...files.values()].join('').length, packages: [...packages].sort() }
}

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

// `script` of util-linux gives it a terminal, on which both streams are.
test('on a terminal: one line while it works, none of it left beside the result or after ^C', async ({
  database,
  needs,
  skip,
}) => {
  if (process.platform !== 'linux') return skip('needs script of util-linux')
  const name = '表の名前がとても長いテーブル'
  const owner = await database.session('owner')
  await owner.query(
    sql`create table ${quoted({ schema: 'public', name })} as select n as id from generate_series(1, 9) n`.text,
  )
  const pause = join(home, 'pause')
  await writeFile(pause, '')
  const words = ['purge', `"${name}"`, '--where', 'id > 4', '--no-archive', '--execute', '--pause-file', pause]
  const command = ['node', join(home, 'bin/ebb.js'), ...words, '--url', database.url].map(shellWord).join(' ')
  const onTerminal = () => {
    const child = spawn(needs('script'), ['-qec', `stty cols 40; exec ${command}`, '/dev/null'], {
      env: { ...process.env, CI: '', TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (more: string) => (shown += more))
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, shown }))
    return { child, ended, shows: (what: string) => until(() => shown.includes(what)) }
  }
  const CLEAR = '\r\x1b[2K'
  const stopped = onTerminal()
  await stopped.shows('waiting: the pause file')
  stopped.child.stdin.write('\x03')
  const { code, shown } = await stopped.ended
  expect(code, shown).toBe(4)
  expect(shown).toMatch(/\^C\r\nstopping after the current statement/)
  const last = shown.slice(shown.lastIndexOf(CLEAR) + CLEAR.length)
  expect(last).toMatch(/^(?: {2}.*\r\n)*error: stopped [^]*\r\n$/)

  const resumed = onTerminal()
  await resumed.shows('waiting: the pause file')
  await rm(pause)
  const done = await resumed.ended
  expect(done.code, done.shown).toBe(0)
  const lines = done.shown.split(CLEAR)
  const overwritten = lines.filter((line) => !line.includes('\n'))
  expect(overwritten.length).toBeGreaterThan(1)
  for (const line of overwritten) expect(columnsOf(line), line).toBeLessThan(40)
  expect(done.shown).toContain(name)
  expect(lines.at(-1)).toMatch(/\r\n$/)
})

/** Each of these names' characters takes two columns. */
function columnsOf(line: string): number {
  return [...line].reduce((sum, character) => sum + (character > '\u3000' ? 2 : 1), 0)
}

plainTest.for([
  ['in CI', { CI: 'true' }],
  ['on a terminal that cannot', { TERM: 'dumb' }],
] as const)('nothing is overwritten %s', async ([, env]) => {
  let err = ''
  const output = { write: (text: string) => (err += text), isTTY: true, columns: 80 }
  const context = { out: output, err: output, env, signal: new AbortController().signal }
  const reporter = reporterFor(context, false, logOf([], context))
  const table = { schema: 'public', name: 'events' }
  reporter.observer({ type: 'waiting', reason: 'for x', table, runId: null })
  reporter.end()
  expect(err).toBe('  waiting: for x\n')
})

test('a migration in TypeScript is imported by what the package has, with what it imports itself', async ({
  database,
}) => {
  const folder = join(home, 'migrations-of-a-project')
  await mkdir(join(folder, 'names'), { recursive: true })
  await writeFile(join(folder, 'names/table.ts'), "export enum Table { Logs = 'logs' }\n")
  await writeFile(
    join(folder, '1-logs.ts'),
    `import type { Migration } from 'pg-ebb'
import { Table } from './names/table.ts'
export const up: Migration = async ({ context: { query } }) => {
  await query(\`create table public.\${Table.Logs satisfies string} (id bigint)\`)
}
`,
  )
  const { ended, said } = start(['migrate', 'up', '--folder', folder, '--url', database.url, '--execute'])
  expect(await ended, said.err).toBe(0)
  const { rows } = await database.admin<{ name: string | null }>("select to_regclass('public.logs')::text as name")
  expect(rows).toEqual([{ name: 'logs' }])
})

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

test('several tables: one that was killed is continued, those before it are not done again', async ({ database }) => {
  const owner = await database.session('owner')
  await owner.query(`
    create schema audit;
    create table audit.a (id int primary key);
    create table audit.b (n int);
    create table audit.c (id int primary key);
    insert into audit.c select generate_series(1, 100)`)
  const all = ['rebuild', 'audit.*', '--keep-all', '--url', database.url, '--execute']
  // Its triggers are not created while a row is written.
  await owner.query('begin; update audit.c set id = -1 where id = 1')
  const first = start(all)
  await first.says('capture changes of audit.c')
  first.child.kill('SIGKILL')
  await first.ended
  await owner.query('commit')

  const second = start(all)
  expect(await second.ended, second.said.err).toBe(3)
  expect(second.said.out).toMatch(/^audit\.a +done before by run 1\b.*\naudit\.b +refused.*\naudit\.c +done \(run 2\)/)
  expect(second.said.err).toContain('audit.c_ebb is skipped')
  const { rows } = await database.admin('select count(*)::int as n, min(id) from audit.c')
  expect(rows).toEqual([{ n: 100, min: -1 }])
})
