import type { DefaultPartition } from '../../catalog/partitions/default-partition.ts'
import { displayPosition, fromText, type KeyKind } from '../../grid/key.ts'
import { display } from '../../sql/names.ts'
import { showAbout, showBytes } from '../../text/units.ts'
import type { SetPolicy } from '../language/policy.ts'

type Known = Pick<DefaultPartition, 'partition' | 'heapBytes' | 'ends'>

/** How many rows nobody has planned for, and of when. */
export function describeDefault(
  { partition, heapBytes, ends }: Known,
  { kind, timezone }: Pick<SetPolicy, 'kind' | 'timezone'>,
): string {
  const rows = `${display(partition.name)} has rows that no partition was made for: ${showAbout(partition.estimatedRows)}, ${showBytes(heapBytes)}`
  return ends === null
    ? rows
    : `${rows}, from ${shownKey(kind, ends.least, timezone)} to ${shownKey(kind, ends.greatest, timezone)}`
}

/** A key as people read it; one beyond the calendar as PostgreSQL does. */
export function shownKey(kind: KeyKind, text: string, timezone: string): string {
  try {
    return displayPosition(kind, fromText(kind, text), timezone)
  } catch {
    return text
  }
}
