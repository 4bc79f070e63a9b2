import type { Event } from '../events.ts'

/** An event as JSON: the step of a swap has the whole model of the table, twice. */
export function eventForPrograms(event: Event): object {
  if (!('step' in event)) return event
  const { key, kind, title, locks } = event.step
  return { ...event, step: { key, kind, title, locks } }
}
