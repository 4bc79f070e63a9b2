import type { WalLately } from './wal-window.ts'

/**
 * What the database feels like at one moment. A figure that is null is not
 * there (no replica, no archiver) unless `missing` says why it cannot be known.
 */
export interface Reading {
  /** The server's clock, in microseconds since the epoch. */
  readonly at: bigint
  /** Sessions that wait for a lock of ours. */
  readonly blocked: readonly BlockedSession[] | null
  readonly replica: ReplicaLag | null
  readonly slot: SlotWal | null
  /** Where the server's WAL ends, in bytes from its beginning. */
  readonly walPosition: number | null
  /** Of the last ten seconds, or since the first reading; null in that. */
  readonly wal: WalLately | null
  readonly archiveBacklogBytes: number | null
  /** Sessions of others that are running something. */
  readonly active: number | null
  readonly vacuum: Vacuum | null
  /** What the user's own checks have answered; null where there is none. */
  readonly healthSql: Health | null
  readonly healthUrl: Health | null
  readonly missing: Readonly<Partial<Record<Signal, string>>>
}

/** A wait is told apart from others by who waits and since when. */
export interface BlockedSession {
  readonly pid: number
  readonly since: string
  readonly milliseconds: number
}

/** The replica that is furthest behind. */
export interface ReplicaLag {
  readonly name: string
  readonly bytes: number
  /** PostgreSQL's `replay_lag`: null while nothing moves, and it lasts for seconds after the replica has caught up. */
  readonly seconds: number | null
}

/** The slot for which most WAL is kept. */
export interface SlotWal {
  readonly name: string
  readonly bytes: number
}

/** Of our tables: `wraparound` is one that must not be kept waiting. */
export type Vacuum = 'none' | 'vacuum' | 'wraparound'

export type Health = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** What can be a reason to wait, as it is called in reports. */
export type Signal =
  | 'blocked sessions'
  | 'replica lag'
  | 'slot WAL'
  | 'WAL rate'
  | 'archive backlog'
  | 'active sessions'
  | 'vacuum'
  | 'health query'
  | 'health URL'
  | 'window'
