import { describe, expect, test } from 'vitest'
import { assertConnectable } from '../../src/db/pooler.ts'
import { flavourOf, refusedAs, type Looks } from '../../src/text/flavours.ts'

const PLAIN = 'PostgreSQL 17.10 on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0) 12.2.0, 64-bit'
const YUGABYTE = 'PostgreSQL 15.2-YB-2.25.0.0-b0 on aarch64-unknown-linux-gnu, compiled by clang version 17.0.6, 64-bit'
const PGLITE = 'PostgreSQL 18.6 (PGlite 0.5.14) on wasm32-unknown-emscripten, compiled by emcc 6.0.5, 32-bit'
const COCKROACH = 'CockroachDB CCL v25.2.0 (x86_64-pc-linux-gnu, built 2025/05/01 00:00:00, go1.23)'
const GREENPLUM = 'PostgreSQL 12.12 (Greenplum Database 7.1.0 build commit:e7c2b1f) on x86_64-pc-linux-gnu, 64-bit'
const EDB = 'PostgreSQL 17.4 (EnterpriseDB Advanced Server 17.4.0) on x86_64-pc-linux-gnu, 64-bit'

function looks(changes: Partial<Looks> = {}): Looks {
  return { version: PLAIN, roles: [], functions: [], ...changes }
}

describe('a server is known by its looks', () => {
  test.for<[string | null, Partial<Looks>]>([
    [null, {}],
    ['Amazon RDS', { roles: ['rds_superuser'] }],
    ['Amazon Aurora', { roles: ['rds_superuser'], functions: ['aurora_version'] }],
    ['Google Cloud SQL', { roles: ['cloudsqlsuperuser'] }],
    ['Google AlloyDB', { roles: ['alloydbsuperuser', 'cloudsqlsuperuser'] }],
    ['Azure Database for PostgreSQL', { roles: ['azure_pg_admin'] }],
    ['Neon', { roles: ['neon_superuser'] }],
    ['Supabase', { roles: ['supabase_admin'] }],
    ['EDB Postgres Advanced Server', { version: EDB }],
    ['YugabyteDB', { version: YUGABYTE }],
    ['CockroachDB', { version: COCKROACH }],
    ['Greenplum', { version: GREENPLUM }],
    ['PGlite', { version: PGLITE }],
  ])('%s', ([name, seen]) => {
    expect(flavourOf(looks(seen))?.name ?? null).toBe(name)
  })
})

test('where it has neither the heap nor the locks of PostgreSQL nothing is changed, and some are not even set up', () => {
  expect([PLAIN, EDB].map(refusedAs)).toEqual([null, null])
  for (const version of [YUGABYTE, COCKROACH, GREENPLUM, PGLITE]) expect(refusedAs(version)).not.toBeNull()
  for (const version of [PLAIN, EDB, YUGABYTE, GREENPLUM]) assertConnectable(version)
  expect(() => assertConnectable(PGLITE)).toThrow('this is PGlite: all its connections share one session')
  expect(() => assertConnectable(COCKROACH)).toThrow('this is CockroachDB')
})
