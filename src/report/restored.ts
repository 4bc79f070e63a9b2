import type { RestoreResult } from '../engine/commands/restore.ts'
import type { Conflict, Restored } from '../journal/restores.ts'
import { display, distinctNames } from '../sql/names.ts'
import { showCount, showRows } from '../text/units.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'

/** The result of a restore; the keys of rows that were left only where values may be shown. */
export function describeRestored({ runId, plan, steps, restored }: RestoreResult, withValues = false): string[] {
  const { rows, overwritten, conflicts } = restored
  const into = distinctNames((plan.restore?.holds ?? [{ table: plan.table }]).map(({ table }) => table))
  return [
    `${showRows(rows)} ${rows === 1 ? 'is' : 'are'} restored into ${into.map(display).join(', ')} (run ${runId}).`,
    ...(overwritten === 0 ? [] : [`${showCount(overwritten)} rows that were there with other values are overwritten.`]),
    ...describeLeft(restored),
    ...(withValues ? conflicts.map(describeConflict) : conflicts.length === 0 ? [] : [HIDDEN_KEYS]),
    ...indented(describeCosts(steps)),
  ]
}

function describeLeft({ archived, rows, overwritten, present, differing, refused }: Restored): string[] {
  const left = archived - rows - overwritten
  if (left === 0) return []
  if (present === null || differing === null || refused === null)
    return [
      `${showCount(left)} archived rows were not inserted: not selected, kept when the others were removed, or there already.`,
    ]
  const others = left - present - differing - refused
  const told = [
    [present, 'are there with the same values'],
    [differing, 'are there with other values, and were left as they are'],
    [refused, 'were refused: another row has a unique value of theirs, or a trigger does without them'],
    [others, 'were not selected, or had been kept when the others were removed'],
  ] as const
  return told.flatMap(([count, what]) => (count === 0 ? [] : [`${showCount(count)} archived rows ${what}.`]))
}

const HIDDEN_KEYS = 'The keys of rows with other values, or refused, are shown with --show-values.'

function describeConflict({ table, columns, key }: Conflict): string {
  return `  left: ${display(table)} ${columns.map((column, i) => `${column} = ${key[i] ?? ''}`).join(', ')}`
}

/** For programs, without keys unless values may be shown. */
export function restoredForPrograms({ plan, ...result }: RestoreResult, withValues = false) {
  const { conflicts, ...restored } = result.restored
  return { table: plan.table, ...result, restored: withValues ? { ...restored, conflicts } : restored }
}
