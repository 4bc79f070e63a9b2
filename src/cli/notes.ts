import type { Event } from '../events.ts'
import type { Sample } from '../report/metrics.ts'
import type { Trouble } from '../report/troubles.ts'
import type { Hooks } from '../requests/hooks.ts'

/** What is noted of a run for those who learn how it has ended. */
export interface Notes {
  observe(event: Event): void
  /** Of a result, its figures and what was not done. */
  note(samples: readonly Sample[], troubles?: readonly Trouble[]): void
  /** Hooks of a config come after those that are typed. */
  addHooks(hooks: Hooks): void
}

/** Of a run of which nobody learns. */
export const NO_NOTES: Notes = { observe: () => {}, note: () => {}, addHooks: () => {} }
