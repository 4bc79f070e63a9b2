import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished } from 'vitest'
import { freePort } from '../../src/embedded/port.ts'
import { test } from '../support/database.ts'
import { ebb, objects, type Ran } from './support.ts'

// What a user sees when words or connection are wrong: what happened, how things stand, what to do; as JSON, too.

const PASSWORD = 'p%40ss-W0rd'
const SHOWN = /^error: .+\n(?: {7}.+\n)* {2}now: .+\n next: .+\n/

interface Expected {
  readonly code: number
  readonly says: RegExp
}

/** Runs the words twice, for people and for programs, and wants both to be told the same. */
async function refused(words: readonly string[], { code, says }: Expected, env = {}): Promise<Ran> {
  const people = await ebb(words, { env })
  expect(people.code).toBe(code)
  expect(people.out).toBe('')
  expect(people.err).toMatch(SHOWN)
  expect(people.err).toMatch(says)

  const programs = await ebb([...words, '--json'], { env })
  expect(programs.code).toBe(code)
  const [error, ...more] = objects(programs.out)
  expect(more).toEqual([])
  expect(error).toMatchObject({ type: 'error', error: { exitCode: code } })
  expect(JSON.stringify(error)).toMatch(/"message":".+".*"state":".+".*"next":".+"/)
  for (const secret of [PASSWORD, 'p@ss-W0rd']) expect(people.err + programs.err + programs.out).not.toContain(secret)
  return people
}

describe('connection errors', () => {
  test('an unreachable server', async () => {
    const url = `postgres://u:${PASSWORD}@127.0.0.1:${await freePort()}/db`
    await refused(['inspect', 't', '--url', url], { code: 75, says: /cannot connect: .*ECONNREFUSED/ })
    await refused(['status'], { code: 75, says: /Check that the server runs/ }, { DATABASE_URL: url })
  })

  test('a host that does not exist', async () => {
    const url = `postgres://u:${PASSWORD}@no-such-host.invalid/db`
    // Where there is no name server, nobody knows whether there is such a host.
    const unknown = await lookup('no-such-host.invalid').catch(({ code }: { code: string }) => code)
    const code = unknown === 'EAI_AGAIN' ? 75 : 1
    await refused(['inspect', 't', '--url', url], { code, says: /cannot connect: .*no-such-host\.invalid/ })
  })

  test('a server that closes the connection, and a missing socket', async () => {
    const rude = createServer((socket) => void socket.destroy()).listen(0, '127.0.0.1')
    onTestFinished(() => void rude.close())
    await once(rude, 'listening')
    const url = `postgres://u:${PASSWORD}@127.0.0.1:${(rude.address() as AddressInfo).port}/db`
    await refused(['status', '--url', url], { code: 75, says: /closed the connection while it was being opened/ })
    await refused(['status'], { code: 75, says: /ENOENT/ }, { PGHOST: '/nowhere', PGUSER: 'u' })
  })

  test('a server without free connections', async ({ database }) => {
    const role = await database.role('crowd')
    await database.admin(`alter role "${role}" connection limit 0`)
    await refused(['status', '--url', database.urlFor(role)], { code: 75, says: /too many connections/ })
  })

  test('a wrong password', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const role = await database.role('careful')
    const hba = join(server.dataFolder, 'pg_hba.conf')
    await writeFile(hba, `host all "${role}" 127.0.0.1/32 scram-sha-256\n${await readFile(hba, 'utf8')}`)
    await database.admin('select pg_reload_conf()')

    const url = new URL(database.urlFor(role))
    const words = () => ['status', '--url', url.href]
    url.password = decodeURIComponent(PASSWORD)
    await refused(words(), {
      code: 1,
      says: /password authentication failed[\s\S]*28P01[\s\S]*Check user and password/,
    })
    url.password = ''
    await refused(words(), { code: 1, says: /Check user and password/ })
    url.password = role
    expect((await ebb(words())).code).toBe(0)
  })

  test('a database that does not exist', async ({ database }) => {
    const url = new URL(database.url)
    url.pathname = '/no_such_database'
    await refused(['status', '--url', url.href], { code: 1, says: /no_such_database.*does not exist/ })
  })

  test.for([
    ['no scheme', `u:${PASSWORD}@localhost/db`],
    ['another scheme', `mysql://u:${PASSWORD}@localhost/db`],
    ['a slash in the password', `postgres://u:${PASSWORD}/x@localhost/db`],
    ['a bad port', `postgres://u:${PASSWORD}@localhost:port/db`],
    ['a word', 'production'],
  ] as const)('a bad URL: %s', async ([, url]) => {
    await refused(['status', '--url', url], { code: 2, says: /--url is not a connection string/ })
    await refused(['status'], { code: 2, says: /DATABASE_URL is not a connection string/ }, { DATABASE_URL: url })
  })

  test('a bad PGPORT', async () => {
    await refused(['status'], { code: 2, says: /PGPORT is "x"/ }, { PGPORT: 'x' })
  })
})

describe('option errors', () => {
  test('an unknown option, with a suggestion', async () => {
    await refused(['partition', 't', '--evry', 'month'], { code: 2, says: /unknown option '--evry'.*--every/ })
  })

  test('an unknown command', async () => {
    await refused(['partitoin', 't'], { code: 2, says: /unknown command 'partitoin'.*partition(.|\n)*See ebb --help/ })
    await refused(['migrate', 'upp'], { code: 2, says: /unknown command 'upp'(.|\n)*See ebb migrate --help/ })
    await refused(['archive', 'verify', 'r', '--url', 'u'], { code: 2, says: /See ebb archive verify --help/ })
  })

  test('a missing argument, and an excess one', async () => {
    await refused(['inspect'], { code: 2, says: /missing required argument 'tables'/ })
    await refused(['purge', 'a', 'b'], { code: 2, says: /too many arguments/ })
  })

  test('an option without its value', async () => {
    await refused(['partition', 't', '--by'], { code: 2, says: /'--by <column>' argument missing/ })
  })

  const complete = ['partition', 't', '--by', 'at', '--every', 'month']
  test.for([
    ['--every', '90d', /not an interval/],
    ['--every', '0', /no number of ids/],
    ['--every', '1_', /no number of ids/],
    ['--every', '-5', /not an interval/],
    ['--keep', '1.5 days', /not an interval/],
    ['--premake', '0', /not a whole number from 1 to 1000/],
    ['--premake', '1e2', /not a whole number/],
    ['--timezone', '+02', /not a supported time zone/],
    ['--timezone', 'Mars/Olympus', /not a supported time zone/],
    ['--expire-by', '', /is not a name/],
    ['--lock-timeout', '0', /not a whole number/],
    ['--deadline', 'soon', /not a duration/],
    ['--journal-schema', 'x'.repeat(64), /is not a name/],
  ] as const)('%s %s', async ([option, value, says]) => {
    const { err } = await refused([...complete, option, value], { code: 2, says })
    expect(err).toContain(`${option}: `)
  })

  test.for(['a b', 'a.b.c', '"open', '', '1st', 'a.'])('table name %j', async (name) => {
    const says = /<tables>: .* is not a table name\n/
    await refused(['inspect', name], { code: 2, says })
    await refused(['partition', name, ...complete.slice(2)], { code: 2, says })
  })

  test('all errors are reported together, before connecting', async () => {
    const words = ['partition', 'a b', '--every', '90d', '--keep', 'x', '--premake', '-1', '--url', 'nowhere']
    const { err } = await refused(words, { code: 2, says: /^error: 6 usage errors:\n/ })
    for (const place of ['<tables>', '--every', '--keep', '--premake', 'connection'])
      expect(err).toContain(`   ${place}: `)
    expect(err).toContain('   missing required option --by\n')
  })
})

describe('database errors', () => {
  test('a table that does not exist', async ({ database }) => {
    await refused(['inspect', 'nothing', '--url', database.url], {
      code: 2,
      says: /there is no table nothing on the search path|there is no table "nothing"/,
    })
  })

  test('a table whose name differs in case is suggested', async ({ database }) => {
    await database.admin('create table public."Orders" (id int)')
    await refused(['inspect', 'orders', '--url', database.url], { code: 2, says: /There is public\."Orders"/ })
    expect((await ebb(['inspect', '"Orders"', '--url', database.url])).code).toBe(0)
  })
})

test('help and version exit with 0', async () => {
  expect(await ebb(['--version'])).toMatchObject({ code: 0, err: '' })
  expect(await ebb(['--help'])).toMatchObject({ code: 0, err: '' })
  expect(await ebb(['partition', '--help'])).toMatchObject({ code: 0, err: '' })
  expect(await ebb([])).toMatchObject({ code: 2, out: '' })
})
