import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { companion, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql, type Sql } from '../../src/sql/sql.ts'
import { awfulName } from './awful-names.ts'
import { at, once, OWNER, type Ground } from './template.ts'

/** As whom to connect: by default the tool's and the application's usual role. */
export interface As {
  readonly role?: string
  /** The administrator instead. */
  readonly admin?: true
}

/**
 * A database for one test. Sessions are named, so a test reads like the story it tells.
 *
 * It belongs to `ebb_owner`, an ordinary role, by which the tool and the application
 * connect. With EBB_TEST_ROLE=superuser they connect as the administrator instead.
 */
export class Database {
  readonly name: string
  /** As in server_version_num: 170010. */
  readonly version: number
  readonly adminUrl: string
  /** The usual role's. */
  readonly url: string
  private readonly serverUrl: string
  private readonly roles: string[] = []
  private readonly ends: (() => Promise<void>)[] = []

  private constructor(ground: Ground, name: string) {
    this.name = name
    this.version = ground.version
    this.serverUrl = ground.url
    this.adminUrl = at(ground.url, { database: name })
    this.url = process.env.EBB_TEST_ROLE === 'superuser' ? this.adminUrl : this.urlFor(OWNER)
  }

  /** A fresh copy of the template. */
  static async create(ground: Ground): Promise<Database> {
    const name = `ebb_test_${randomBytes(6).toString('hex')}`
    const copy = sql`create database ${ident(name)} template ${ident(ground.template)} owner ${ident(OWNER)}`
    await (await administratorOf(ground.url)).query(copy.text)
    return new Database(ground, name)
  }

  urlFor(role: string): string {
    return at(this.adminUrl, { role })
  }

  /** Connected, with this application_name; closed at the end. A connection that is lost is no error by itself. */
  async session(name: string, as: As = {}): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.urlAs(as), application_name: name })
    client.on('error', ignore)
    await client.connect()
    this.ends.push(() => client.end())
    return client
  }

  /** Connections of the usual role; closed at the end. */
  pool(max = 10): pg.Pool {
    const pool = new pg.Pool({ connectionString: this.url, max })
    pool.on('error', ignore)
    this.ends.push(async () => {
      if (!pool.ended) await pool.end()
    })
    return pool
  }

  /** One statement as the administrator; several, if they come as plain text. */
  async admin<Row extends pg.QueryResultRow>(statement: string | Sql): Promise<pg.QueryResult<Row>> {
    return once(this.adminUrl, (client) => client.query<Row>(statement))
  }

  /** Ends the sessions of that name, in this database alone: other tests have sessions of the same name. */
  async terminate(applicationName: string): Promise<void> {
    await this.admin(
      sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = ${applicationName}`,
    )
  }

  /**
   * Creates a role that may log in, for this test only, and returns its whole name.
   * `attributes` are those of `create role`, for instance `bypassrls`.
   */
  async role(name: string, attributes = ''): Promise<string> {
    const role = companion(name, `_${this.name.slice(-12)}`)
    await this.admin(sql`create role ${ident(role)} login password ${literal(role)} ${raw(attributes)}`)
    this.roles.push(role)
    return role
  }

  /** Where to put a table that the test calls so: in public or, with EBB_TEST_NAMES=awful, somewhere worse. */
  table(name: string): TableName {
    return process.env.EBB_TEST_NAMES === 'awful' ? awfulName(name) : { schema: 'public', name }
  }

  /** To be done when the test ends; also of one that runs beside others, of which `onTestFinished` cannot tell which it is. */
  atEnd(end: () => Promise<void>): void {
    this.ends.push(end)
  }

  /** Closes the sessions and pools that the test opened. */
  async close(): Promise<void> {
    await Promise.all(this.ends.map((end) => end()))
  }

  /** Takes the database away, with whoever is still in it, and then the roles, which own nothing any more. */
  async drop(): Promise<void> {
    const administrator = await administratorOf(this.serverUrl)
    await administrator.query(sql`drop database ${ident(this.name)} with (force)`.text)
    for (const role of this.roles.toReversed()) await administrator.query(sql`drop role ${ident(role)}`.text)
  }

  private urlAs({ role, admin }: As): string {
    if (admin) return this.adminUrl
    return role === undefined ? this.url : this.urlFor(role)
  }
}

/** Sessions that make databases and drop them, one on each server: to connect each time would cost more than the rest of it. */
const administrators = new Map<string, Promise<pg.Client>>()

function administratorOf(url: string): Promise<pg.Client> {
  const administrator = administrators.get(url) ?? connected(url)
  administrators.set(url, administrator)
  return administrator
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'test support' })
  client.on('error', ignore)
  client.on('end', () => administrators.delete(url))
  await client.connect()
  return client
}

// An `error` event that nobody hears ends the process. The next query tells the test.
function ignore(): void {}
