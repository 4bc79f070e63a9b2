import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { flavourOf } from '../text/flavours.ts'

/** How long a pooler may keep a session waiting for a server connection. */
const FREE_WITHIN_MS = 10_000

/**
 * Refuses a pooler that hands out a server session per transaction. There, settings such as `lock_timeout` would leak
 * into sessions of others, and locks and progress could not be tracked. This check precedes the first setting: an
 * application that is handed a session with our empty search_path no longer finds its tables.
 *
 * Detected by its behaviour: while another connection keeps a transaction open, ours is served by a different backend
 * than before. A backend pid that differs from the one in the startup message is the cheap first check.
 *
 * What is no server at all is refused here, too, for the same reason.
 *
 * @throws {EbbError} when `client` reaches the server through such a pooler, or through one without a free connection
 */
export async function refuseTransactionPooler(client: Client, connectAnother: () => Promise<Client>): Promise<void> {
  const { pid: before, version } = await served(identity(client))
  assertConnectable(version)
  if (before === (client as unknown as { processID: number | null }).processID) return
  const other = await connectAnother()
  try {
    // A pooler in statement mode refuses transactions.
    const begun = other.query('begin').catch(() => {
      throw transactionPooler()
    })
    await served(begun)
    const others = await backendPid(other)
    if (others === before || (await backendPid(client)) !== before) throw transactionPooler()
  } finally {
    await other.end()
  }
}

/** The result of the first query of a session, which a pooler delays until one of its connections is free. */
async function served<T>(answer: Promise<T>): Promise<T> {
  const inTime = new AbortController()
  const late = sleep(FREE_WITHIN_MS, undefined, { signal: inTime.signal }).then(() => {
    throw noneFree()
  })
  // Whichever comes second is ignored.
  for (const one of [answer, late]) one.catch(() => {})
  return Promise.race([answer, late]).finally(() => inTime.abort())
}

async function identity(client: Client): Promise<{ readonly pid: number; readonly version: string }> {
  const { rows } = await client.query<{ pid: number; version: string }>(
    'select pg_catalog.pg_backend_pid() as pid, pg_catalog.version() as version',
  )
  if (rows[0] === undefined) throw new Error('a session without a backend')
  return rows[0]
}

/** The pid of the backend that serves this session. */
export async function backendPid(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')
  if (rows[0] === undefined) throw new Error('a session without a backend')
  return rows[0].pid
}

function transactionPooler(): EbbError {
  return new EbbError(
    'the connection goes through a pooler in transaction mode (PgBouncer pool_mode = transaction, or statement)',
    {
      state: NOTHING_CHANGED,
      next: 'Connect to PostgreSQL directly, or to a pool in session mode: --url or DATABASE_URL with the server’s own host and port.',
    },
  )
}

function noneFree(): EbbError {
  return new EbbError(
    `the connection pooler had no free connection for ${FREE_WITHIN_MS / 1000} s`,
    {
      state: 'No further session was opened.',
      next: 'Ebb needs four at once, plus two for each further --jobs: enlarge the pool (PgBouncer default_pool_size), or connect to PostgreSQL directly.',
    },
    'try later',
  )
}

/** Before the first setting of a session. @throws {EbbError} where a session could not be set up without harm */
export function assertConnectable(version: string): void {
  const flavour = flavourOf({ version, roles: [], functions: [] })
  if (flavour?.refused?.at !== 'connecting') return
  const { why, instead } = flavour.refused
  throw new EbbError(`this is ${flavour.name}: ${why}`, { state: NOTHING_CHANGED, next: instead }, 'objections')
}
