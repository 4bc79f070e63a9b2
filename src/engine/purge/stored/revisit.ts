import { workClock } from '../../../db/work-clock.ts'
import { inTransaction } from '../../../db/transaction.ts'
import { assertLease } from '../../../journal/lease.ts'
import { forgetRange, leaveRange, type LeftRange } from '../../../journal/purges.ts'
import type { PurgeLeaf } from '../../../plan/purge/work.ts'
import { isToBeRetried, type BatchOutcome } from '../batch.ts'
import { count, record, type Purging } from '../purging.ts'
import { refusalOf } from '../refusal.ts'
import { runStoredBatch } from './batch.ts'
import { countRange } from './count.ts'

/**
 * Takes up a range that was left; returns whether anything came of it. One that still has a locked row is halved, again and again, until the others have
 * gone and one address is left: of one row in each shard.
 */
export async function takeUpStored(purging: Purging, leaf: PurgeLeaf, range: LeftRange): Promise<boolean> {
  const { context, turns, tally } = purging
  const { session, journalSchema } = context
  await turns.turn(tally.last)
  const clock = workClock(session)
  const { after, upto } = range
  const settle = async (outcome: BatchOutcome) => {
    await forgetRange(session, journalSchema, range)
    if (outcome.gone > 0) await record(purging, { pass: 'return', leaf: leaf.name, after, upto }, outcome, clock())
  }
  try {
    const outcome = await runStoredBatch(purging, { leaf, after, upto }, settle)
    count(tally, outcome, outcome.gone, clock())
    return true
  } catch (error) {
    if (!isToBeRetried(error, context.signal)) throw error
    return halve(purging, leaf, range, refusalOf(error))
  }
}

async function halve(purging: Purging, leaf: PurgeLeaf, range: LeftRange, refused: string | null): Promise<boolean> {
  const { work, context } = purging
  const { session, journalSchema, lease, runId } = context
  const middle = leaf.stored === 'shards' && range.after !== null ? middleOf(range.after, range.upto) : null
  const { after, upto } = range
  if (middle === null) return false
  const parts: Pick<LeftRange, 'after' | 'upto' | 'rows'>[] = []
  for (const [from, to] of [
    [after, middle],
    [middle, upto],
  ] as const)
    parts.push({ after: from, upto: to, rows: await countRange(session, work, leaf, { leaf, after: from, upto: to }) })
  await inTransaction(session, {}, async () => {
    await assertLease(session, journalSchema, lease)
    await forgetRange(session, journalSchema, range)
    for (const part of parts.filter(({ rows }) => rows > 0)) {
      const why =
        refused === null ? ({ reason: 'locked', why: null } as const) : ({ reason: 'refused', why: refused } as const)
      await leaveRange(session, journalSchema, runId, { ...part, ...why, leaf: leaf.name })
    }
  })
  return true
}

/** More rows than a block of the largest size has. */
const MOST_OFFSETS = 2_048

/** Between two addresses; null where there is none. Pure. */
export function middleOf(after: string, upto: string): string | null {
  const [from, to] = [addressOf(after), addressOf(upto)]
  if (to.block - from.block > 1) return `(${Math.floor((from.block + to.block) / 2)},0)`
  const end = to.block === from.block ? to.offset : to.offset === 0 ? MOST_OFFSETS : null
  if (end === null) return `(${to.block},0)`
  const middle = Math.floor((from.offset + end) / 2)
  return middle > from.offset ? `(${from.block},${middle})` : null
}

function addressOf(position: string): { readonly block: number; readonly offset: number } {
  const [, block = '0', offset = '0'] = /^\((\d+),(\d+)\)$/.exec(position) ?? []
  return { block: Number(block), offset: Number(offset) }
}
