import type { Range } from './chunk.ts'
import { firstSize, leastSize } from './sizes.ts'
import type { DoneChunk, Walk } from './chunk.ts'

const FIRST_BLOCKS = 512

interface Gap {
  readonly first: number
  readonly end: number
}

/** The blocks still to be copied, in order: sequential reads, no index needed. */
export class BlockWalk implements Walk {
  readonly unit = 'blocks'
  readonly total: number
  readonly begun: number
  readonly firstSize: number
  readonly maxSize: number
  readonly leastSize: number
  private readonly gaps: Gap[]

  constructor(blocks: number, done: readonly DoneChunk[], maxBlocks: number) {
    this.gaps = gapsBetween(blocks, done)
    this.total = blocks
    this.begun = blocks - this.gaps.reduce((sum, { first, end }) => sum + end - first, 0)
    this.maxSize = maxBlocks
    this.leastSize = leastSize(FIRST_BLOCKS, maxBlocks)
    this.firstSize = firstSize(blocks, FIRST_BLOCKS, maxBlocks)
  }

  next(size: number): Promise<Range | undefined> {
    const gap = this.gaps.shift()
    if (gap === undefined) return Promise.resolve(undefined)
    const end = Math.min(gap.first + size, gap.end)
    if (end < gap.end) this.gaps.unshift({ first: end, end: gap.end })
    return Promise.resolve({ first: gap.first, end, keys: null, size: end - gap.first })
  }

  close(): void {
    this.gaps.length = 0
  }
}

function gapsBetween(blocks: number, done: readonly DoneChunk[]): Gap[] {
  const gaps: Gap[] = []
  let from = 0
  for (const { first, end } of done) {
    if (first > from) gaps.push({ first: from, end: first })
    from = end
  }
  if (from < blocks) gaps.push({ first: from, end: blocks })
  return gaps
}
