import type { Event } from '../events.ts'
import type { PaceSummary } from '../pacing/summary.ts'
import { display } from '../sql/names.ts'
import type { MetricName, Sample } from './metrics.ts'

/** What the events of a run say, table by table. */
export class EventMetrics {
  private readonly sums = new Map<string, Sample>()

  observe(event: Event): void {
    const table = display(event.table)
    if (event.type === 'paced') this.paced(table, event.pace)
    if (event.type === 'step finished' && event.lock !== null)
      this.most('ebb_last_run_longest_blocking_seconds', table, event.lock.longestWaitCausedMs / 1000)
  }

  samples(): Sample[] {
    return [...this.sums.values()]
  }

  private paced(table: string, pace: PaceSummary): void {
    this.add('ebb_last_run_batches', { table }, pace.turns)
    this.add('ebb_last_run_lock_waits', { table }, pace.waitsSeen)
    this.most('ebb_last_run_longest_lock_wait_seconds', table, pace.longestWaitSeenMs / 1000)
    if (pace.maxReplicaLagBytes !== null) this.most('ebb_last_run_replica_lag_bytes', table, pace.maxReplicaLagBytes)
    for (const [reason, ms] of Object.entries(pace.pausedMsBy))
      this.add('ebb_last_run_paused_seconds', { table, reason }, ms / 1000)
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
