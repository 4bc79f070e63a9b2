import type { NoticeMessage } from 'pg-protocol/dist/messages.js'
import type { Session } from '../../db/session.ts'
import { codeOf, isLockRefused } from '../../db/sqlstate.ts'
import { messageOf } from '../../errors.ts'
import type { Attempt } from './attempt.ts'

/**
 * Citus sends a statement on as the whole message that it came in, so each is one of its own; and a time-out only if it is
 * told to. How long the work may take need not be sent: cancelled here, it is cancelled there. What is committed is prepared
 * on the workers first, so nothing is gained by not waiting for the disk here.
 */
export async function takeLocksOnAllNodes(
  session: Session,
  acquire: readonly string[],
  { eachMs, workMs }: { readonly eachMs: number; readonly workMs: number },
  attempt: Attempt,
): Promise<void> {
  const before = [
    `set local idle_in_transaction_session_timeout = '2s'`,
    `select pg_catalog.pg_advisory_xact_lock(${attempt.mark})`,
    `set local citus.propagate_set_commands = 'local'`,
    `set local lock_timeout = ${eachMs}`,
    `set local citus.propagate_set_commands = 'none'`,
  ]
  for (const statement of before) await session.query(statement)
  attempt.asking()
  for (const statement of acquire) await refusedOnNodes(session, () => session.query(statement))
  await session.query(`set local statement_timeout = ${workMs}`)
  attempt.holding()
}

/** A lock that a worker does not grant is XX000, "failure on connection marked as essential"; why is in a warning before it. */
export async function refusedOnNodes(session: Session, work: () => Promise<unknown>): Promise<void> {
  let refused: unknown
  const listen = (notice: NoticeMessage) => {
    if (isLockRefused(notice)) refused = notice
  }
  session.on('notice', listen)
  try {
    await work()
  } catch (error) {
    throw refused === undefined
      ? error
      : Object.assign(new Error(messageOf(refused), { cause: error }), { code: codeOf(refused) })
  } finally {
    session.off('notice', listen)
  }
}
