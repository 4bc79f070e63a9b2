import { afterAll, beforeAll } from 'vitest'
import { startServer, type EmbeddedServer } from '../../src/embedded/server.ts'
import { ident, literal, raw, sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'
import { noOwnServer, ownBinaries, SETTINGS } from './server.ts'
import { at, once } from './template.ts'

/** Another server for the tests of a file, to which partitions are moved. */
export class ColdServer {
  private started: EmbeddedServer | null = null

  get server(): EmbeddedServer {
    if (this.started === null) throw new Error('it was not started')
    return this.started
  }

  /** Where the rows of a test's database go: a database of the same name. */
  urlOf({ name }: Database): string {
    return at(this.server.url, { database: name })
  }

  /** Makes it the foreign server `cold` of a database. */
  async link(database: Database, options: { readonly port?: number; readonly more?: string } = {}): Promise<void> {
    await once(this.server.url, (client) => client.query(sql`create database ${ident(database.name)}`.text))
    const { port = this.server.port, more = '' } = options
    await database.admin(`
      create extension if not exists postgres_fdw;
      create server cold foreign data wrapper postgres_fdw
        options (host '127.0.0.1', port '${port}', dbname ${literal(database.name).text}, connect_timeout '10'${more});
      grant usage on foreign server cold to public;
      create user mapping for public server cold options (user 'postgres', password_required 'false')`)
  }

  async query<Row extends object>(database: Database, statement: string): Promise<Row[]> {
    return once(
      this.urlOf(database),
      async (client) => (await client.query<Row & Record<string, unknown>>(raw(statement))).rows,
    )
  }

  async start(): Promise<void> {
    if (noOwnServer() === null) this.started = await startServer({ binaries: await ownBinaries(), settings: SETTINGS })
  }

  async remove(): Promise<void> {
    await this.started?.remove()
  }
}

/** Starts one before the tests of a file, and removes it after them. */
export function coldServer(): ColdServer {
  const cold = new ColdServer()
  beforeAll(() => cold.start())
  afterAll(() => cold.remove())
  return cold
}
