import { ACTION_TEXTS } from '../../plan/purge/action-sql.ts'
import { isListed } from '../../plan/purge/version-list.ts'
import { showRows } from '../../text/units.ts'
import type { PurgeWork } from '../../plan/purge/work.ts'
import type { Emit } from '../../events.ts'

/** Tells how far a walk has come: in which leaf, at which of its blocks, and how many rows are gone in all. */
export type Progressing = (leaf: number, block: number, rows: number) => void

/** By blocks where all leaves are walked so, else by rows; of a list the rows are known. */
export function progressOf({ leaves, action }: PurgeWork, observer: Emit): Progressing {
  const byBlocks = leaves.every(({ walk }) => walk.kind === 'blocks' && !isListed(walk))
  const total = leaves.reduce((sum, leaf) => sum + (byBlocks ? leaf.blocks : leaf.estimatedRows), 0)
  const unknown = !byBlocks && leaves.some(({ notAnalyzed }) => notAnalyzed)
  const before = leaves.map((_, i) => leaves.slice(0, i).reduce((sum, { blocks }) => sum + blocks, 0))
  const words = ACTION_TEXTS[action.kind]
  const begun = performance.now()
  let first: { readonly done: number; readonly rows: number } | undefined
  return (leaf, block, rows) => {
    const done = byBlocks ? (before[leaf] ?? 0) + block : rows
    first ??= { done, rows }
    const seconds = (performance.now() - begun) / 1000
    const perSecond = (done - first.done) / Math.max(seconds, 0.001)
    const what = `${words.doing}, ${showRows(rows)} ${words.done}`
    // There is no estimate, or it was too low: of what is left nothing is known.
    if (unknown || done > total) return observer({ type: 'working', phase: what, seconds })
    observer({
      type: 'progress',
      progress: {
        what,
        done,
        total,
        unit: byBlocks ? 'blocks' : 'rows',
        perSecond,
        ...(byBlocks ? { rows, rowsPerSecond: (rows - first.rows) / Math.max(seconds, 0.001) } : {}),
        remainingSeconds: seconds < 1 || perSecond === 0 ? null : Math.max(0, total - done) / perSecond,
      },
    })
  }
}
