import type pg from 'pg'
import type { PurgeResult } from '../../src/engine/commands/purge.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql } from '../../src/sql/sql.ts'
import { purge } from '../support/commands.ts'
import { citusTest, type Cluster } from '../support/citus.ts'
import { quietly, written } from '../support/tool.ts'

// What a purge has left is counted on the shards, and on all their copies.

/** The schema of a test, to be purged and counted in. */
export class Citus {
  readonly url: string
  readonly journalSchema: string
  private readonly cluster: Cluster

  constructor(cluster: Cluster) {
    this.cluster = cluster
    this.url = cluster.url
    this.journalSchema = cluster.journalSchema
  }

  get schema(): string {
    return this.cluster.schema
  }

  /** A session with the schema on its search path. */
  async session(): Promise<pg.Client> {
    const client = await this.cluster.session()
    await client.query(sql`set search_path to ${ident(this.schema)}`.text)
    return client
  }

  options(overrides: Partial<EngineOptions> = {}) {
    return quietly({ journalSchema: this.journalSchema, ...overrides })
  }

  purge(name: string, request: PurgeRequest, overrides: Partial<EngineOptions> = {}): Promise<PurgeResult> {
    return purge(this.url, written(this.table(name)), request, this.options(overrides))
  }

  table(name: string): TableName {
    return this.cluster.table(name)
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
}

export const test = citusTest.extend<{ citus: Citus; owner: pg.Client }>({
  citus: async ({ cluster }, use) => {
    await use(new Citus(cluster))
  },
  owner: async ({ citus }, use) => {
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
