import { showBytes, showCount } from '../text/units.ts'
import type { Limits } from './limits.ts'
import type { Health, Reading, Signal } from './reading.ts'
import { isOpen, showWindow } from './window.ts'

/**
 * Whether the next batch may start. `ease` is the share of the time that has
 * to be left to others, from 0 to less than 1: it grows as a limit comes near,
 * so that the limit itself is seldom met.
 */
export type Verdict =
  | { readonly kind: 'go'; readonly ease: number; readonly because: Reason | null }
  | { readonly kind: 'wait'; readonly reasons: readonly [Reason, ...Reason[]] }

export interface Reason {
  readonly signal: Signal
  readonly text: string
}

/**
 * Judges one reading. Asks nothing and waits for nothing. What is not known is no reason to wait.
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
    text: `${blocked?.length === 1 ? 'a session waits' : `${blocked?.length} sessions wait`} for our locks (pid ${who})`,
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

// With the next batch in it, or each batch would go over the limit before it is noticed.
function walRate({ wal }: Reading, { maxWalBytesPerSecond: most }: Limits, ahead: number): Reason | null {
  const next = Math.min(ahead, walToSpare({ maxWalBytesPerSecond: most }))
  const rate = wal === null ? null : (wal.bytes + next) / wal.seconds
  if (!exceeds(rate, most)) return null
  return { signal: 'WAL rate', text: `the server writes ${over(rate, most)} of WAL a second` }
}

function archive({ archiveBacklogBytes: bytes }: Reading, { maxArchiveBacklogBytes: most }: Limits): Reason | null {
  if (!exceeds(bytes, most)) return null
  return { signal: 'archive backlog', text: `${over(bytes, most)} of WAL wait for the archiver` }
}

function active({ active }: Reading, { maxActive }: Limits): Reason | null {
  if (!exceeds(active, maxActive)) return null
  return { signal: 'active sessions', text: `${active} active sessions, more than ${maxActive}` }
}

function vacuum({ vacuum }: Reading, { yieldToVacuum }: Limits): Reason | null {
  if (vacuum === null || vacuum === 'none' || yieldToVacuum === 'none') return null
  if (vacuum === 'vacuum' && yieldToVacuum === 'wraparound') return null
  const purpose = vacuum === 'wraparound' ? ' to prevent wraparound' : ''
  return { signal: 'vacuum', text: `a vacuum${purpose} is at work on the table` }
}

function unhealthy(signal: Signal, health: Health | null): Reason | null {
  return health === null || health.ok ? null : { signal, text: health.why }
}

/** From which share of the limit on a run slows down. The lag of a replica is known late, so there early. */
const EASE_LAG_FROM = 0.5
const EASE_RATE_FROM = 0.8
const FULL_LAG = 0.875

/** The lag from which on a run stands still, in bytes: what is under way has to fit under the limit, too. */
function fullLag(maxReplicaLagBytes: number | null): number | null {
  return maxReplicaLagBytes === null ? null : maxReplicaLagBytes * FULL_LAG
}

/**
 * What a batch may write, in bytes: half of what is left to the limit, for it
 * may need more for each row than the one before. Infinite where no replica is waited for.
 */
export function lagToSpare({ replica }: Pick<Reading, 'replica'>, { maxReplicaLagBytes: most }: Limits): number {
  if (replica === null || most === null) return Infinity
  return (most - Math.min(replica.bytes, most * FULL_LAG)) / 2
}

/** Of the time that the limit gives, a batch takes no more than this. */
const WAL_SECONDS_OF_BATCH = 0.25

/** What a batch may write, in bytes, so that a limit on WAL holds over few seconds, too. Infinite where there is none. */
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

/** More than this share is never left to others: that would be waiting, which has reasons of its own. */
const MOST_EASE = 0.95

/** How far a figure has come on the last part of the way to where it is waited for, from 0 to 1. */
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
