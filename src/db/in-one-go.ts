import type { Session } from './session.ts'

/**
 * Sends all that is asked for without waiting for an answer before the next
 * question: what would be one way to the server and back each is one in all, and
 * under a lock that is what everybody else waits for. The server answers in the
 * order in which they were sent; after a failure in a transaction it does nothing
 * more. Each of `ask` may send one query, for a second one would come after those
 * of all others.
 *
 * @throws the first failure, in the order of `ask`
 */
export async function inOneGo(session: Session, ask: () => readonly Promise<unknown>[]): Promise<void> {
  // A property of pg.Client from 8.23 on, which its types do not have yet; it may be changed between queries.
  const line = session as Session & { pipeline: boolean }
  const before = line.pipeline
  line.pipeline = true
  try {
    const answers = await Promise.allSettled(ask())
    const failure = answers.find((answer) => answer.status === 'rejected')
    if (failure !== undefined) throw failure.reason
  } finally {
    line.pipeline = before
  }
}
