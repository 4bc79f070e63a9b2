import { showBytes, showCount } from '../text/units.ts'
import type { Limits } from './limits.ts'
import type { Health, Reading, Signal } from './reading.ts'
import { isOpen, showWindow } from './window.ts'

/**
 * Whether the next batch may start. `ease` is the share of time to stay idle, from 0 to less than 1: it grows near a
 * limit, so that the limit itself is rarely reached.
 */
export type Verdict =
  | { readonly kind: 'go'; readonly ease: number; readonly because: Reason | null }
  | { readonly kind: 'wait'; readonly reasons: readonly [Reason, ...Reason[]] }

export interface Reason {
  readonly signal: Signal
  readonly text: string
}

/**
 * Judges one reading. Pure. Unknown figures are no reason to wait.
 *
 * @param ahead bytes of WAL that the next batch is likely to write
 */
export function judge(reading: Reading, limits: Limits, ahead = 0): Verdict {
  const [first, ...more] = [
    outsideWindow(reading, limits),
    blocked(reading, limits),
    replica(reading, limits),
    slot(reading, limits),
    walRate(reading, limits, ahead),
    archive(reading, limits),
    active(reading, limits),
    vacuum(reading, limits),
    unhealthy('health query', reading.healthSql),
    unhealthy('health URL', reading.healthUrl),
  ].filter((reason) => reason !== null)
  return first === undefined ? easing(reading, limits) : { kind: 'wait', reasons: [first, ...more] }
}

function outsideWindow({ at }: Reading, { windows }: Limits): Reason | null {
  if (windows.length === 0 || windows.some((window) => isOpen(window, at))) return null
  return { signal: 'window', text: `outside of ${windows.map(showWindow).join(' and ')}` }
}

function blocked({ blocked }: Reading, { maxBlocked }: Limits): Reason | null {
  if (!exceeds(blocked?.length ?? null, maxBlocked)) return null
  const who = blocked?.map(({ pid }) => pid).join(', ')
  return {
    signal: 'blocked sessions',
    text: `${blocked?.length === 1 ? 'a session waits' : `${blocked?.length} sessions wait`} for locks of this run (pid ${who})`,
  }
}

function replica({ replica }: Reading, { maxReplicaLagBytes: most }: Limits): Reason | null {
  if (replica === null || !exceeds(replica.bytes, fullLag(most))) return null
  const seconds = replica.seconds === null ? '' : `, ${replica.seconds.toFixed(1)} s`
  return { signal: 'replica lag', text: `replica ${replica.name} is ${over(replica.bytes, most)} behind${seconds}` }
}

function slot({ slot }: Reading, { maxSlotWalBytes: most }: Limits): Reason | null {
  if (slot === null || !exceeds(slot.bytes, most)) return null
  return { signal: 'slot WAL', text: `replication slot ${slot.name} keeps ${over(slot.bytes, most)} of WAL` }
}

// Including the next batch, or each batch would exceed the limit before that is noticed.
function walRate({ wal }: Reading, { maxWalBytesPerSecond: most }: Limits, ahead: number): Reason | null {
  const next = Math.min(ahead, walToSpare({ maxWalBytesPerSecond: most }))
  const rate = wal === null ? null : (wal.bytes + next) / wal.seconds
  if (!exceeds(rate, most)) return null
  return { signal: 'WAL rate', text: `the server writes ${over(rate, most)} of WAL a second` }
}

function archive({ archiveBacklogBytes: bytes }: Reading, { maxArchiveBacklogBytes: most }: Limits): Reason | null {
  if (!exceeds(bytes, most)) return null
  return { signal: 'archive backlog', text: `${over(bytes, most)} of WAL are waiting to be archived` }
}

function active({ active }: Reading, { maxActive }: Limits): Reason | null {
  if (!exceeds(active, maxActive)) return null
  return { signal: 'active sessions', text: `${active} active sessions, more than ${maxActive}` }
}

function vacuum({ vacuum }: Reading, { yieldToVacuum }: Limits): Reason | null {
  if (vacuum === null || vacuum === 'none' || yieldToVacuum === 'none') return null
  if (vacuum === 'vacuum' && yieldToVacuum === 'wraparound') return null
  const purpose = vacuum === 'wraparound' ? ' to prevent wraparound' : ''
  return { signal: 'vacuum', text: `a vacuum${purpose} is running on the table` }
}

function unhealthy(signal: Signal, health: Health | null): Reason | null {
  return health === null || health.ok ? null : { signal, text: health.why }
}

/** The share of the limit from which a run slows down; early for replica lag, which is known late. */
const EASE_LAG_FROM = 0.5
const EASE_RATE_FROM = 0.8
const FULL_LAG = 0.875

/** The lag at which a run pauses, in bytes: WAL in flight has to fit below the limit, too. */
function fullLag(maxReplicaLagBytes: number | null): number | null {
  return maxReplicaLagBytes === null ? null : maxReplicaLagBytes * FULL_LAG
}

/**
 * What a batch may write, in bytes: half of the distance to the limit, because it may need more WAL per row than the
 * previous one. Infinite without a limit on lag.
 */
export function lagToSpare({ replica }: Pick<Reading, 'replica'>, { maxReplicaLagBytes: most }: Limits): number {
  if (replica === null || most === null) return Infinity
  return (most - Math.min(replica.bytes, most * FULL_LAG)) / 2
}

/** The largest share of the limit per second that a batch may use. */
const WAL_SECONDS_OF_BATCH = 0.25

/**
 * What a batch may write, in bytes, so that a limit on the WAL rate holds over a few seconds, too. Infinite without
 * one.
 */
export function walToSpare({ maxWalBytesPerSecond: most }: Pick<Limits, 'maxWalBytesPerSecond'>): number {
  return most === null ? Infinity : most * WAL_SECONDS_OF_BATCH
}

function easing({ replica, wal }: Reading, limits: Limits): Verdict {
  const rate = wal === null ? null : wal.bytes / wal.seconds
  const { maxReplicaLagBytes: lagMost, maxWalBytesPerSecond: rateMost } = limits
  const byLag = strain(replica?.bytes ?? null, lagMost, EASE_LAG_FROM, FULL_LAG)
  const byRate = strain(rate, rateMost, EASE_RATE_FROM, 1)
  const ease = Math.max(byLag, byRate)
  if (ease === 0) return { kind: 'go', ease, because: null }
  const because: Reason =
    byLag >= byRate
      ? { signal: 'replica lag', text: `replica ${replica?.name} is ${near(replica?.bytes, lagMost)} behind` }
      : { signal: 'WAL rate', text: `the server writes ${near(rate, rateMost)} of WAL a second` }
  return { kind: 'go', ease, because }
}

/** The largest share of idle time: more would be a pause, which has its own reasons. */
const MOST_EASE = 0.95

/** The progress of a figure from where slowing down starts to where pausing starts, from 0 to 1. */
function strain(figure: number | null, most: number | null, from: number, to: number): number {
  if (figure === null || most === null || most === 0) return 0
  return Math.min(Math.max((figure / most - from) / (to - from), 0), MOST_EASE)
}

function exceeds(figure: number | null, most: number | null): boolean {
  return figure !== null && most !== null && figure > most
}

function over(figure: number | null, most: number | null): string {
  return `${showBytes(figure ?? 0)} (limit ${showBytes(most ?? 0)})`
}

function near(figure: number | null | undefined, most: number | null): string {
  return `${showBytes(figure ?? 0)} (${showCount((100 * (figure ?? 0)) / (most ?? 1))} % of the limit)`
}
