import { setTimeout as sleep } from 'node:timers/promises'
import { readAll } from '../../db/query.ts'
import { inTransaction } from '../../db/transaction.ts'
import { underSettings } from '../../db/settings.ts'
import { workClock } from '../../db/work-clock.ts'
import { assertLease } from '../../journal/lease.ts'
import { forgetRange, forgetRangesOf, leaveRange, leftRanges, type LeftRange } from '../../journal/purges.ts'
import { positionStatement } from '../../plan/purge/positions.ts'
import { showRows } from '../../text/units.ts'
import { sameName } from '../../sql/names.ts'
import type { TableContext } from '../table-context.ts'
import { runWithAhead } from './ahead.ts'
import { CrowdedError, isToBeRetried, rangeOf, tookTooLong, type BatchOrder, type BatchOutcome } from './batch.ts'
import { LeafLostError, WalkAnewError } from './leaf-state.ts'
import { refusalOf } from './refusal.ts'
import { inTheWayOf, walkAnew } from './walk.ts'
import { leftOf } from './attempts.ts'
import { count, record, type Purging } from './purging.ts'
import { takeUpStored } from './stored/revisit.ts'

/**
 * Comes back for rows that could not go when it was their turn. For those that
 * others hold locked again and again, with growing pauses, until the deadline has
 * passed; for those that others refer to, or that were refused, as long as that
 * leads anywhere. What is left then stays in the journal, and in the report.
 */
export async function comeBack(purging: Purging): Promise<void> {
  const { context } = purging
  const deadline = performance.now() + context.lockLimits.deadlineMs
  for (let [round, achieved] = [1, true]; ; round++) {
    const ranges = await leftRanges(context.session, context.journalSchema, context.runId)
    const locked = ranges.filter(({ reason }) => reason === 'locked')
    const remainingMs = deadline - performance.now()
    if (ranges.length === 0 || (!achieved && (locked.length === 0 || remainingMs <= 0))) return
    await rest(round, Math.max(0, remainingMs), locked, context)
    achieved = false
    // Rows that refer to others of their table mostly come after them.
    for (const range of ranges.toReversed()) if (await tryAgain(purging, range)) achieved = true
  }
}

/** 0.1 s at first, up to 5 s; not at all where no lock is in the way. */
async function rest(round: number, mostMs: number, locked: readonly LeftRange[], context: TableContext): Promise<void> {
  context.signal.throwIfAborted()
  if (locked.length === 0) return
  const rows = locked.reduce((sum, range) => sum + range.rows, 0)
  const ms = Math.min(mostMs, 5_000, 100 * 2 ** (round - 1)) * (0.5 + Math.random() / 2)
  if (round > 1) context.observer({ type: 'waiting', reason: `for ${showRows(rows)} that others hold locked` })
  await sleep(ms, undefined, { signal: context.signal })
}

/** Returns whether anything came of it. A range that has been forgotten meanwhile, with its leaf, holds nothing any more. */
async function tryAgain(purging: Purging, range: LeftRange): Promise<boolean> {
  const { context } = purging
  try {
    return await takeUp(purging, range)
  } catch (error) {
    if (error instanceof WalkAnewError) await walkAnew(purging, error)
    else if (error instanceof LeafLostError)
      await forgetRangesOf(context.session, context.journalSchema, context.runId, range.leaf)
    else throw error
    return true
  }
}

async function takeUp(purging: Purging, range: LeftRange): Promise<boolean> {
  const { work, context, turns, tally } = purging
  const planned = work.leaves.find(({ name }) => sameName(name, range.leaf))
  if (planned === undefined) throw new Error(`the journal knows a leaf that the plan does not: ${range.leaf.name}`)
  if (planned.stored !== undefined) return takeUpStored(purging, planned, range)
  const leaf = inTheWayOf(planned, range.upto)
  const { rows, alone } = await turns.turn(tally.last)
  let limit = range.reason === 'refused' ? Math.min(rows, range.rows) : rows
  for (;;) {
    const order: BatchOrder = { leaf, after: range.after, upto: range.upto, limit, manner: 'careful', alone }
    const began = performance.now()
    const clock = workClock(context.session)
    try {
      const outcome = await runWithAhead(purging, order, (outcome) => settle(purging, range, order, outcome, began))
      count(tally, { ...outcome, found: outcome.gone }, outcome.found, clock())
      return outcome.gone > 0
    } catch (error) {
      if (!isToBeRetried(error, context.signal)) throw error
      const refused = refusalOf(error)
      const fewerWillDo = tookTooLong(error) || error instanceof CrowdedError
      if (refused === null && (limit === 1 || !fewerWillDo)) return false
      if (refused !== null && limit === 1) return setApart(purging, range, order, refused)
      limit = Math.max(1, Math.floor(Math.min(limit, range.rows) / 4))
    }
  }
}

/** In place of the range comes what is left of it: rows that still cannot go, and what lies beyond the batch. */
async function settle(
  purging: Purging,
  range: LeftRange,
  { limit }: BatchOrder,
  outcome: BatchOutcome,
  began: number,
): Promise<void> {
  const { context } = purging
  const { session, journalSchema } = context
  const beyond = outcome.found === limit && outcome.position !== null && outcome.position !== range.upto
  const left = leftOf(outcome)
  const same = left.every(({ rows, reason }) => rows === range.rows && reason === range.reason)
  if (outcome.gone === 0 && left.length > 0 && same && !beyond) return
  const { leaf, after, upto } = range
  await forgetRange(session, journalSchema, range)
  const end = outcome.position ?? upto
  for (const rest of left) await leaveRange(session, journalSchema, context.runId, { ...rest, leaf, after, upto: end })
  if (beyond)
    await leaveRange(session, journalSchema, context.runId, {
      ...range,
      after: end,
      rows: Math.max(1, range.rows - outcome.found),
    })
  if (outcome.gone > 0)
    await record(
      purging,
      { pass: 'return', leaf, after, upto: end },
      outcome,
      performance.now() - began - purging.tally.aheadMs,
    )
}

/** The first row of the range is refused: it becomes a range of its own, so that the others can go without it. */
async function setApart(purging: Purging, range: LeftRange, order: BatchOrder, why: string): Promise<boolean> {
  const { work, context } = purging
  const { session, journalSchema, lease } = context
  if (range.rows === 1 && range.reason === 'refused') return false
  return inTransaction(session, {}, async () => {
    const [row] = await underSettings(session, work.settings, () =>
      readAll<{ position: string }>(session, positionStatement(work, order.leaf, rangeOf(order))),
    )
    await assertLease(session, journalSchema, lease)
    await forgetRange(session, journalSchema, range)
    if (row === undefined) return true
    const { position } = row
    await leaveRange(session, journalSchema, context.runId, {
      ...range,
      upto: position,
      rows: 1,
      reason: 'refused',
      why,
    })
    if (range.rows > 1)
      await leaveRange(session, journalSchema, context.runId, { ...range, after: position, rows: range.rows - 1 })
    return true
  })
}
