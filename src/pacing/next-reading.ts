import type { Limits } from './limits.ts'
import type { Reading } from './reading.ts'

/** The interval while nothing is near a limit. */
export const USUAL_MS = 1_000

const LEAST_MS = 25
/** While the maximum WAL rate is unknown. */
const UNKNOWN_MS = 50

/** The share of the remaining distance that a replica may cover between two readings. */
const SHARE_OF_WAY = 1 / 3

/**
 * When to read replicas again, in milliseconds: before one that stalls now could have covered a third of the distance
 * to its limit, at the highest WAL rate of this run (bytes per second; null at first). In the usual second a fast
 * server writes hundreds of megabytes.
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
