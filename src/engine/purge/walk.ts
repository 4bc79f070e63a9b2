import { inTransaction } from '../../db/transaction.ts'
import { workClock } from '../../db/work-clock.ts'
import { assertLease } from '../../journal/lease.ts'
import { forgetRangesOf, lastWalked } from '../../journal/purges.ts'
import { isRecorded, type RecordedWalk } from '../../plan/purge/positions.ts'
import type { PurgeLeaf } from '../../plan/purge/work.ts'
import { display, sameName } from '../../sql/names.ts'
import { blockOf, TOLERANCE, type BatchOrder } from './batch.ts'
import { readSlice } from './candidates/slices.ts'
import { LeafLostError, WalkAnewError } from './leaf-state.ts'
import { endOfSpan, mannerOf, walkBatch, type Done } from './attempts.ts'
import { count, type Purging } from './purging.ts'
import type { Turn } from './turns.ts'
import { walkStored } from './stored/walk.ts'

/** Goes through all leaves once, from where the journal says that it was. */
export async function walk(purging: Purging): Promise<void> {
  const { work, context } = purging
  const last = await lastWalked(context.session, context.journalSchema, context.runId)
  const begin = last === undefined ? 0 : work.leaves.findIndex(({ name }) => sameName(name, last.leaf))
  for (const [i, leaf] of work.leaves.entries()) {
    if (i < begin) continue
    const from = i === begin ? (last?.upto ?? null) : null
    await walkThrough(purging, inTheWayOf(leaf, from), from)
  }
}

/** Goes through a leaf, and once more where its positions have lost their meaning. */
async function walkThrough(purging: Purging, leaf: PurgeLeaf, from: string | null): Promise<void> {
  const index = purging.work.leaves.findIndex(({ oid }) => oid === leaf.oid)
  try {
    await walkLeaf(purging, leaf, from, index)
  } catch (error) {
    if (error instanceof WalkAnewError) return walkAnew(purging, error)
    if (!(error instanceof LeafLostError)) throw error
    purging.context.observer({ type: 'note', text: error.message })
  }
}

/** From the beginning of a leaf, and what was left of it is forgotten: it is met again. */
export async function walkAnew(purging: Purging, { message, leaf, file }: WalkAnewError): Promise<void> {
  const { files, context } = purging
  const { session, journalSchema, lease, observer } = context
  observer({ type: 'note', text: message })
  await inTransaction(session, {}, async () => {
    await assertLease(session, journalSchema, lease)
    await forgetRangesOf(session, journalSchema, context.runId, leaf.name)
  })
  files.set(display(leaf.name), file)
  await walkThrough(purging, leaf, null)
}

/** A leaf in the way in which a position was reached: block after block where its index was lost on the way. */
export function inTheWayOf(leaf: PurgeLeaf, position: string | null): PurgeLeaf {
  return leaf.walk.kind === 'key' && position?.startsWith('(') === true ? { ...leaf, walk: { kind: 'blocks' } } : leaf
}

async function walkLeaf(purging: Purging, leaf: PurgeLeaf, from: string | null, index: number): Promise<void> {
  if (leaf.stored !== undefined) return walkStored(purging, leaf, from, index)
  if (isRecorded(leaf.walk)) return walkSet(purging, leaf, leaf.walk, from, index)
  return leaf.walk.kind === 'blocks'
    ? walkBlocks(purging, leaf, from ?? FIRST, index)
    : walkKeys(purging, leaf, from, index)
}

/** No row has the offset 0, so as a beginning it is before a block's first row, and as an end behind the last of the block before. */
const FIRST = '(0,0)'

async function walkBlocks(purging: Purging, leaf: PurgeLeaf, from: string, index: number): Promise<void> {
  let after = from
  let density = leaf.blocks === 0 ? 0 : leaf.estimatedRows / leaf.blocks
  const isScanning = purging.work.dependents.scans === true
  while (blockOf(after) < leaf.blocks) {
    const { rows, alone } = await takeTurn(purging)
    const first = blockOf(after)
    const end = Math.min(leaf.blocks, first + (isScanning ? BESIDE_A_SCAN : blocksFor(rows, density)))
    const order: BatchOrder = { leaf, after, upto: `(${end},0)`, limit: rows, manner: mannerOf(purging), alone }
    const clock = workClock(purging.context.session)
    const done = await walkBatch(purging, {
      ...order,
      manner: isByRanges(order, end - first) ? 'range' : order.manner,
    })
    after = done.next ?? `(${end},0)`
    const blocks = Math.max(1, blockOf(after) - first)
    density = Math.max(done.outcome.found / blocks, density / 2)
    settle(purging, done, isScanning ? 0 : blocks, clock())
    purging.progress(index, blockOf(after), purging.tally.rows)
  }
}

/** Reading a block costs about as much as deleting a row. */
function blocksFor(rows: number, density: number): number {
  return Math.max(1, Math.round(rows / (density + 1)))
}

/** Where each batch reads another table as a whole, it looks at as many blocks as it takes to find its rows: 64 MB at most. */
const BESIDE_A_SCAN = 8_192

/** Where few rows match, looking for them first costs less than so many statements. */
const MOST_RANGES = 8

/** Whether rows can be deleted without looking first how many match, range by range. */
function isByRanges({ leaf, limit, manner }: BatchOrder, blocks: number): boolean {
  if (manner !== 'quick' || leaf.rowsPerBlock === null) return false
  const most = TOLERANCE * limit
  return leaf.rowsPerBlock <= most && blocks * leaf.rowsPerBlock <= MOST_RANGES * most
}

async function walkKeys(purging: Purging, leaf: PurgeLeaf, from: string | null, index: number): Promise<void> {
  let after = from
  for (;;) {
    const { rows, alone } = await takeTurn(purging)
    const clock = workClock(purging.context.session)
    const upto = await endOfSpan(purging, leaf, after, null)
    const done = await walkBatch(purging, { leaf, after, upto, limit: rows, manner: mannerOf(purging), alone })
    settle(purging, done, 0, clock())
    purging.progress(index, 0, purging.tally.rows)
    if (done.next === null) return
    after = done.next
  }
}

/** Slices of so many recorded rows, whether they are still there or not: else a batch could have to look for long. */
async function walkSet(
  purging: Purging,
  leaf: PurgeLeaf,
  walk: RecordedWalk,
  from: string | null,
  index: number,
): Promise<void> {
  let after = from
  for (;;) {
    const { rows, alone } = await takeTurn(purging)
    const slice = await readSlice(purging.context.session, purging.work, leaf, walk, after, rows)
    if (slice === null) return
    const clock = workClock(purging.context.session)
    const manner = mannerOf(purging)
    const order = { leaf, after, upto: slice.position, limit: rows, manner, alone }
    const done = await walkBatch(purging, isWholeSlice(order, walk) ? { ...order, manner: 'range' } : order)
    after = done.next ?? slice.position
    settle(purging, done, 0, clock())
    purging.progress(index, 0, purging.tally.rows)
  }
}

/** Of a list, no more rows than the slice has are in its range; where triggers fire, they are looked at first all the same. */
function isWholeSlice({ leaf, manner }: BatchOrder, walk: RecordedWalk): boolean {
  return walk.kind === 'blocks' && manner === 'quick' && leaf.rowsPerBlock !== null
}

async function takeTurn({ turns, tally, context }: Purging): Promise<Turn> {
  context.signal.throwIfAborted()
  return turns.turn(tally.last)
}

function settle({ tally }: Purging, { outcome }: Done, blocks: number, milliseconds: number): void {
  count(tally, outcome, outcome.found + blocks, milliseconds)
}
