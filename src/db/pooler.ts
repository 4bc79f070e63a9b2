import { EbbError } from '../errors.ts'
import { backendPid, openSession, type Session, type Target } from './session.ts'

/**
 * Refuses a pooler that hands out a server session per transaction. There,
 * settings such as `lock_timeout` would end up in other people's sessions, and
 * locks and progress could not be followed.
 *
 * Seen by what it does: while another session keeps a transaction open, ours is
 * served by a different backend than before. The server's own number of the
 * backend differing from what the protocol said at the start is the cheap first sign.
 *
 * @throws {EbbError} when the target is such a pooler
 */
export async function refuseTransactionPooler(session: Session, target: Target): Promise<void> {
  const before = await backendPid(session)
  if (before === (session as unknown as { processID: number | null }).processID) return
  const other = await openSession(target, 'look for a pooler')
  try {
    await other.query('begin')
    await backendPid(other)
    if ((await backendPid(session)) !== before) throw transactionPooler()
  } finally {
    await other.end()
  }
}

function transactionPooler(): EbbError {
  return new EbbError('the connection goes through a pooler in transaction mode (PgBouncer pool_mode = transaction)', {
    state: 'Nothing has been changed.',
    next: 'Connect to PostgreSQL directly, or to a pool in session mode: --url or DATABASE_URL with the server’s own host and port.',
  })
}
