import type { Event, Progress } from '../events.ts'
import { display } from '../sql/names.ts'
import { EventMetrics } from './event-metrics.ts'
import type { Labels, Sample } from './metrics.ts'

/** What the events say of a run that is at work: the figures of those that have ended, so far, and where it is. */
export class LiveMetrics {
  private readonly ended = new EventMetrics('ebb_run')
  /** By table, the latest of a paced step that is at work. */
  private readonly pacing = new Map<string, Event & { readonly type: 'pacing' }>()
  private readonly gauges = new Map<string, Sample>()
  private step = ''

  observe(event: Event): void {
    const table = display(event.table)
    this.ended.observe(event)
    if (event.type === 'step started') {
      this.step = event.step.key
      this.set('ebb_run_step', { table }, event.position + 1)
      this.set('ebb_run_steps', { table }, event.of)
    }
    if (event.type === 'progress') this.progress(table, event.progress)
    if (event.type === 'pacing') this.pacing.set(table, event)
    if (event.type === 'paced') this.pacing.delete(table)
    const waits = event.type === 'waiting' || (event.type === 'pacing' && event.reason !== null)
    this.set('ebb_run_waiting', { table }, waits ? 1 : 0)
  }

  samples(): Sample[] {
    const all = this.ended.copy()
    for (const event of this.pacing.values()) all.observe({ ...event, type: 'paced' })
    return [...this.gauges.values(), ...all.samples()]
  }

  private progress(table: string, { done, total, unit, rows = unit === 'rows' ? done : undefined }: Progress): void {
    const labels = { table, step: this.step }
    this.set('ebb_run_progress_ratio', labels, total === 0 ? 0 : Math.min(1, done / total))
    if (rows !== undefined) this.set('ebb_run_rows', labels, rows)
  }

  private set(metric: Sample['metric'], labels: Labels, value: number): void {
    this.gauges.set(JSON.stringify([metric, labels]), { metric, labels, value })
  }
}
