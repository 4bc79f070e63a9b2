import { NOT_ANALYZED, showAbout } from '../../text/units.ts'

/** The rows of partitions by the planner's statistics; null where a partition was never analysed. */
export function aboutRows(partitions: readonly { readonly rows: number | null }[]): string {
  const known = partitions.flatMap(({ rows }) => rows ?? [])
  const sum = showAbout(known.reduce((sum, rows) => sum + rows, 0))
  if (known.length === partitions.length) return sum
  return known.length === 0 ? NOT_ANALYZED : `${sum} and those of partitions not analyzed`
}
