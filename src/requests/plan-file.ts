import { option } from './option.ts'
import { text } from './parsers.ts'
import type { Given } from './spec.ts'

/** A plan that is reviewed by somebody, and executed later. Programs have the plan itself. */
export const PLAN_FILE = {
  planOut: option('--plan-out <file>', 'save the plan in a new file, to execute it later with --plan', text, {
    property: null,
  }),
  plan: option('--plan <file>', 'with --execute: execute only if the plan is the same as the one saved there', text, {
    property: null,
  }),
}

/** Of a command that also has `--execute`. */
export function checkPlanFile(given: Given<typeof PLAN_FILE>, executes: boolean): void {
  if (given.has('planOut') && executes)
    given.refuse('planOut', 'it saves a plan that is not executed yet', 'Omit --execute; later, pass --plan with it.')
  if (given.has('plan') && !executes)
    given.refuse('plan', 'it requires --execute', 'Add --execute, or save a plan with --plan-out.')
}
