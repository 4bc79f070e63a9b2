import type { Client } from 'pg'

/**
 * Pipelines queries: sends all without waiting for results, so that they take one round trip in total, which under a
 * lock is what other sessions wait for. The server answers in order; after an error in a transaction it executes
 * nothing more. Each of `ask` may send only one query, because a second one would be sent after those of all others.
 *
 * @returns the results, in the order of `ask`
 * @throws the first failure, in the order of `ask`
 */
export async function inOneGo<const Answers extends readonly unknown[]>(
  session: Client,
  ask: () => { readonly [Place in keyof Answers]: Promise<Answers[Place]> },
): Promise<Answers> {
  pipelined(session, 1)
  try {
    const asked = ask()
    const failure = (await Promise.allSettled(asked)).find((answer) => answer.status === 'rejected')
    if (failure !== undefined) throw failure.reason
    return await Promise.all(asked)
  } finally {
    pipelined(session, -1)
  }
}

/** How often it is under way in a session: the last to end is the one that ends pipelining. */
const UNDER_WAY = new WeakMap<Client, number>()

function pipelined(session: Client, more: 1 | -1): void {
  const underWay = (UNDER_WAY.get(session) ?? 0) + more
  UNDER_WAY.set(session, underWay)
  // A property of pg.Client from 8.23 on, not yet in its types; it may be changed between queries.
  const line = session as Client & { pipeline: boolean }
  line.pipeline = underWay > 0
}
