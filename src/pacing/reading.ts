import type { WalLately } from './wal-window.ts'

/**
 * The load of the database at one moment. A null figure does not exist (no replica, no archiver), unless `missing`
 * says why it is unknown.
 */
export interface Reading {
  /** The server's clock, in microseconds since the epoch. */
  readonly at: bigint
  /** Sessions waiting for a lock of ours. */
  readonly blocked: readonly BlockedSession[] | null
  readonly replica: ReplicaLag | null
  readonly slot: SlotWal | null
  /** The current WAL position, in bytes. */
  readonly walPosition: number | null
  /** Over the last ten seconds, or since the first reading; null in that one. */
  readonly wal: WalLately | null
  readonly archiveBacklogBytes: number | null
  /** Active sessions of others. */
  readonly active: number | null
  /** Sessions of others that have been active within the last second. */
  readonly busy: number | null
  readonly vacuum: Vacuum | null
  /** Results of the user's own checks; null without one. */
  readonly healthSql: Health | null
  readonly healthUrl: Health | null
  readonly missing: Readonly<Partial<Record<Signal, string>>>
}

/** A wait is identified by its session and start. */
export interface BlockedSession {
  readonly pid: number
  /** Empty for the moment in which PostgreSQL has not recorded it yet. */
  readonly since: string
  readonly milliseconds: number
}

/** The replica that is furthest behind. */
export interface ReplicaLag {
  readonly name: string
  readonly bytes: number
  /** PostgreSQL's `replay_lag`: null on an idle server, and it persists for seconds after the replica has caught up. */
  readonly seconds: number | null
}

/** The slot with the most retained WAL. */
export interface SlotWal {
  readonly name: string
  readonly bytes: number
}

/** A vacuum of our tables: `wraparound` must not be kept waiting. */
export type Vacuum = 'none' | 'vacuum' | 'wraparound'

export type Health = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** The possible reasons to wait, as named in reports. */
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
