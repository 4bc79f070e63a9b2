import { openSession, type Session, type Target } from '../db/session.ts'
import { patiently, type Patience } from './locks/patiently.ts'

// Reading the same of many tables: of a thousand, most of the time is spent waiting for one another's answers, the server
// for us and we for the server.

/** For fewer tables, one session is as quick as several: each has to read the catalogue anew. */
const MANY = 20
/** As many free connections as Ebb needs at least. */
const MOST_SESSIONS = 3

/**
 * Asks the same of each item: in the session that there is and, of many, in a few more at the same time. Results are in the
 * order of the items.
 */
export async function readOfEach<Item, Result>(
  { session: own, target, purpose, patience }: Reading,
  items: readonly Item[],
  ask: (session: Session, item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const left = items.entries()
  const failed = new AbortController()
  const work = async (session: Session) => {
    for (const [i, item] of left) {
      if (failed.signal.aborted) return
      results[i] = await patiently(session, patience, () => ask(session, item))
    }
  }
  const others = items.length < MANY ? 0 : MOST_SESSIONS - 1
  const working = [work(own), ...Array.from({ length: others }, () => alongside(target, purpose, work))]
  // If one fails, the others end what they have begun.
  const ended = await Promise.allSettled(working.map((one) => one.catch(failing(failed))))
  for (const one of ended) if (one.status === 'rejected') throw one.reason
  return results
}

/** The session that there is, and where more of them come from. */
export interface Reading {
  readonly session: Session
  readonly target: Target
  readonly purpose: string
  readonly patience: Patience
}

function failing(failed: AbortController) {
  return (error: unknown): never => {
    failed.abort()
    throw error
  }
}

/** In another session, if there is a connection for it. */
async function alongside(target: Target, purpose: string, work: (session: Session) => Promise<void>): Promise<void> {
  const session = await openSession(target, purpose).catch(() => null)
  if (session === null) return
  try {
    await work(session)
  } finally {
    await session.end()
  }
}
