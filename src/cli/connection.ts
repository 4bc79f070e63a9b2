import type pg from 'pg'
import type { Address } from '../db/session.ts'
import { UsageError } from '../errors.ts'
import { databaseUrl } from '../text/url.ts'
import type { Context } from './context.ts'

/**
 * Where to connect: `--url`, else DATABASE_URL, else libpq's variables. The
 * first of these that is there decides alone; nothing is mixed, except that
 * what a URL leaves open (a password) may still come from libpq's variables,
 * as it does for psql.
 *
 * @throws {UsageError} when a URL or port cannot be read; no password is repeated
 */
export function targetOf(url: string | null, env: Context['env']): Address {
  if (url !== null) return readable(url, '--url')
  if (env.DATABASE_URL) return readable(env.DATABASE_URL, 'DATABASE_URL')
  return fromLibpq(env)
}

/**
 * Refuses to guess: without any of these the driver would try a server on this machine, and a scheduled job that lost
 * its environment would seem to meet a server that is away.
 *
 * @throws {UsageError} when nothing says where the database is
 */
export function assertNamed(url: string | null, env: Context['env']): void {
  const { DATABASE_URL, PGHOST, PGPORT, PGUSER, PGDATABASE } = env
  if (url !== null || [DATABASE_URL, PGHOST, PGPORT, PGUSER, PGDATABASE].some(Boolean)) return
  const service = env.PGSERVICE ? ': PGSERVICE is set, but service files are not read' : ''
  throw new UsageError(
    `no database is named${service}`,
    'Pass --url postgres://user@host/database, or set DATABASE_URL, or PGHOST, PGUSER and PGDATABASE.',
  )
}

// Read here as well as by the driver, because the driver takes what is no URL for the name of a database.
function readable(url: string, source: string): string {
  if (/^postgres(ql)?:\/\/([^/?]*@)?[^/?@]*,[^/?@]*([/?]|$)/.test(url)) throw severalHosts(source)
  const parsed = databaseUrl(url)
  if (parsed !== null) return withModesOfLibpq(url, parsed)
  throw new UsageError(
    `${source} is not a connection string`,
    'Write it as postgres://user:password@host:5432/database.',
  )
}

/** libpq tries one after the other. A run that changes its server on the way would look for its journal on the wrong one. */
function severalHosts(source: string): UsageError {
  return new UsageError(
    `${source} names several hosts, and Ebb does not try them in turn`,
    'Name the primary, or an address that always leads to it.',
  )
}

/** As for psql, `require` means encrypted. For node-postgres it still means verified, and it warns that this is to change. */
function withModesOfLibpq(url: string, { searchParams }: URL): string {
  if (searchParams.get('sslmode') === 'verify-ca' && !searchParams.has('sslrootcert'))
    throw new UsageError(
      'sslmode=verify-ca requires the CA that signed the certificate',
      'Add &sslrootcert=<file>, or use sslmode=verify-full, which trusts Node’s CAs.',
    )
  const asIs =
    searchParams.has('uselibpqcompat') ||
    !['prefer', 'require', 'verify-ca'].includes(searchParams.get('sslmode') ?? '')
  return asIs ? url : `${url}&uselibpqcompat=true`
}

/** The same of PGSSLMODE; the other modes node-postgres takes from there itself. */
function encryption(mode: string | undefined): pg.ClientConfig {
  return mode === 'prefer' || mode === 'require' ? { ssl: { rejectUnauthorized: false } } : {}
}

function fromLibpq(env: Context['env']): pg.ClientConfig {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGDATABASE: database } = env
  if (host?.includes(',')) throw severalHosts('PGHOST')
  if (port && !/^\d{1,5}$/.test(port))
    throw new UsageError(`PGPORT is ${JSON.stringify(port)}, which is not a port`, 'Set it to a number such as 5432.')
  return {
    ...(host ? { host } : {}),
    ...(port ? { port: Number(port) } : {}),
    ...(user ? { user } : {}),
    ...(password ? { password } : {}),
    ...(database ? { database } : {}),
    ...encryption(env.PGSSLMODE),
  }
}
