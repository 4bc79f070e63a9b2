import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'

/** How long a pooler may let a session wait for a connection of its own. */
const FREE_WITHIN_MS = 10_000

/**
 * Refuses a pooler that hands out a server session per transaction. There,
 * settings such as `lock_timeout` would end up in other people's sessions, and
 * locks and progress could not be followed. So this comes before the first
 * setting: one session with our empty search_path, handed on to the
 * application, and it finds its tables no more.
 *
 * Seen by what it does: while another connection keeps a transaction open, ours
 * is served by a different backend than before. The server's own number of the
 * backend differing from what the protocol said at the start is the cheap first sign.
 *
 * @throws {EbbError} when `client` reaches the server through such a pooler, or through one that has no connection free
 */
export async function refuseTransactionPooler(client: Client, connectAnother: () => Promise<Client>): Promise<void> {
  const before = await served(backendPid(client))
  if (before === (client as unknown as { processID: number | null }).processID) return
  const other = await connectAnother()
  try {
    // A pooler in statement mode does not even let a transaction begin.
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

/** The answer to the first question of a session, which a pooler holds back until one of its connections is free. */
async function served<T>(answer: Promise<T>): Promise<T> {
  const inTime = new AbortController()
  const late = sleep(FREE_WITHIN_MS, undefined, { signal: inTime.signal }).then(() => {
    throw noneFree()
  })
  // Whichever comes second is of no interest any more.
  for (const one of [answer, late]) one.catch(() => {})
  return Promise.race([answer, late]).finally(() => inTime.abort())
}

/** The backend that serves this session, as the server numbers it. */
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
    `the pooler in between had no connection free for ${FREE_WITHIN_MS / 1000} s`,
    {
      state: 'No further session was opened.',
      next: 'Ebb needs four at once, and two more for each further --jobs: give the pool more (PgBouncer default_pool_size), or connect to PostgreSQL directly.',
    },
    'try later',
  )
}
