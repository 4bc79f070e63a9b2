import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_LOOK_AFTER_MS = 10
const LOOK_EVERY_MS = 100

/** Sessions to wait for, by polling instead of queueing. */
export interface Waiting {
  /** The present sessions, as text. */
  readonly look: () => Promise<readonly string[]>
  readonly mostMs: number
  readonly signal: AbortSignal
  /** Called at each poll at which a session has been present for a while. */
  readonly tell: (who: readonly string[]) => void
}

/** Polls until no session is left, or until the deadline. Returns the remaining ones. */
export async function waitUntilGone({ look, mostMs, signal, tell }: Waiting): Promise<readonly string[]> {
  const deadline = performance.now() + mostMs
  let who = await look()
  for (let pauseMs = FIRST_LOOK_AFTER_MS; who.length > 0; pauseMs = Math.min(2 * pauseMs, LOOK_EVERY_MS)) {
    // Short transactions need not be reported.
    if (pauseMs === LOOK_EVERY_MS) tell(who)
    if (performance.now() > deadline) break
    await sleep(pauseMs, undefined, { signal })
    who = await look()
  }
  return who
}

/** Of what `read` finds, what was present at the first poll. */
export function thereFromTheBeginning<Found>(
  read: () => Promise<readonly Found[]>,
  identity: (found: Found) => string,
): () => Promise<readonly Found[]> {
  let first: ReadonlySet<string> | undefined
  return async () => {
    const found = await read()
    first ??= new Set(found.map(identity))
    const there = first
    return found.filter((one) => there.has(identity(one)))
  }
}
