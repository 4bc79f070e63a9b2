import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import pg from 'pg'
import { EbbError, messageOf, UsageError, type ErrorKind } from '../errors.ts'
import { OUR_SETTINGS } from '../sql/condition-settings.ts'
import { literal, type Sql } from '../sql/sql.ts'
import { inOneGo } from './in-one-go.ts'
import { refuseTransactionPooler } from './pooler.ts'
import { codeOf, isConnectionLost, SQLSTATE } from './sqlstate.ts'
import { timeQueries } from './work-clock.ts'

// The only way to open a session. Settings that matter (how bounds are printed, how names are resolved, lock
// timeouts) are fixed here, so that defaults of a role or database cannot change what Ebb does.

/** Where the database is: a connection string, or settings; missing ones come from libpq's environment variables. */
export type Address = string | pg.ClientConfig

/** Where sessions come from: the database itself, or what hands them on (shared-sessions.ts). */
export type Target = Address | SessionSource

/** Opens sessions, or hands on those of others that have ended. */
export interface SessionSource {
  open(purpose: string, sockets?: FollowedSockets): Promise<Session>
}

/** The sockets that somebody follows (sockets.ts). */
export interface FollowedSockets {
  add(socket: Socket): void
  remove(socket: Socket): void
  through(target: Target): Target
}

/** A connection that one piece of work uses at a time. */
export type Session = pg.Client

const SETTINGS: readonly (readonly [string, string])[] = [
  ...Object.entries(OUR_SETTINGS),
  ['client_encoding', 'UTF8'], // behind a pooler, a session that is reset would have that of the database
  ['extra_float_digits', '1'], // keys and positions travel as text: with less, two numbers would be one
  ['client_min_messages', 'warning'],
  ['row_security', 'off'], // a policy that would hide rows from us is an error, never a gap
  ['statement_timeout', '0'],
  ['lock_timeout', '500ms'],
  ['idle_in_transaction_session_timeout', '60s'], // if we hang, the server lets our locks go
  ['idle_session_timeout', '0'], // a run may pause, and its second session only looks around
  ['default_tablespace', ''],
  ['default_table_access_method', 'heap'],
  ['check_function_bodies', 'off'],
  // If our machine goes down, the server notices within a minute, and releases our locks.
  ['tcp_keepalives_idle', '10'],
  ['tcp_keepalives_interval', '10'],
  ['tcp_keepalives_count', '3'],
  ['jit', 'off'], // questions to the catalogue look expensive to the planner: compiling one took 1.2 s, running it 2 ms
  ['standard_conforming_strings', 'on'],
]

const CONNECT_TIMEOUT_MS = 15_000

/** Firewalls and load balancers drop connections that are idle during a long statement. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 }

/**
 * Opens a session. `purpose` is part of `application_name`, so that `pg_stat_activity` shows it: `ebb partition`,
 * `ebb watch`, …
 *
 * @throws {EbbError} when the server is unreachable or refuses the connection
 */
export async function openSession(target: Target, purpose: string): Promise<Session> {
  if (isSource(target)) return target.open(purpose)
  const client = await connect(target, purpose)
  try {
    await refuseTransactionPooler(client, () => connect(target, 'look for a pooler'))
    await applySettings(client, purpose)
    return client
  } catch (error) {
    await client.end()
    throw isConnectionLost(error) ? connectionLost(error) : error
  }
}

export function isSource(target: Target): target is SessionSource {
  return typeof target === 'object' && 'open' in target
}

async function connect(target: Address, purpose: string): Promise<Session> {
  try {
    const client = new pg.Client({ ...configOf(target), application_name: `ebb ${purpose}` })
    timeQueries(client)
    keepReason(client)
    endInTime(client)
    await client.connect()
    return client
  } catch (error) {
    throw connectionError(error)
  }
}

/**
 * When a connection breaks between two queries, node-postgres reports at the next query only that it cannot be used
 * any more. That query fails with the server's reason instead. (Without a listener the error event would end the
 * process.)
 */
function keepReason(client: pg.Client): void {
  let reason: unknown = null
  client.on('error', (error: unknown) => {
    reason ??= error
    TROUBLED.add(client)
  })
  const query = client.query.bind(client) as (...words: unknown[]) => unknown
  client.query = ((...words: unknown[]) => {
    const result = query(...words)
    // A stream, of which nobody here knows how it ends.
    if (!(result instanceof Promise)) {
      TROUBLED.add(client)
      return result
    }
    RUNNING.set(client, (RUNNING.get(client) ?? 0) + 1)
    const ended = () => RUNNING.set(client, (RUNNING.get(client) ?? 0) - 1)
    result.then(ended, ended)
    return result.catch((error: unknown) => {
      TROUBLED.add(client)
      throw codeOf(error) === undefined && isConnectionLost(error) && reason !== null ? reason : error
    })
  }) as pg.Client['query']
}

/** How many queries of a session have been sent and not been answered. */
const RUNNING = new WeakMap<Session, number>()

/** Sessions of which a query has failed, or was to be cancelled, or was a stream. */
const TROUBLED = new WeakSet<Session>()

/** Whether nothing is the matter with a session, so that it can be used for something else. */
export function isSound(session: Session): boolean {
  return session.getTransactionStatus() === 'I' && (RUNNING.get(session) ?? 0) === 0 && !TROUBLED.has(session)
}

/** Another session is about to cancel what this one does, which may reach whatever it does next. */
export function willBeCancelled(session: Session): void {
  TROUBLED.add(session)
}

/** How long a server may take to close a connection; one that is down never does. */
const GOODBYE_MS = 5_000

function endInTime(client: pg.Client): void {
  const end: () => Promise<void> = client.end.bind(client)
  const giveUp = () => streamOf(client).destroy()
  client.end = () => {
    const timer = setTimeout(giveUp, GOODBYE_MS)
    return end().finally(() => clearTimeout(timer))
  }
}

export function streamOf(session: Session): Socket {
  return (session as unknown as { connection: { stream: Socket } }).connection.stream
}

/** Opens a session for the duration of `work`. */
export async function withSession<T>(
  target: Target,
  purpose: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(target, purpose)
  try {
    return await work(session)
  } catch (error) {
    throw isConnectionLost(error) ? connectionLost(error) : error
  } finally {
    await session.end()
  }
}

/** The server or the network went down in the middle of it. */
export function connectionLost(error: unknown): unknown {
  if (error instanceof EbbError) return error
  const reason = messageOf(error)
  return new EbbError(
    `the connection was lost (${reason})`,
    {
      state: 'Its last transaction has been either committed or rolled back as a whole; the journal records which.',
      next: 'When the server can be reached, run the same command again: it resumes from there.',
    },
    'try later',
    error,
  )
}

/** Makes the settings those of Ebb, in a session that has those of its role and database. */
export async function applySettings(client: pg.Client, purpose: string): Promise<void> {
  const pairs = [...SETTINGS, ['application_name', `ebb ${purpose}`] as const]
  const values = pairs.map(([name, value]) => `(${literal(name).text}, ${literal(value).text})`).join(', ')
  await inOneGo(client, () => [
    // Until they are set, objects on the user's search path could be mistaken for PostgreSQL's own.
    // `transaction_timeout` exists from 17 on.
    client.query(
      `select pg_catalog.set_config(name, value, false) from (values ${values}, ('transaction_timeout', '0')) pinned (name, value)
       where pg_catalog.current_setting(name, true) is not null`,
    ),
    // In the role `replica`, triggers and foreign keys would not fire. Not every role may set this; then it is an
    // objection.
    client
      .query(
        `select pg_catalog.set_config('session_replication_role', 'origin', false)
         where pg_catalog.current_setting('session_replication_role') operator(pg_catalog.<>) 'origin'`,
      )
      .catch(unlessForbidden),
    // If we are killed, our statement must not run on for long. Not supported on every platform of the server.
    client.query("set client_connection_check_interval = '2s'").catch(() => {}),
  ])
}

function unlessForbidden(error: unknown): void {
  if (codeOf(error) !== SQLSTATE.insufficientPrivilege) throw error
}

function configOf(target: Address): pg.ClientConfig {
  const config = typeof target === 'string' ? { connectionString: target } : target
  return { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, ...KEEP_ALIVE, ...config }
}

/**
 * Where the database is, as it was named: `db.example.org:5432/shop`. Without user and password.
 *
 * @throws {EbbError} when the connection string cannot be read, or a file that it names
 */
export function placeOf(target: Address): string {
  try {
    const { host, port, database } = new pg.Client(configOf(target))
    return `${host}:${port}/${database ?? ''}`
  } catch (error) {
    throw connectionError(error)
  }
}

/** The server or the network is temporarily unavailable. ENOENT: no socket in that directory. */
const AWAY = ['ECONNREFUSED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOENT']

/** Node's codes for an untrusted certificate. */
const UNTRUSTED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
]

/** Explains why there is no session. The cause is not printed: a connection string may contain a password. */
function connectionError(error: unknown): Error {
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message || String(code) : String(error)
  const state = 'No session was opened, so nothing has been read or changed.'
  const refused = (next: string, kind: ErrorKind = 'failed') =>
    new EbbError(`cannot connect: ${reason}`, { state, next }, kind, error)

  if (code === SQLSTATE.invalidAuthorization && /no encryption/.test(reason))
    return refused('The server wants TLS, or another user or database: add ?sslmode=require to the connection string.')
  if (
    code === SQLSTATE.invalidPassword ||
    code === SQLSTATE.invalidAuthorization ||
    /password must be a string/.test(reason)
  )
    return refused('Check user and password: --url, DATABASE_URL, PGPASSWORD or the password file.')
  if (code === SQLSTATE.undefinedDatabase)
    return refused('Check the database name in --url, DATABASE_URL or PGDATABASE.')
  if (code === SQLSTATE.tooManyConnections)
    return refused('Ebb needs three free connections, five for a copy. Try again when some are free.', 'try later')
  if (code === SQLSTATE.cannotConnectNow)
    return refused('The server is starting or stopping. Try again in a moment.', 'try later')
  const whereabouts =
    'Check that the server runs and that host and port are right: --url, DATABASE_URL, PGHOST, PGPORT.'
  if ((error as NodeJS.ErrnoException).syscall === 'open')
    return refused('Check the files that the connection string names: sslrootcert, sslcert, sslkey.', 'usage')
  if (AWAY.includes(code ?? '') || /timeout expired/.test(reason)) return refused(whereabouts, 'try later')
  if (code === 'ENOTFOUND') return refused(whereabouts)
  if (UNTRUSTED.includes(code ?? ''))
    return refused(
      'Name the CA that signed the server’s certificate: ?sslmode=verify-full&sslrootcert=<file>. On a trusted network ?sslmode=require also works: it encrypts without verifying.',
    )
  if (isConnectionLost(error))
    return refused(
      'The server, or a proxy in between, closed the connection while it was being opened. Try again in a moment.',
      'try later',
    )
  if (code === 'ERR_INVALID_URL' || /Invalid URL/i.test(reason))
    return new UsageError(
      'the connection string cannot be read',
      'Write it as postgres://user:password@host:5432/database.',
      error,
    )
  if (/SSL/.test(reason))
    return refused('Add ?sslmode=disable (or require, verify-full) to the connection string, as the server needs it.')
  return refused('Check the connection string (--url or DATABASE_URL).')
}

export interface TransactionOptions {
  readonly isolation?: 'read committed' | 'repeatable read'
  readonly readOnly?: boolean
  /** Settings of the transaction, `name = value`, sent together with its begin. */
  readonly local?: readonly string[]
}

/** Runs `work` in a transaction: committed when it returns, rolled back when it throws. */
export async function inTransaction<T>(
  session: pg.ClientBase,
  options: TransactionOptions,
  work: () => Promise<T>,
): Promise<T> {
  await session.query(begin(options))
  let result: T
  try {
    result = await work()
  } catch (error) {
    // After a lost connection the server has rolled back already, and the first error has the reason.
    await session.query('rollback').catch(() => {})
    throw error
  }
  await session.query('commit')
  return result
}

function begin({ isolation = 'read committed', readOnly = false, local = [] }: TransactionOptions): string {
  const beginning = `begin isolation level ${isolation} ${readOnly ? 'read only' : 'read write'}`
  return [beginning, ...local.map((setting) => `set local ${setting}`)].join('; ')
}

/** A read-only transaction: everything `work` reads is from one snapshot. */
export function inSnapshot<T>(session: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  return inTransaction(session, { isolation: 'repeatable read', readOnly: true }, work)
}

/** The only row of a query that always has one. */
export async function readOne<Row extends object>(session: pg.ClientBase, query: Statement): Promise<Row> {
  const [row] = await readAll<Row>(session, query)
  if (row === undefined) throw new Error(`no row from: ${query.text}`)
  return row
}

/**
 * The same by a prepared statement, for long questions to the catalogue that are asked of one table after the other: to
 * plan one takes longer than to answer it.
 */
export function readAllPrepared<Row extends object>(session: pg.ClientBase, query: Sql): Promise<Row[]> {
  return readAll<Row>(session, prepared(query))
}

/** The same for one row. */
export function readOnePrepared<Row extends object>(session: pg.ClientBase, query: Sql): Promise<Row> {
  return readOne<Row>(session, prepared(query))
}

/** A statement that a session prepares at its first use. Its text must be the same for every table. */
export function prepared({ text, values }: Sql): Statement & { readonly name: string } {
  const name = STATEMENTS.get(text) ?? nameOf(text)
  STATEMENTS.set(text, name)
  return { name, text, values }
}

type Statement = Pick<Sql, 'text' | 'values'>

/** The names of prepared statements, by their texts, which are long. */
const STATEMENTS = new Map<string, string>()

function nameOf(text: string): string {
  return `ebb_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

/** All rows of a query. The row type is not checked. */
export async function readAll<Row extends object>(session: pg.ClientBase, query: Statement): Promise<Row[]> {
  return (await session.query<Row & pg.QueryResultRow>(query)).rows
}
