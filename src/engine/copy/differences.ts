import { FAULTS, type Differences, type Fault, type KeyText } from '../../plan/copy/comparison.ts'
import { oneLine } from '../../text/comment.ts'

/** Keys shown per kind of difference, over all ranges. */
const MOST_KEYS = 10

/** Describes the differences: the number of rows per kind, and some of their keys; never their contents. */
export function describeDifferences(found: readonly Differences[]): string {
  const parts = FAULTS.flatMap((fault) => {
    const rows = found.reduce((sum, differences) => sum + (differences[fault]?.rows ?? 0), 0)
    const keys = found.flatMap((differences) => differences[fault]?.keys ?? [])
    return rows === 0 ? [] : [`${WORDS[fault](rows)} (${showKeys(keys, rows)})`]
  })
  return parts.join(', ')
}

const WORDS: Readonly<Record<Fault, (rows: number) => string>> = {
  missing: (rows) => `${count(rows, 'row is', 'rows are')} missing`,
  unexpected: (rows) => `${count(rows, 'row should', 'rows should')} not be there`,
  changed: (rows) => `${count(rows, 'row is there', 'rows are there')} with other contents`,
  repeated: (rows) => `${count(rows, 'key is', 'keys are')} there more than once`,
}

function count(rows: number, one: string, several: string): string {
  return `${rows.toLocaleString('en-US')} ${rows === 1 ? one : several}`
}

function showKeys(keys: readonly KeyText[], rows: number): string {
  const shown = keys.slice(0, MOST_KEYS).map(showKey)
  return `${rows === 1 ? 'key' : 'keys'} ${shown.join(', ')}${rows > shown.length ? ', …' : ''}`
}

function showKey(key: KeyText): string {
  const values = key.map(oneLine)
  return values.length === 1 ? (values[0] ?? '') : `(${values.join(', ')})`
}
