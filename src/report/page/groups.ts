import type { Span } from '../../grid/gaps.ts'
import { sumOrNull, type PartitionState, type SeenPartition } from './seen-set.ts'

/** Partitions that lie one beside the other, and of which the same is to be said. */
export interface Group {
  readonly partitions: readonly SeenPartition[]
  readonly state: PartitionState
  readonly span: Span | null
  readonly bytes: number
  readonly rows: number | null
}

/** At most about so many groups: a table may have thousands of partitions, and nobody reads as many lines. */
export function grouped(partitions: readonly SeenPartition[], most: number): Group[] {
  const size = Math.ceil(partitions.length / most)
  const groups: SeenPartition[][] = []
  for (const partition of partitions) {
    const last = groups.at(-1)
    const before = last?.at(-1)
    const joins =
      before !== undefined && before.state === partition.state && before.span !== null && partition.span !== null
    if (last !== undefined && joins && last.length < size) last.push(partition)
    else groups.push([partition])
  }
  return groups.map(groupOf)
}

function groupOf(partitions: readonly SeenPartition[]): Group {
  const [first, last] = [partitions[0], partitions.at(-1)]
  if (first === undefined || last === undefined) throw new Error('a group has partitions')
  const span = first.span === null || last.span === null ? null : { from: first.span.from, to: last.span.to }
  return {
    ...{ partitions, state: first.state, span },
    bytes: partitions.reduce((sum, { bytes }) => sum + bytes, 0),
    rows: sumOrNull(partitions.map(({ rows }) => rows)),
  }
}
