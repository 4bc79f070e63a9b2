import type { Limits } from './limits.ts'
import type { Reading } from './reading.ts'

/** How often to look while nothing is near a limit, and at most. */
const USUAL_MS = 1_000
const LEAST_MS = 150

/** Between two looks a replica may come nearer to its limit by this share of the way that is left. */
const SHARE_OF_WAY = 1 / 3

/**
 * How long a reading is good for, in milliseconds: until the lag of a replica
 * that stood still could have gone a third of the way to its limit. On a quiet
 * server that is the usual second.
 */
export function goodFor({ replica, walBytesPerSecond: rate }: Reading, { maxReplicaLagBytes }: Limits): number {
  if (replica === null || maxReplicaLagBytes === null || rate === null || rate <= 0) return USUAL_MS
  const way = Math.max(0, maxReplicaLagBytes - replica.bytes)
  return Math.min(USUAL_MS, Math.max(LEAST_MS, (way / rate) * SHARE_OF_WAY * 1000))
}
