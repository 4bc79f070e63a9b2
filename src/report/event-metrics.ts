import type { Event } from '../events.ts'
import type { PaceSummary } from '../pacing/summary.ts'
import { display } from '../sql/names.ts'
import type { MetricName, Sample } from './metrics.ts'

/** What the events of a run say, table by table. */
export class EventMetrics {
  private readonly prefix: 'ebb_last_run' | 'ebb_run'
  private readonly sums = new Map<string, Sample>()

  constructor(prefix: 'ebb_last_run' | 'ebb_run' = 'ebb_last_run') {
    this.prefix = prefix
  }

  observe(event: Event): void {
    const table = display(event.table)
    if (event.type === 'paced') this.paced(table, event.pace)
    if (event.type === 'step finished' && event.lock !== null)
      this.most(`${this.prefix}_longest_blocking_seconds`, table, event.lock.longestWaitCausedMs / 1000)
  }

  copy(): EventMetrics {
    const copy = new EventMetrics(this.prefix)
    for (const [key, sample] of this.sums) copy.sums.set(key, sample)
    return copy
  }

  samples(): Sample[] {
    return [...this.sums.values()]
  }

  private paced(table: string, pace: PaceSummary): void {
    this.add(`${this.prefix}_batches`, { table }, pace.turns)
    this.add(`${this.prefix}_lock_waits`, { table }, pace.waitsSeen)
    this.most(`${this.prefix}_longest_lock_wait_seconds`, table, pace.longestWaitSeenMs / 1000)
    if (pace.maxReplicaLagBytes !== null) this.most(`${this.prefix}_replica_lag_bytes`, table, pace.maxReplicaLagBytes)
    for (const [reason, ms] of Object.entries(pace.pausedMsBy))
      this.add(`${this.prefix}_paused_seconds`, { table, reason }, ms / 1000)
  }

  private add(metric: MetricName, labels: Sample['labels'], value: number): void {
    this.keep(metric, labels, (before) => before + value)
  }

  private most(metric: MetricName, table: string, value: number): void {
    this.keep(metric, { table }, (before) => Math.max(before, value))
  }

  private keep(metric: MetricName, labels: Sample['labels'], next: (before: number) => number): void {
    const key = JSON.stringify([metric, labels])
    this.sums.set(key, { metric, labels, value: next(this.sums.get(key)?.value ?? 0) })
  }
}
