import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Database } from './database.ts'

/** One kind of request; what it throws is an error that a user of the application has met. */
export type Request = (client: pg.Client, number: number) => Promise<void>

/** How long the requests of one phase took. */
export interface Waits {
  readonly requests: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
}

const SESSIONS = 8

/**
 * Requests that come at a steady rate, whether those before have been answered
 * or not: who is kept waiting does not keep others from coming. A request that
 * finds all sessions busy waits for one, and that counts as its own wait.
 */
export class SteadyTraffic {
  readonly errors: unknown[] = []
  private readonly idle: pg.Client[]
  private readonly requests: readonly Request[]
  private readonly everyMs: number
  private readonly stopping = new AbortController()
  private readonly under: Set<Promise<void>> = new Set()
  private readonly coming: Promise<void>
  private took: number[] = []

  private constructor(sessions: pg.Client[], requests: readonly Request[], perMinute: number) {
    this.idle = sessions
    this.requests = requests
    this.everyMs = 60_000 / perMinute
    this.coming = this.come()
  }

  static async start(database: Database, requests: readonly Request[], perMinute: number): Promise<SteadyTraffic> {
    const sessions = await Promise.all(Array.from({ length: SESSIONS }, (_, n) => database.session(`app ${n}`)))
    return new SteadyTraffic(sessions, requests, perMinute)
  }

  /** How long those took that were answered since the last time this was asked. */
  phase(): Waits {
    const sorted = this.took.toSorted((a, b) => a - b)
    this.took = []
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { requests: sorted.length, p50: at(0.5), p99: at(0.99), longest: at(1) }
  }

  /** Lets what has come be answered. */
  async stop(): Promise<void> {
    this.stopping.abort()
    await this.coming
    await Promise.all(this.under)
  }

  private async come(): Promise<void> {
    const { signal } = this.stopping
    const began = performance.now()
    for (let number = 0; !signal.aborted; number++) {
      const answered: Promise<void> = this.answer(number).finally(() => this.under.delete(answered))
      this.under.add(answered)
      await sleep(began + (number + 1) * this.everyMs - performance.now(), undefined, { signal }).catch(() => {})
    }
  }

  private async answer(number: number): Promise<void> {
    const began = performance.now()
    const client = await this.session()
    try {
      await this.requests[number % this.requests.length]?.(client, number)
    } catch (error) {
      this.errors.push(error)
      await client.query('rollback').catch(() => {}) // what has cost the session is an error already
    } finally {
      this.idle.push(client)
      this.took.push(performance.now() - began)
    }
  }

  private async session(): Promise<pg.Client> {
    for (;;) {
      const client = this.idle.pop()
      if (client !== undefined) return client
      await sleep(1)
    }
  }
}
