import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test as plainTest } from 'vitest'
import { tellHooks } from '../../src/cli/hooks/hooks.ts'
import type { Ended } from '../../src/report/ended.ts'
import { NO_HOOKS } from '../../src/requests/hooks.ts'
import { display } from '../../src/sql/names.ts'
import { readPage } from '../docs/pages.ts'
import { test, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { ebb, eventsTable } from './support.ts'

// --on-failure, --on-objection, --on-finish: who is told how a command has ended, and what becomes of the command if
// that goes wrong.

const TOKEN = 'T000/B000/XXXX'

/** A webhook, and what has been posted to it. */
async function webhook(answer: RequestListener = (_request, response) => void response.end('ok')) {
  const posted: { readonly path: string; readonly content: Record<string, unknown> }[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (more: string) => (text += more))
    request.on('end', () => {
      posted.push({ path: request.url ?? '', content: JSON.parse(text) as Record<string, unknown> })
      answer(request, response)
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { posted, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/services/${TOKEN}` }
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ebb-hooks-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

/** A config with one table that is purged, and one that cannot be. */
async function nightly(database: Database, hooks?: object): Promise<string> {
  await database.admin(`
    set role ebb_owner;
    create table public.logs (id int primary key);
    create table public.kept (id int primary key);
    insert into public.logs select generate_series(1, 7);
    insert into public.kept select generate_series(1, 7)`)
  const file = join(await folder(), 'ebb.config.json')
  const policy = { purge: { where: 'id > 3' }, archive: 'none' }
  const failing = { ...policy, purge: { where: '1 / (id - id) = 1' } }
  await writeFile(file, JSON.stringify({ policies: { 'public.logs': policy, 'public.kept': failing }, hooks }))
  return file
}

test('the crontab of the page tells a chat of a failure, in a text', async ({ database }) => {
  const { posted, url } = await webhook()
  const config = await nightly(database)
  const [, crontab = ''] = /```text\n(DATABASE_URL=[^`]*)```/.exec(readPage('docs/what-it-tells.md')) ?? []
  const env: Record<string, string> = {}
  for (const [, name = '', value = ''] of crontab.matchAll(/^(\w+)=(.*)$/gm)) env[name] = value
  expect(env.EBB_ON_FAILURE).toContain(TOKEN)
  const [, words = ''] = /^15 2 .* {2}ebb (.*)$/m.exec(crontab) ?? []
  const args = words.replace('/etc/ebb/ebb.config.yaml', config).split(' ')
  const { code, err, out } = await ebb(args, { env: { ...env, DATABASE_URL: database.url, EBB_ON_FAILURE: url } })
  expect(code, err).toBe(1)
  expect(posted).toMatchObject([
    {
      path: `/services/${TOKEN}`,
      content: {
        text: expect.stringMatching(
          /^ebb run on \S+: failed \(exit code 1\)\npublic\.kept: purge public\.kept: .*\nrows deleted 4$/,
        ) as string,
        ...{ command: 'run', outcome: 'failed', exitCode: 1, error: null, tables: ['public.kept', 'public.logs'] },
        counts: { tables: 2, troubles: 1, rowsDeleted: 4 },
        troubles: [{ table: 'public.kept', message: expect.any(String) as string }],
      },
    },
  ])
  // Nothing is said of rows, to anybody who is told; and of the webhook, only to itself.
  expect(JSON.stringify(posted[0]!.content)).not.toMatch(/postgres:|XXXX/)
  expect(out + err).not.toContain(TOKEN)
  expect(err).not.toContain('warning')
  const { rows } = await database.admin<{ all: string }>(
    `select string_agg(r::text, '') as all from (select to_jsonb(run) from ebb.run union all select to_jsonb(step) from ebb.step) r`,
  )
  expect(rows[0]!.all).toContain('public')
  expect(rows[0]!.all).not.toContain(TOKEN)
})

test('hooks of a config are those of ebb run, after those that are typed; a plan that is shown is no run', async ({
  database,
}) => {
  const [failure, finish, typed] = [await webhook(), await webhook(), await webhook()]
  const config = await nightly(database, { onFailure: failure.url, onFinish: finish.url })
  const words = ['run', '--config', config, '--url', database.url]
  const shown = await ebb([...words, '--on-finish', typed.url])
  expect(shown.out).toContain(`--on-finish 'http://${typed.host}/***'`)
  expect(shown.out + shown.err).not.toContain(TOKEN)
  await ebb([...words, '--execute', '--only', 'public.logs', `--on-finish=${typed.url}`])
  expect([failure, finish, typed].map(({ posted }) => posted.length)).toEqual([0, 0, 1])
  expect(typed.posted[0]!.content).toMatchObject({
    outcome: 'done',
    text: expect.stringMatching(/: done in /) as string,
  })
  await ebb([...words, '--execute'])
  expect([failure, finish, typed].map(({ posted }) => posted.length)).toEqual([1, 1, 1])
  await ebb(['check', '--config', config, '--url', database.url])
  expect(finish.posted).toHaveLength(1)

  const wrong = join(await folder(), 'ebb.config.yaml')
  await writeFile(
    wrong,
    `hooks:\n  onFinnish: x\n  onFinish: ''\n  onFailure: https://hooks.slack.com/services/T0\npolicies: {}\n`,
  )
  const refused = await ebb(['run', '--config', wrong, '--url', database.url, '--execute', '--on-failure', typed.url])
  expect(refused.err).toContain('error: 3 faults')
  expect(refused.err).toContain('4:14: a secret is in the file')
  expect(refused.err).toContain('3:13: hooks.onFinish: there is nothing to run')
  expect(refused.err).toContain('2:3: hooks.onFinnish: there is no such key; did you mean onFinish?')
  expect(typed.posted[1]!.content).toMatchObject({
    outcome: 'usage',
    exitCode: 2,
    error: { next: expect.any(String) as string },
  })
})

test('blocking issues, an error and findings, told to commands on their standard input', async ({ database }) => {
  const table = await eventsTable(database)
  const file = join(await folder(), 'told')
  const asked = async (...words: string[]) => {
    const ran = await ebb([...words, '--url', database.url, '--on-objection', `cat > ${file}`])
    return { ...ran, told: JSON.parse(await readFile(file, 'utf8').catch(() => 'null')) as object | null }
  }
  const failing = await asked('rebuild', 'missing', '--keep-all', '--execute')
  expect(failing).toMatchObject({ code: 2, told: null })
  const blocked = await asked('purge', display(table), '--where', 'true', '--no-archive', '--execute')
  expect(blocked).toMatchObject({
    code: 3,
    told: {
      ...{ command: 'purge', outcome: 'objections', tables: [display(table)], counts: { troubles: 1 } },
      troubles: [{ table: display(table), message: expect.stringMatching(/^all-rows: /) as string }],
    },
  })
  await database.admin(`
    set role ebb_owner;
    create table public.sets (at timestamptz not null) partition by range (at);
    create table public.sets_old partition of public.sets for values from ('2020-01-01') to ('2021-01-01')`)
  const config = join(await folder(), 'ebb.config.json')
  await writeFile(config, JSON.stringify({ policies: { 'public.sets': { keep: '1 year', archive: 'none' } } }))
  const found = await asked('check', '--config', config)
  expect(found).toMatchObject({ code: 3, told: { command: 'check', outcome: 'objections' } })
  const nagios = await asked('check', '--config', config, '--format', 'nagios')
  expect(nagios.err).toContain('--on-objection: cannot be used with --format nagios')
})

describe('what goes wrong is told in one line, and changes nothing', () => {
  const ended: Ended = {
    ...{ command: 'run', database: 'h:1/d', outcome: 'failed', exitCode: 1, milliseconds: 5, error: null },
    ...{ tables: [], samples: [], troubles: Array.from({ length: 5000 }, () => ({ table: 'a', message: 'm' })) },
  }
  const told = (hook: string, timeoutMs = 10_000) =>
    tellHooks({ ...NO_HOOKS, onFinish: hook.startsWith('http') ? { url: hook } : { command: hook } }, ended, timeoutMs)

  plainTest.for([
    ['says no', (_, response) => void response.writeHead(404).end('no_service'), /answered 404$/],
    ['redirects', (_, response) => void response.writeHead(302, { location: 'http://example.com/' }).end(), / 302$/],
    ['hangs up', (request) => void request.socket.destroy(), /could not be reached \((ECONNRESET|UND_ERR_SOCKET)\)$/],
    ['talks nonsense', (request) => void request.socket.end('nonsense\r\n\r\n'), /could not be reached \(HPE_\w+\)$/],
  ] satisfies [string, RequestListener, RegExp][])('a webhook that %s', async ([, answer, wrong]) => {
    const { url, host, posted } = await webhook(answer)
    const lines = await told(url)
    expect(lines).toEqual([expect.stringMatching(wrong)])
    expect(lines[0]).toContain(`the hook --on-finish: ${host} `)
    expect(lines[0]).not.toContain(TOKEN)
    const { troubles, counts } = posted[0]!.content as { troubles: unknown[]; counts: { troubles: number } }
    expect({ listed: troubles.length, all: counts.troubles }).toEqual({ listed: 100, all: 5000 })
  })

  plainTest('a webhook that hangs, and one that answers without end', async () => {
    const hanging = await webhook(() => {})
    expect(await told(hanging.url, 200)).toEqual([
      `the hook --on-finish: ${hanging.host} has not answered within 0.2 s`,
    ])
    const flooding = await webhook((_, response) => {
      response.on('close', () => clearInterval(timer))
      const timer = setInterval(() => response.write(Buffer.alloc(65_536)), 1)
    })
    expect(await told(flooding.url)).toEqual([])
  })

  plainTest('a webhook that is not there', async () => {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    await new Promise((resolve) => server.close(resolve))
    expect(await told(`http://${host}/x`)).toEqual([
      `the hook --on-finish: ${host} could not be reached (ECONNREFUSED)`,
    ])
  })

  plainTest.for([
    ['reads nothing and prints much', 'yes | head -c 3000000; yes | head -c 3000000 >&2', []],
    ['leaves something behind that holds its output', 'sleep 5 &', []],
    [
      'fails',
      'echo a >&2; echo "no https://h.example/tok?en" >&2; exit 3',
      ['it ended with 3: no https://h.example/***'],
    ],
    ['is not there', 'exec /missing', [expect.stringMatching(/^it ended with 12[67]: .*\/missing/)]],
    ['is killed', 'kill -9 $$', ['it ended with SIGKILL']],
  ] satisfies [string, string, unknown[]][])('a command that %s', async ([, command, wrong]) => {
    const lines = await told(command)
    expect(lines.map((line) => line.replace('the hook --on-finish: ', ''))).toEqual(wrong)
  })

  plainTest('a command that hangs is killed with what it has started', async () => {
    const pids = join(await folder(), 'pids')
    const lines = await told(`sleep 1000 & echo $! $$ > ${pids}; trap '' TERM; wait`, 300)
    expect(lines).toEqual(['the hook --on-finish: it was not done within 0.3 s, and was killed'])
    const [inner, outer] = (await readFile(pids, 'utf8')).trim().split(' ').map(Number)
    await until(() => !isThere(inner!) && !isThere(outer!))
  })
})

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('the exit code and what is printed stay as they are', async ({ database }) => {
  const table = await eventsTable(database)
  const purge = (ids: string, ...more: string[]) =>
    ebb([
      'purge',
      display(table),
      '--where',
      `id <= ${ids}`,
      '--no-archive',
      '--url',
      database.url,
      '--execute',
      ...more,
    ])
  const plain = await purge('10')
  const hooked = await purge('20', '--on-finish', 'exit 9', '--on-failure', 'exit 8')
  expect(hooked.code).toBe(plain.code)
  expect(hooked.err).toMatch(/warning: the hook --on-finish: it ended with 9\n$/)
  expect(hooked.err).not.toContain('--on-failure')
})
