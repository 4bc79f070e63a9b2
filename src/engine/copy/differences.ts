import { FAULTS, type Differences, type Fault, type KeyText } from '../../plan/copy/comparison.ts'
import { oneLine } from '../../text/comment.ts'
import { plural } from '../../text/units.ts'

/** Keys shown per kind of difference, over all ranges. */
const MOST_KEYS = 10

/** Describes the differences: the number of rows per kind; neither their contents nor their keys. */
export function describeDifferences(found: readonly Differences[]): string {
  const parts = FAULTS.flatMap((fault) => {
    const rows = rowsOf(found, fault)
    return rows === 0 ? [] : [WORDS[fault](rows)]
  })
  return parts.join(', ')
}

/** Some of the keys, a line for each kind. */
export function keysOfDifferences(found: readonly Differences[]): string[] {
  return FAULTS.flatMap((fault) => {
    const keys = found.flatMap((differences) => differences[fault]?.keys ?? [])
    return keys.length === 0 ? [] : [`${fault}: ${showKeys(keys, rowsOf(found, fault))}`]
  })
}

function rowsOf(found: readonly Differences[], fault: Fault): number {
  return found.reduce((sum, differences) => sum + (differences[fault]?.rows ?? 0), 0)
}

const WORDS: Readonly<Record<Fault, (rows: number) => string>> = {
  missing: (rows) => `${plural(rows, 'row is', 'rows are')} missing`,
  unexpected: (rows) => `${plural(rows, 'row should', 'rows should')} not be there`,
  changed: (rows) => `${plural(rows, 'row is there', 'rows are there')} with other contents`,
  repeated: (rows) => `${plural(rows, 'key is', 'keys are')} there more than once`,
}

function showKeys(keys: readonly KeyText[], rows: number): string {
  const shown = keys.slice(0, MOST_KEYS).map(showKey)
  return `${rows === 1 ? 'key' : 'keys'} ${shown.join(', ')}${rows > shown.length ? ', …' : ''}`
}

function showKey(key: KeyText): string {
  const values = key.map(oneLine)
  return values.length === 1 ? (values[0] ?? '') : `(${values.join(', ')})`
}
