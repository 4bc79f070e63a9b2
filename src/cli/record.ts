import type { Event } from '../events.ts'
import { EventMetrics } from '../report/event-metrics.ts'
import type { Sample } from '../report/metrics.ts'
import type { Trouble } from '../report/troubles.ts'
import { display } from '../sql/names.ts'

/** What a command has done so far, for metrics and hooks. */
export class RunRecord {
  private readonly events = new EventMetrics()
  private readonly results: Sample[] = []
  private readonly seen = new Set<string>()
  /** What was not done. */
  readonly troubles: Trouble[] = []

  observe(event: Event): void {
    this.events.observe(event)
    this.seen.add(display(event.table))
  }

  /** Of a result, its figures and what was not done. */
  note(samples: readonly Sample[], troubles: readonly Trouble[] = []): void {
    this.results.push(...samples)
    this.troubles.push(...troubles)
  }

  samples(): Sample[] {
    return [...this.events.samples(), ...this.results]
  }

  /** The tables it was about. */
  tables(): string[] {
    const named = [...this.results.map(({ labels }) => labels.table), ...this.troubles.map(({ table }) => table)]
    return [...new Set([...this.seen, ...named.filter((table): table is string => Boolean(table))])].sort()
  }
}
