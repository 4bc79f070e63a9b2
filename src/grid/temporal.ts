import { createRequire } from 'node:module'
import type * as polyfill from 'temporal-polyfill'

// Temporal is loaded with the first calculation: reading it takes 15 ms, about as long as the command line itself,
// and a command that only looks at the journal mostly calculates nothing. It is loaded by `require`, for those who calculate cannot wait for an import.

const load = createRequire(import.meta.url)
let loaded: typeof polyfill.Temporal | undefined

/** What the calendar and the time zones are calculated with. */
export function temporal(): typeof polyfill.Temporal {
  loaded ??= (load('temporal-polyfill') as typeof polyfill).Temporal
  return loaded
}
