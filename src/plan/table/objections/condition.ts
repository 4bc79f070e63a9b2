import type { ConditionFacts } from '../../../catalog/condition/condition.ts'
import { OUR_SETTINGS } from '../../../sql/condition-settings.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** Why it cannot be told, or not for the whole time, which rows a condition means. */
export function conditionObjections({ volatile, unheeded }: ConditionFacts): Objection[] {
  return [
    ...volatile.map((name) =>
      objection(
        `volatile:${name}`,
        `${name}() in the condition gives another answer each time it is asked`,
        'Use only what depends on the row; now() is fixed once at the start.',
      ),
    ),
    ...unheeded.map((setting) =>
      objection(
        `condition-settings:${setting.split(' ')[0] ?? ''}`,
        `this role has ${setting} in this database, and Ebb has not: the condition may mean other rows than in a session of the role`,
        'Write it without turning values into text and without backslashes (to_char() and E\'…\' say what they mean), or connect with the setting that Ebb has: PGOPTIONS="-c datestyle=iso -c extra_float_digits=1 -c standard_conforming_strings=on".',
      ),
    ),
  ]
}

/**
 * Of a condition that is asked for each row more than once, at different times: now() in it is fixed, but not in the body
 * of a function.
 */
export function stableObjections({ stable }: ConditionFacts): Objection[] {
  return stable.map((name) =>
    objection(
      `stable:${name}`,
      `${name}() in the condition is STABLE: it may answer otherwise when a row is looked at again, in a later transaction`,
      `Write what it does into the condition, where now() is fixed once at the start; or, if it depends on its arguments alone: alter function ${name} immutable.`,
    ),
  )
}

/** Under which settings it is read, for the plan, wherever it may mean other rows under others. */
export function describeReading({ timed, settings }: ConditionFacts): string[] {
  if (!timed) return []
  const shown = ['TimeZone', 'DateStyle', 'IntervalStyle'].filter(
    (name) => name === 'TimeZone' || settings[name] !== (OUR_SETTINGS as Readonly<Record<string, string>>)[name],
  )
  return [
    `read with ${shown.map((name) => `${name} = ${settings[name] ?? ''}`).join(', ')}, as the role that connects has it in this database`,
  ]
}
