import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_LOOK_AFTER_MS = 10
const LOOK_EVERY_MS = 100

/** Whom to wait for, by looking instead of queueing. */
export interface Waiting {
  /** Who is there now, in words. */
  readonly look: () => Promise<readonly string[]>
  readonly mostMs: number
  readonly signal: AbortSignal
  /** Called at each look at which somebody has been there for a while. */
  readonly tell: (who: readonly string[]) => void
}

/** Looks until nobody is there any more, or for so long. Returns who still is. */
export async function waitUntilGone({ look, mostMs, signal, tell }: Waiting): Promise<readonly string[]> {
  const deadline = performance.now() + mostMs
  let who = await look()
  for (let pauseMs = FIRST_LOOK_AFTER_MS; who.length > 0; pauseMs = Math.min(2 * pauseMs, LOOK_EVERY_MS)) {
    // Short transactions come and go; nobody need be told.
    if (pauseMs === LOOK_EVERY_MS) tell(who)
    if (performance.now() > deadline) break
    await sleep(pauseMs, undefined, { signal })
    who = await look()
  }
  return who
}

/** Of what `read` finds, that which was there at the first look. */
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
