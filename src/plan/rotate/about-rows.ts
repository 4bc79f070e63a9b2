import { showCount } from '../../text/units.ts'

/** The rows of partitions by the planner's statistics; null where a partition was never analysed. */
export function aboutRows(partitions: readonly { readonly rows: number | null }[]): string {
  const known = partitions.flatMap(({ rows }) => rows ?? [])
  const sum = `about ${showCount(known.reduce((sum, rows) => sum + rows, 0))} rows`
  if (known.length === partitions.length) return sum
  return known.length === 0 ? 'rows not counted (never analysed)' : `${sum} and those of partitions never analysed`
}
