import type { Window } from './window.ts'

// When a run pauses. A null limit is not checked.

export interface Limits {
  /** Sessions waiting for a lock of ours. */
  readonly maxBlocked: number | null
  /** WAL not yet replayed by the slowest replica. */
  readonly maxReplicaLagBytes: number | null
  /** WAL retained for the slowest replication slot. */
  readonly maxSlotWalBytes: number | null
  /** WAL written by the whole server. */
  readonly maxWalBytesPerSecond: number | null
  /** WAL waiting to be archived. */
  readonly maxArchiveBacklogBytes: number | null
  /** Active sessions of others, on the whole server. */
  readonly maxActive: number | null
  /** The kinds of vacuum of our tables that are waited for. */
  readonly yieldToVacuum: 'none' | 'wraparound' | 'any'
  /** Empty: at any time. */
  readonly windows: readonly Window[]
}

/** All pacing settings of a run. */
export interface PaceSettings extends Limits {
  /** A query whose first column must be true in the first row. */
  readonly healthSql: string | null
  /** Must return 2xx. May contain credentials: never to be shown in full. */
  readonly healthUrl: string | null
  /** While this file exists, the run waits. */
  readonly pauseFile: string | null
  /** When this file exists, the run stops and can be resumed. */
  readonly stopFile: string | null
  /** Added after every batch. */
  readonly pauseMs: number
  /** The target duration of a batch. */
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

/** The pacing options of a run. */
export interface Pacing {
  readonly settings: PaceSettings
  /** A file that changes the settings during the run. */
  readonly paceFile: string | null
}

export const DEFAULT_PACING: Pacing = { settings: DEFAULT_PACE, paceFile: null }

/**
 * For work that writes hardly any WAL, such as dropping partitions: it must not wait for the archiver or a slot,
 * because it may be what frees space on a full disk.
 */
export const LIGHT_PACE: PaceSettings = {
  ...DEFAULT_PACE,
  maxReplicaLagBytes: null,
  maxSlotWalBytes: null,
  maxArchiveBacklogBytes: null,
}
