import type { LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import { NOT_ANALYZED, showAbout, showCount } from '../../text/units.ts'

// How many rows match, for people: of a leaf that was never analyzed the planner only assumes it.

type Leaf = Pick<LeafModel, 'rows' | 'matching'>

export function matchingRows(leaves: readonly Leaf[]): number {
  return leaves.reduce((sum, { matching }) => sum + matching, 0)
}

/** Null where not all leaves have statistics. */
export function knownMatchingRows(leaves: readonly Leaf[]): number | null {
  return leaves.every(isAnalyzed) ? matchingRows(leaves) : null
}

/** `about 1,203 rows`. */
export function aboutMatching(leaves: readonly Leaf[]): string {
  return withoutStatistics(leaves, (known) => showAbout(matchingRows(known)))
}

/** `about 1,203 of 2,000 rows match, by the planner’s estimate`. */
export function aboutShare(leaves: readonly Leaf[], by: string): string {
  return withoutStatistics(leaves, (known) => {
    const rows = known.reduce((sum, leaf) => sum + (leaf.rows ?? 0), 0)
    return `about ${showCount(matchingRows(known))} of ${showCount(rows)} rows match, ${by}`
  })
}

function withoutStatistics(leaves: readonly Leaf[], describe: (known: readonly Leaf[]) => string): string {
  const known = leaves.filter(isAnalyzed)
  if (known.length === leaves.length) return describe(known)
  if (known.length === 0) return NOT_ANALYZED
  return `${describe(known)}; ${leaves.length - known.length} of ${leaves.length} partitions not analyzed`
}

function isAnalyzed({ rows }: Leaf): boolean {
  return rows !== null
}
