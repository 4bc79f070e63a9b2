/** What tells whether there is room for a second job. Null where this role cannot see it. */
export interface RoomReading {
  /** Sessions of others that have been active within the last second. */
  readonly busy: number | null
  /** Connections that ordinary roles may still open; null through a pooler, whose own limit is not visible. */
  readonly free: number | null
  readonly maxConnections: number
}

/** Of the connections at least this share has to stay free, and this many. */
const FREE_SHARE = 1 / 4
const FREE_LEAST = 8

/**
 * Whether a second job may work: nobody else does anything, and there are connections to spare. How many processors
 * the server has is not known, so any activity of others counts.
 */
export function hasRoom({ busy, free, maxConnections }: RoomReading): boolean {
  return busy === 0 && free !== null && free >= Math.max(FREE_LEAST, FREE_SHARE * maxConnections)
}
