import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { test as plain } from 'vitest'
import type { PurgeResult } from '../../src/engine/commands/purge.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql } from '../../src/sql/sql.ts'
import { purge } from '../support/commands.ts'
import { unable } from '../support/programs.ts'
import { quietly, written } from '../support/tool.ts'

// A real Citus: the database of a coordinator by EBB_TEST_CITUS_URL (scripts/citus-cluster.sh). Each test has a schema
// and a journal of its own there. What a purge has left is counted on the shards and on all their copies.

export const CITUS_URL = process.env.EBB_TEST_CITUS_URL ?? ''

/** A schema on a coordinator for one test. */
export class Citus {
  readonly url = CITUS_URL
  readonly schema = `citus_${randomBytes(4).toString('hex')}`
  readonly journalSchema = `${this.schema}_ebb`
  private readonly clients: pg.Client[] = []

  /** A session, closed at the end. */
  async session(url = this.url): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url, application_name: 'test' })
    client.on('error', () => {})
    await client.connect()
    this.clients.push(client)
    await client.query(`set search_path to ${this.schema}`)
    return client
  }

  options(overrides: Partial<EngineOptions> = {}) {
    return quietly({ journalSchema: this.journalSchema, ...overrides })
  }

  purge(name: string, request: PurgeRequest, overrides: Partial<EngineOptions> = {}): Promise<PurgeResult> {
    return purge(this.url, written(this.table(name)), request, this.options(overrides))
  }

  table(name: string): TableName {
    return { schema: this.schema, name }
  }

  /** Rows on each shard, or on each copy of each: of all, or where a condition is true. */
  async counts(session: pg.Client, name: string, on: 'shards' | 'placements', where = 'true'): Promise<number[]> {
    const question = literal(`select count(*) from %s where ${where.replaceAll('%', '%%')}`).text
    const { rows } = await session.query<{ result: string }>(
      sql`select result from ${raw(`run_command_on_${on}`)}(${quoted(this.table(name)).text}, ${raw(question)}) order by shardid`,
    )
    return rows.map(({ result }) => Number(result))
  }

  /** Rows on all shards. */
  async total(session: pg.Client, name: string, where = 'true'): Promise<number> {
    return (await this.counts(session, name, 'shards', where)).reduce((sum, count) => sum + count, 0)
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.end()))
    const client = new pg.Client({ connectionString: this.url })
    await client.connect()
    for (const schema of [this.schema, this.journalSchema])
      await client.query(sql`drop schema if exists ${ident(schema)} cascade`.text)
    await client.end()
  }
}

export const test = plain.extend<{ citus: Citus; owner: pg.Client }>({
  citus: async ({ skip }, use) => {
    if (CITUS_URL === '') unable('needs Citus: EBB_TEST_CITUS_URL', skip, 'EBB_TEST_REQUIRE_MORE')
    const citus = new Citus()
    await use(citus)
    await citus.close()
  },
  owner: async ({ citus }, use) => {
    const owner = new pg.Client({ connectionString: citus.url })
    await owner.connect()
    await owner.query(`create schema ${citus.schema}`)
    await owner.end()
    await use(await citus.session())
  },
})

/** Distributed by tenant over eight shards: 40,000 rows, ten minutes apart. */
export async function events(owner: pg.Client, rows = 40_000): Promise<void> {
  for (const statement of [
    'create table events (tenant int not null, id bigint not null, at timestamptz not null, note text, deleted_at timestamptz, primary key (tenant, id))',
    'set citus.shard_count = 8',
    `select create_distributed_table('events', 'tenant')`,
    `insert into events select n % 97, n, '2026-01-01'::timestamptz + n * interval '10 minutes', repeat('x', 60) from generate_series(1, ${rows}) n`,
    'analyze events',
  ])
    await owner.query(statement)
}
