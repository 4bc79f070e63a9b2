import type { Socket } from 'node:net'
import pg from 'pg'
import { OUR_SETTINGS } from '../sql/condition-settings.ts'
import { literal } from '../sql/sql.ts'
import { connectionError, lossExplained } from './connection-error.ts'
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
  // The same questions are asked under locks: with workers that cost nothing to start, each waited for some.
  ['parallel_setup_cost', '1000'],
  ['parallel_tuple_cost', '0.1'],
  ['standard_conforming_strings', 'on'],
  ['exit_on_error', 'off'], // some errors are expected: a lock that is not free
  ['quote_all_identifiers', 'off'], // definitions are compared with those that the journal has, and with our own
  // What the role has in `pg_settings` is not what it has there when a parallel worker looks (findings/).
  ['debug_parallel_query', 'off'], // from 16 on
  ['force_parallel_mode', 'off'], // up to 15
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
    throw lossExplained(error)
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
    throw lossExplained(error)
  } finally {
    await session.end()
  }
}

/** Makes the settings those of Ebb, in a session that has those of its role and database. */
export async function applySettings(client: pg.Client, purpose: string): Promise<void> {
  const pairs = [...SETTINGS, ['application_name', `ebb ${purpose}`] as const]
  const values = pairs.map(([name, value]) => `(${literal(name).text}, ${literal(value).text})`).join(', ')
  await inOneGo(client, () => [
    // Until they are set, objects on the user's search path could be mistaken for PostgreSQL's own.
    // `transaction_timeout` exists from 17 on. What a server does not have is passed over.
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
