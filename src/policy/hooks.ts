import { Faults } from '../requests/faults.ts'
import { HOOKS, NO_HOOKS, type Hooks } from '../requests/hooks.ts'
import { propertiesOf } from '../requests/properties.ts'
import { readValues, spec } from '../requests/spec.ts'
import type { Reading } from './read-policy.ts'

const IN_CONFIG = spec({ options: HOOKS, request: (hooks): Hooks => hooks })

/** The hooks of a config, read as flags are; what is wrong is noted. */
export function readHooks(given: object | undefined, { written, faults: ofConfig }: Reading): Hooks {
  if (given === undefined) return NO_HOOKS
  const faults = new Faults()
  // Other keys have been noted by the schema.
  const known = Object.fromEntries(Object.entries(given).filter(([key]) => key in HOOKS))
  const hooks = readValues(IN_CONFIG, propertiesOf(HOOKS, known, faults), faults)
  for (const { where, error } of faults.all()) ofConfig.note(written, ['hooks', where], 'value', error)
  return hooks
}
