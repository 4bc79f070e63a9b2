import type { Limits } from './limits.ts'
import type { Reading } from './reading.ts'

/** How often to look while nothing is near a limit. */
export const USUAL_MS = 1_000

const LEAST_MS = 25
/** While it is not known how fast WAL can be written here. */
const UNKNOWN_MS = 50

/** Between two looks a replica may come nearer to its limit by this share of the way that is left. */
const SHARE_OF_WAY = 1 / 3

/**
 * When to look at replicas again, in milliseconds: before one that stands
 * still from now on could have gone a third of the way to its limit, at the
 * highest rate of WAL seen in this run (bytes a second; null at first). In the
 * second that is usual otherwise, a fast server writes hundreds of megabytes.
 */
export function replicaGoodFor(
  { replica }: Pick<Reading, 'replica'>,
  { maxReplicaLagBytes }: Pick<Limits, 'maxReplicaLagBytes'>,
  highestRate: number | null,
): number {
  if (replica === null || maxReplicaLagBytes === null) return USUAL_MS
  if (highestRate === null) return UNKNOWN_MS
  const way = Math.max(0, maxReplicaLagBytes - replica.bytes)
  return Math.min(USUAL_MS, Math.max(LEAST_MS, (way / Math.max(highestRate, 1)) * SHARE_OF_WAY * 1000))
}
