import { setTimeout as sleep } from 'node:timers/promises'
import { forgetRange, leaveRange, leftRanges, type LeftRange } from '../../journal/purges.ts'
import { sameName } from '../../sql/names.ts'
import type { Workplace } from '../workplace.ts'
import { isToBeRetried, runBatch, type BatchOrder, type BatchOutcome } from './batch.ts'
import { count, isGone, record, type Purging } from './purger.ts'

/**
 * Comes back for rows that were locked when it was their turn, again and again
 * with growing pauses, until there are none or the deadline has passed. What is
 * left then stays in the journal, and in the report.
 */
export async function comeBack(purging: Purging): Promise<void> {
  const { runId, place, deadlineMs } = purging
  const deadline = performance.now() + deadlineMs
  for (let round = 1; ; round++) {
    const ranges = await leftRanges(place.session, place.journalSchema, runId)
    if (ranges.length === 0) return
    const remainingMs = deadline - performance.now()
    if (remainingMs <= 0) return
    await rest(round, remainingMs, ranges, place)
    for (const range of ranges) await takeUp(purging, range)
  }
}

/** 0.1 s at first, up to 5 s. */
async function rest(round: number, mostMs: number, ranges: readonly LeftRange[], place: Workplace): Promise<void> {
  const rows = ranges.reduce((sum, range) => sum + range.rows, 0)
  const ms = Math.min(mostMs, 5_000, 100 * 2 ** (round - 1)) * (0.5 + Math.random() / 2)
  if (round > 1) place.observer({ type: 'waiting', reason: `for ${rows} rows that others hold locked` })
  await sleep(ms, undefined, { signal: place.signal })
}

async function takeUp(purging: Purging, range: LeftRange): Promise<void> {
  const { work, place, turns, tally } = purging
  const leaf = work.leaves.find(({ name }) => sameName(name, range.leaf))
  if (leaf === undefined) throw new Error(`the journal knows a leaf that the plan does not: ${range.leaf.name}`)
  const { rows } = await turns.turn(tally.last)
  const order: BatchOrder = { leaf, after: range.after, upto: range.upto, limit: rows, manner: 'careful' }
  const began = performance.now()
  try {
    const outcome = await runBatch(work, order, place, (outcome) => settle(purging, range, order, outcome, began))
    count(tally, { ...outcome, found: outcome.gone }, outcome.found, performance.now() - began)
  } catch (error) {
    if (isGone(error)) return forgetRange(place.session, place.journalSchema, range)
    if (!isToBeRetried(error, place.signal)) throw error
  }
}

/** In place of the range comes what is left of it: its locked rows, and what lies beyond the batch. */
async function settle(
  purging: Purging,
  range: LeftRange,
  { limit }: BatchOrder,
  outcome: BatchOutcome,
  began: number,
): Promise<void> {
  const { runId, place } = purging
  const { session, journalSchema } = place
  const locked = outcome.found - outcome.held - outcome.gone
  const beyond = outcome.found === limit && outcome.position !== null && outcome.position !== range.upto
  if (outcome.gone === 0 && locked === range.rows && !beyond) return
  const { leaf, after, upto } = range
  await forgetRange(session, journalSchema, range)
  const end = outcome.position ?? upto
  if (locked > 0) await leaveRange(session, journalSchema, runId, { leaf, after, upto: end, rows: locked })
  if (beyond)
    await leaveRange(session, journalSchema, runId, {
      leaf,
      after: end,
      upto,
      rows: Math.max(1, range.rows - outcome.found),
    })
  if (outcome.gone > 0)
    await record(purging, { pass: 'return', leaf, after, upto: end }, outcome, performance.now() - began)
}
