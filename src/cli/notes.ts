import type { Event } from '../events.ts'
import type { Sample } from '../report/metrics.ts'
import type { Trouble } from '../report/troubles.ts'
import type { Hooks } from '../requests/hooks.ts'

/** Which run of which command. */
export interface OfRun {
  readonly command: string
  /** Host, port and name of the database. */
  readonly database: string
}

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
