import type { TriggerCode } from '../../../catalog/table/trigger-code.ts'
import { shellWord } from '../../../text/shell-word.ts'
import type { Objection } from '../../language/step.ts'

/** The partition of a row is chosen before its triggers fire: one that sets the key comes too late, and may not move it elsewhere. */
export function keyTriggerObjections(triggers: readonly TriggerCode[], key: string): Objection[] {
  return triggers.flatMap(({ trigger, function: name, beforeWrite, assigns }) => {
    if (!beforeWrite || assigns?.includes(key) === false) return []
    const code = `key-trigger:${trigger}`
    return [
      {
        code,
        what:
          assigns === null
            ? `whether trigger ${trigger} sets ${key} cannot be told from the text of ${name}; the partition of a row is chosen before`
            : `trigger ${trigger} sets ${key}, by ${name}; the partition of a row is chosen before: without a value there is none, and into another a row cannot be moved`,
        fix: `Give ${key} a default, and let the trigger leave it alone; or, if rows have their ${key} before it fires and keep it, go ahead with --accept ${shellWord(code)}`,
        acceptable: true,
      },
    ]
  })
}

/** Triggers by row fire for the partition. */
export function triggerNotes(triggers: readonly TriggerCode[]): string[] {
  return triggers
    .filter(({ readsTable }) => readsTable)
    .map(
      ({ trigger, function: name }) =>
        `trigger ${trigger} asks for the table it fires for (${name} has TG_TABLE_NAME or TG_RELID): that will be the partition, and no longer the table`,
    )
}
