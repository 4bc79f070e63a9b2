import type { Window } from './window.ts'

// Where a run gives way. Every limit may be absent (null): then nobody waits for it.

export interface Limits {
  /** Sessions that wait for a lock of ours. */
  readonly maxBlocked: number | null
  /** WAL that the slowest replica has not replayed yet. */
  readonly maxReplicaLagBytes: number | null
  /** WAL that the server keeps for the slowest replication slot. */
  readonly maxSlotWalBytes: number | null
  /** WAL that the whole server writes. */
  readonly maxWalBytesPerSecond: number | null
  /** WAL that waits for the archiver. */
  readonly maxArchiveBacklogBytes: number | null
  /** Sessions of others that are running something, on the whole server. */
  readonly maxActive: number | null
  /** Which vacuums of our tables are left alone until they have ended. */
  readonly yieldToVacuum: 'none' | 'wraparound' | 'any'
  /** None: at all times. */
  readonly windows: readonly Window[]
}

/** All that a run is told about its pace. */
export interface PaceSettings extends Limits {
  /** A query whose first column must be true in the first row. */
  readonly healthSql: string | null
  /** Must answer 2xx. May hold credentials: never to be shown as it is. */
  readonly healthUrl: string | null
  /** While this file exists, the run waits. */
  readonly pauseFile: string | null
  /** When this file exists, the run stops and can be resumed. */
  readonly stopFile: string | null
  /** After every batch, besides everything else. */
  readonly pauseMs: number
  /** How long a batch should take. */
  readonly targetMs: number
}

const MB = 1e6
const GB = 1e9

export const DEFAULT_PACE: PaceSettings = {
  maxBlocked: 0,
  maxReplicaLagBytes: 64 * MB,
  maxSlotWalBytes: 8 * GB,
  maxWalBytesPerSecond: null,
  maxArchiveBacklogBytes: 4 * GB,
  maxActive: null,
  yieldToVacuum: 'wraparound',
  windows: [],
  healthSql: null,
  healthUrl: null,
  pauseFile: null,
  stopFile: null,
  pauseMs: 0,
  targetMs: 50,
}

/** How a run is to pace itself. */
export interface Pacing {
  readonly settings: PaceSettings
  /** A file that retunes the run while it is under way. */
  readonly paceFile: string | null
}

export const DEFAULT_PACING: Pacing = { settings: DEFAULT_PACE, paceFile: null }

/**
 * For work that writes next to no WAL, such as dropping partitions: it must not
 * wait for an archiver or a slot, for it may be what gives a full disk room again.
 */
export const LIGHT_PACE: PaceSettings = {
  ...DEFAULT_PACE,
  maxReplicaLagBytes: null,
  maxSlotWalBytes: null,
  maxArchiveBacklogBytes: null,
}
