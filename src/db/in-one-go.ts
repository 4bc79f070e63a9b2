import type { Session } from './session.ts'

/**
 * Sends all that is asked for without waiting for an answer before the next
 * question: what would be one way to the server and back each is one in all, and
 * under a lock that is what everybody else waits for. The server answers in the
 * order in which they were sent; after a failure in a transaction it does nothing
 * more. Each of `ask` may send one query, for a second one would come after those
 * of all others.
 *
 * @returns the answers, in the order of `ask`
 * @throws the first failure, in the order of `ask`
 */
export async function inOneGo<const Answers extends readonly unknown[]>(
  session: Session,
  ask: () => { readonly [Place in keyof Answers]: Promise<Answers[Place]> },
): Promise<Answers> {
  // A property of pg.Client from 8.23 on, which its types do not have yet; it may be changed between queries.
  const line = session as Session & { pipeline: boolean }
  const before = line.pipeline
  line.pipeline = true
  try {
    const asked = ask()
    const failure = (await Promise.allSettled(asked)).find((answer) => answer.status === 'rejected')
    if (failure !== undefined) throw failure.reason
    return await Promise.all(asked)
  } finally {
    line.pipeline = before
  }
}
