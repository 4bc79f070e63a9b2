import { setTimeout as sleep } from 'node:timers/promises'
import { openSession, type Session, type Target } from '../db/session.ts'
import { isConnectionLost } from '../db/sqlstate.ts'
import { beatPace, leavePace } from '../journal/pace.ts'
import { paceIntervals, recordIntervals } from '../journal/pace-intervals.ts'
import { History } from './history.ts'
import { jittered } from './jitter.ts'
import type { PaceSettings } from './limits.ts'
import { replicaGoodFor, USUAL_MS } from './next-reading.ts'
import type { Reading } from './reading.ts'
import { CHECK_TIMEOUT_MS } from './readings/health.ts'
import { takeGlance, takeReading, walRate, type Subject } from './take-reading.ts'
import { WalWindow } from './wal-window.ts'

export interface SamplerOptions extends Subject {
  readonly target: Target
  /** The name of the run's sessions; `ebb <holder>` is their application_name. */
  readonly holder: string
  readonly journalSchema: string
  /** Whose history is recorded; null where the work is of no run. */
  readonly runId: string | null
  readonly settings: () => PaceSettings
  readonly heard: (reading: Reading) => void
}

/** While a run waits it reads more often, and less so the longer it waits. */
const WAITING_MS = 250
const WAITING_MOST_MS = 5_000
const PATIENCE_GROWTH = 1.2

const BEAT_EVERY_MS = 2_000
const RECORD_EVERY_MS = 2_000

/**
 * Takes readings in a separate session, while batches run: a session waiting for us is visible only while we hold the
 * lock.
 */
export class Sampler {
  /** Other running runs with the same journal. */
  others = 0
  /** How the run has been paced. */
  history = new History()
  private reading: Reading | null = null
  /** The latest complete reading. */
  private complete: Reading | null = null
  private completeAt = -Infinity
  private takenAt = 0
  private readonly window = new WalWindow()
  private highestRate: number | null = null
  /** When the latest batch ended. */
  private endedAt = -Infinity
  private waitingMs: number | null = null
  private beatenAt = -Infinity
  private recordedAt = -Infinity
  private failure: Error | null = null
  private nap = new AbortController()
  private readonly closing = new AbortController()
  private loop: Promise<void> = Promise.resolve()
  /** The reading that is under way. */
  private under: Promise<void> = Promise.resolve()
  private readonly session: Session
  private readonly options: SamplerOptions

  private constructor(session: Session, options: SamplerOptions) {
    this.session = session
    this.options = options
  }

  /** Takes the first reading. */
  static async open(options: SamplerOptions): Promise<Sampler> {
    const session = await openSession(options.target, options.holder)
    const sampler = new Sampler(session, options)
    try {
      // Readings must not wait for what they measure, nor heartbeats for a replica.
      await session.query(
        `select set_config('statement_timeout', '${CHECK_TIMEOUT_MS}', false), set_config('synchronous_commit', 'off', false)`,
      )
      await sampler.remember()
      await sampler.look()
    } catch (error) {
      await session.end()
      throw error
    }
    sampler.loop = sampler.run()
    return sampler
  }

  /**
   * The latest reading and its age in milliseconds. Replicas and a limited WAL rate are read again after each batch,
   * whose writes are in no earlier reading.
   *
   * @throws when there will be no more readings
   */
  async latest(): Promise<{ reading: Reading; ageMs: number }> {
    const { maxReplicaLagBytes, maxWalBytesPerSecond } = this.options.settings()
    const isFollowed = this.sound().replica !== null && maxReplicaLagBytes !== null
    if ((isFollowed || maxWalBytesPerSecond !== null) && this.takenAt < this.endedAt)
      await this.oneByOne(() => this.glance()).catch((error: unknown) => this.failed(error))
    return { reading: this.sound(), ageMs: performance.now() - this.takenAt }
  }

  /** Whether others are at work; true where that cannot be seen. */
  get isShared(): boolean {
    return this.sound().busy !== 0
  }

  /** Notes that a batch has ended. */
  ended(): void {
    this.endedAt = performance.now()
  }

  private sound(): Reading {
    if (this.failure !== null) throw this.failure
    if (this.reading === null || this.closing.signal.aborted) throw new Error('no readings before open or after close')
    return this.reading
  }

  /** Notes that the run has started, or stopped, waiting for a better reading. */
  waiting(waits: boolean): void {
    if (waits === (this.waitingMs !== null)) return
    this.waitingMs = waits ? WAITING_MS : null
    this.beatenAt = -Infinity
    this.nap.abort()
  }

  async close(): Promise<void> {
    this.closing.abort()
    await this.loop
    await this.record()
    await leavePace(this.session, this.options.journalSchema, this.options.application).catch(() => {})
    await this.session.end()
  }

  private async run(): Promise<void> {
    while (!this.closing.signal.aborted) {
      await this.rest()
      if (this.closing.signal.aborted) return
      const due = this.waitingMs !== null || performance.now() - this.completeAt >= USUAL_MS
      await this.oneByOne(() => (due ? this.look() : this.glance())).catch((error: unknown) => this.failed(error))
      if (this.failure !== null) return
    }
  }

  /** A reading has the session to itself: a user’s health check is asked in a transaction, which may fail. */
  private oneByOne(work: () => Promise<void>): Promise<void> {
    const done = this.under.then(work)
    this.under = done.catch(() => {})
    return done
  }

  private async rest(): Promise<void> {
    this.nap = new AbortController()
    await sleep(jittered(this.restMs()), undefined, {
      signal: AbortSignal.any([this.nap.signal, this.closing.signal]),
    }).catch(() => {})
  }

  private restMs(): number {
    if (this.waitingMs === null)
      return this.reading === null
        ? WAITING_MS
        : replicaGoodFor(this.reading, this.options.settings(), this.highestRate)
    const now = this.waitingMs
    this.waitingMs = Math.min(now * PATIENCE_GROWTH, WAITING_MOST_MS)
    return now
  }

  private async look(): Promise<void> {
    const { settings } = this.options
    const began = performance.now()
    const reading = await takeReading(this.session, this.options, settings(), this.window, this.closing.signal)
    this.complete = reading
    this.completeAt = performance.now()
    this.took(reading, began)
    await this.beat()
    if (performance.now() - this.recordedAt >= RECORD_EVERY_MS) await this.record()
  }

  private async glance(): Promise<void> {
    const began = performance.now()
    if (this.complete !== null) this.took(await takeGlance(this.session, this.complete, this.window), began)
  }

  private took(reading: Reading, began: number): void {
    const rate = this.reading === null ? null : walRate(this.reading, reading)
    if (rate !== null) this.highestRate = Math.max(rate, this.highestRate ?? 0)
    this.reading = reading
    this.takenAt = began
    this.history.reading(reading)
    this.options.heard(reading)
  }

  // A role that may not write to this table does not share its pace.
  private async beat(): Promise<void> {
    if (performance.now() - this.beatenAt < BEAT_EVERY_MS) return
    this.beatenAt = performance.now()
    const { journalSchema, application } = this.options
    this.others = await beatPace(this.session, journalSchema, application, this.waitingMs !== null).catch(
      (error: unknown) => {
        if (isConnectionLost(error)) throw error
        return 0
      },
    )
  }

  /** What was recorded of the run before it was resumed, or in an earlier step. */
  private async remember(): Promise<void> {
    const { runId, journalSchema } = this.options
    if (runId !== null) this.history = new History(await paceIntervals(this.session, journalSchema, runId))
  }

  /** Best effort: a run does not fail for a report about it. */
  private async record(): Promise<void> {
    const { runId, journalSchema } = this.options
    if (runId === null || this.reading === null) return
    this.recordedAt = performance.now()
    const sinceMs = Math.round(performance.now() - this.takenAt)
    const changes = this.history.changes(this.reading.at + BigInt(sinceMs) * 1000n)
    await recordIntervals(this.session, journalSchema, runId, changes).catch(() => this.history.notRecorded(changes))
  }

  /** A reading that took too long is skipped; its age shows. Without a connection there will be none. */
  private failed(error: unknown): void {
    if (this.closing.signal.aborted || !isConnectionLost(error)) return
    this.failure = error instanceof Error ? error : new Error(String(error))
  }
}
