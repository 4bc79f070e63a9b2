import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { test as base } from 'vitest'
import { CITUS_URL } from './citus-url.ts'
import type { TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'

/** A schema of one's own in a Citus cluster, and a journal of one's own. */
export interface Cluster {
  readonly url: string
  readonly schema: string
  readonly journalSchema: string
  table(name: string): TableName
  /** As the superuser of the URL, with the schema on the search path. */
  admin<R extends pg.QueryResultRow>(text: string): Promise<R[]>
  /** A session of its own, by default at the coordinator, for the test. */
  session(url?: string): Promise<pg.Client>
  /** URLs of the workers. */
  workers(): Promise<string[]>
}

/** A test on a real Citus; skipped without one. */
export const citusTest = base.extend<{ cluster: Cluster }>({
  cluster: async ({ skip }, use) => {
    if (CITUS_URL === undefined) return skip('EBB_TEST_CITUS_URL is not set')
    const open: pg.Client[] = []
    const session = async (url = CITUS_URL) => {
      const client = new pg.Client(url)
      open.push(client)
      client.on('error', () => {}) // a test may kill its server
      await client.connect()
      return client
    }
    const admin = await session()
    const schema = `t_${randomUUID().slice(0, 8)}`
    await admin.query(sql`create schema ${ident(schema)}`.text)
    await admin.query(sql`set search_path = ${ident(schema)}, public`.text)
    try {
      await use({
        url: CITUS_URL,
        schema,
        journalSchema: `${schema}_ebb`,
        table: (name) => ({ schema, name }),
        admin: async <R extends pg.QueryResultRow>(text: string) => (await admin.query<R>(text)).rows,
        session,
        workers: async () => {
          const { rows } = await admin.query<{ nodename: string; nodeport: number }>(
            `select nodename, nodeport from pg_dist_node where groupid > 0 and noderole = 'primary' order by nodeid`,
          )
          return rows.map(({ nodename, nodeport }) => {
            const url = new URL(CITUS_URL as string)
            url.hostname = nodename
            url.port = String(nodeport)
            return url.href
          })
        },
      })
    } finally {
      for (const client of open) await client.end().catch(() => {})
      const last = await session()
      for (const one of [schema, `${schema}_ebb`])
        await last.query(sql`drop schema if exists ${ident(one)} cascade`.text)
      await last.end()
    }
  },
})
