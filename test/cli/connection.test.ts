import { describe, expect, test as plainTest } from 'vitest'
import { targetOf } from '../../src/cli/connection.ts'
import { test } from '../support/database.ts'
import { ebb, objects } from './support.ts'

// Of a tool that renames tables one must know in which database.

test('--url takes precedence over DATABASE_URL, and DATABASE_URL over libpq’s variables', async ({ database }) => {
  await database.admin('create table public.here (id int primary key, at timestamptz not null)')
  const { hostname, port, username, pathname } = new URL(database.url)
  const there = { PGHOST: hostname, PGPORT: port, PGUSER: username, PGDATABASE: pathname.slice(1) }
  const nowhere = 'postgres://nobody@127.0.0.1:1/nowhere'
  const elsewhere = { PGHOST: '127.0.0.1', PGPORT: '1', PGDATABASE: 'nowhere' }

  const inspected = async (words: string[], env: Record<string, string>) => {
    const { out } = await ebb(['inspect', 'public.here', '--json', ...words], { env })
    const [line] = objects(out)
    return (line?.inspection as { server: { database: string } } | undefined)?.server.database
  }
  expect(await inspected(['--url', database.url], { DATABASE_URL: nowhere, ...elsewhere })).toBe(database.name)
  expect(await inspected([], { DATABASE_URL: database.url, ...elsewhere })).toBe(database.name)
  expect(await inspected([], there)).toBe(database.name)
  expect(await inspected(['--url', nowhere], { DATABASE_URL: database.url, ...there })).toBeUndefined()
  expect(await inspected([], { DATABASE_URL: nowhere, ...there })).toBeUndefined()
})

describe('connection targets', () => {
  const env = { PGHOST: 'h', PGPORT: '5433', PGUSER: 'u', PGPASSWORD: 'p', PGDATABASE: 'd' }
  plainTest('libpq’s variables are read, and those that are empty are not', () => {
    expect(targetOf(null, env)).toEqual({ host: 'h', port: 5433, user: 'u', password: 'p', database: 'd' })
    expect(targetOf(null, { PGHOST: '', PGUSER: 'u' })).toEqual({ user: 'u' })
  })

  plainTest('where nothing names a database, none is guessed', async () => {
    for (const env of [{}, { DATABASE_URL: '' }, { PGPASSWORD: 'p', PGSSLMODE: 'require' }]) {
      const { code, err } = await ebb(['rotate', '--all', '--execute'], { env })
      expect(code).toBe(2)
      expect(err).toMatch(/^error: no database is named\n[^]*next: Pass --url .*, or set DATABASE_URL, or PGHOST/)
    }
    const { code, err } = await ebb(['status'], { env: { PGSERVICE: 'shop' } })
    expect([code, err]).toEqual([2, expect.stringContaining('PGSERVICE is set, but service files are not read')])
  })

  plainTest('verify-ca requires a CA', () => {
    expect(() => targetOf('postgres://h/d?sslmode=verify-ca', {})).toThrow('requires the CA')
    expect(targetOf('postgres://h/d?sslmode=verify-ca&sslrootcert=f', {})).toMatch(/&uselibpqcompat=true$/)
  })

  plainTest('a certificate that is not there is not taken for a server that is away', async () => {
    const { code, err } = await ebb(['status', '--url', 'postgres://h/d?sslmode=verify-full&sslrootcert=/nowhere.pem'])
    expect(code).toBe(2)
    expect(err).toMatch(/cannot connect: .*\/nowhere.pem[^]*next: Check the files/)
  })

  plainTest('several hosts are not tried in turn', () => {
    const several = /names several hosts, and Ebb does not try them in turn/
    for (const url of ['postgres://a,b/d', 'postgresql://u:p@a:1,b:2/d?target_session_attrs=primary'])
      expect(() => targetOf(url, {})).toThrow(several)
    expect(() => targetOf(null, { PGHOST: 'a,b' })).toThrow(several)
    expect(targetOf('postgres://u:p,q@h/d?options=-c%20x=a,b', {})).toBe('postgres://u:p,q@h/d?options=-c%20x=a,b')
  })

  plainTest('as for psql, a URL with a user may leave the host to a parameter, such as the folder of a socket', () => {
    for (const user of ['app', 'app:secret']) {
      const url = `postgres://${user}@/shop?host=/run/postgresql`
      expect(targetOf(url, {})).toBe(url)
    }
    for (const url of ['http://app@/shop', 'postgres://app@'])
      expect(() => targetOf(url, {})).toThrow('--url is not a connection string')
  })

  plainTest('an empty DATABASE_URL is none; an empty --url is a mistake', () => {
    expect(targetOf(null, { DATABASE_URL: '', PGHOST: 'h' })).toEqual({ host: 'h' })
    expect(() => targetOf('', env)).toThrow('--url is not a connection string')
  })
})
