import { openSession, streamOf, type Address, type Session } from '../../db/session.ts'
import { codeOf, isConnectionLost, isLockRefused, reasonOf } from '../../db/sqlstate.ts'
import { EbbError, messageOf } from '../../errors.ts'

// The server that partitions are moved to, and a session there. Its errors are not ours: when it is away, what concerns
// it is left alone, and everything else goes on.

export interface Destination {
  /** The foreign server, by its name here. */
  readonly server: string
  readonly session: Session
}

/** Opens a session on the other server for the duration of `work`; an abort ends it. @throws {EbbError} */
export async function withDestination<T>(
  server: string,
  address: Address,
  signal: AbortSignal,
  work: (destination: Destination) => Promise<T>,
): Promise<T> {
  const session = await open(server, address)
  const end = () => streamOf(session).destroy()
  signal.addEventListener('abort', end)
  try {
    return await work({ server, session })
  } finally {
    signal.removeEventListener('abort', end)
    await session.end().catch(() => {})
  }
}

const UNCHANGED = 'The partitions that were to be moved are attached, and unchanged.'

async function open(server: string, address: Address): Promise<Session> {
  try {
    return await openSession(address, 'rotate')
  } catch (error) {
    throw new EbbError(
      `${server}: ${messageOf(error)}`,
      { state: UNCHANGED, next: 'Check that it runs, and --to-url; the next rotation tries again.' },
      'try later',
    )
  }
}

/** Does something that concerns the other server. Its errors have no cause: a lost connection is not one of ours. */
export async function onServer<T>(
  server: string,
  signal: AbortSignal,
  work: () => Promise<T>,
  state = UNCHANGED,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof EbbError || signal.aborted || codeOf(error) === undefined) {
      if (!isConnectionLost(error)) throw error
    }
    const isPassing = isConnectionLost(error) || isLockRefused(error) || (codeOf(error) ?? '').startsWith('08')
    const next = isPassing ? 'The next rotation tries again.' : 'Resolve the cause on that server, then rotate again.'
    throw new EbbError(`${server}: ${reasonOf(error)}`, { state, next }, isPassing ? 'try later' : 'failed')
  }
}
