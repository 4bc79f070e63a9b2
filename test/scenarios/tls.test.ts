import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { targetOf } from '../../src/cli/connection.ts'
import { CopyOut } from '../../src/db/copy-out.ts'
import { readAll } from '../../src/db/query.ts'
import { openSession, withSession, type Target } from '../../src/db/session.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { speakTls } from '../support/tls.ts'
import { quietly, written } from '../support/tool.ts'
import { rebuild } from '../support/commands.ts'

// Over TLS, as servers elsewhere are spoken to.

test('rows are copied over TLS unchanged', async ({ ownServer, needs }) => {
  const own = await ownServer()
  const certificate = await speakTls(own, needs('openssl'))
  const { database } = own
  const target = to(database, `sslmode=verify-full&sslrootcert=${certificate}`)
  const table = database.table('events')
  const sum = sql`select count(*)::int as n, sum(hashtext(e::text))::text as hash from ${quoted(table)} e`
  const before = await withSession(target, 'fill', async (session) => {
    await session.query(sql`create table ${quoted(table)} (id int primary key, note text)`.text)
    await session.query(
      sql`insert into ${quoted(table)} select n, repeat(n::text, n % 500) from generate_series(1, 30000) n`,
    )
    return readAll<Sum>(session, sum)
  })

  const looks: Promise<{ rows: { tls: boolean }[] }>[] = []
  const sessions = `select s.ssl as tls from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name like 'ebb rebuild %'`
  const observer = () => void looks.push(database.admin<{ tls: boolean }>(sessions))
  await rebuild(target, written(table), rebuildRequest({ transport: 'copy' }), quietly({ observer }))

  expect(await withSession(target, 'look', (session) => readAll<Sum>(session, sum))).toEqual(before)
  const seen = (await Promise.all(looks)).flatMap(({ rows }) => rows.map(({ tls }) => tls))
  expect(seen.length).toBeGreaterThan(10)
  expect(seen).not.toContain(false)
})

test('a copy that fails over TLS leaves a usable session', async ({ ownServer, needs }) => {
  const own = await ownServer()
  await speakTls(own, needs('openssl'))
  const session = await openSession(to(own.database, 'sslmode=require'), 'copy')
  const copied = text(
    session.query(new CopyOut('copy (select 1 / (100000 - n) from generate_series(1, 200000) n) to stdout')),
  )
  await expect(copied).rejects.toThrow('division by zero')
  expect((await session.query('select 42 as n')).rows).toEqual([{ n: 42 }])
  await session.end()
})

test('modes have the meaning of psql, and missing files are reported', async ({ ownServer, needs }) => {
  const own = await ownServer()
  const certificate = await speakTls(own, needs('openssl'))
  const { database } = own
  const warnings: Error[] = []
  const listen = (warning: Error) => void warnings.push(warning)
  process.on('warning', listen)

  const refused = async (words: string) => connected(to(database, words)).catch((error: unknown) => error)
  expect(await connected(to(database, 'sslmode=require'))).toBe(true)
  expect(await connected(to(database, `sslmode=verify-ca&sslrootcert=${certificate}`))).toBe(true)
  expect(await refused('sslmode=verify-full')).toMatchObject({
    message: expect.stringContaining('self-signed certificate') as string,
    advice: { next: expect.stringContaining('sslrootcert=<file>') as string },
  })
  expect(await refused('sslmode=disable')).toMatchObject({
    advice: { next: expect.stringContaining('add ?sslmode=require') as string },
  })
  const { hostname, port, username, pathname } = new URL(database.url)
  const env = { PGHOST: hostname, PGPORT: port, PGUSER: username, PGDATABASE: pathname.slice(1), PGSSLMODE: 'require' }
  expect(await connected(targetOf(null, env))).toBe(true)

  process.off('warning', listen)
  expect(warnings).toEqual([])
})

interface Sum {
  readonly n: number
  readonly hash: string
}

function to(database: Database, words: string): Target {
  const url = new URL(database.url)
  url.search = words
  return targetOf(url.href, {})
}

/** Whether the session is encrypted. */
async function connected(target: Target): Promise<boolean | undefined> {
  return withSession(target, 'look', async (session) => {
    const { rows } = await session.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    return rows[0]?.ssl
  })
}
