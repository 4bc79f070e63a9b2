import { workClock } from '../../db/work-clock.ts'
import type { Ahead } from '../../plan/purge/work.ts'
import { CrowdedError, isToBeRetried, runBatch, type BatchOrder, type BatchOutcome } from './batch.ts'
import { record, type Purging } from './purging.ts'

// A row with more dependent rows than one statement should delete: some are deleted ahead of it. Before
// each of these batches the row is checked again, and locked, as if it were to be deleted itself: if it
// must be kept by then, or leads to a protected row, no more of them are deleted. Those already deleted
// stay deleted; the journal records which row they referenced.

/** The same as `runBatch`; too many dependent rows of a single row are deleted ahead of it. */
export async function runWithAhead(
  purging: Purging,
  order: BatchOrder,
  settle: (outcome: BatchOutcome) => Promise<void>,
): Promise<BatchOutcome> {
  const { dependents } = purging.work
  return untilNotCrowded(purging, order, dependents.ahead, (crowded) => {
    const work = { ...purging.work, dependents: { ...dependents, crowded } }
    return runBatch({ ...purging, work }, order, settle)
  })
}

/** If nothing more can be deleted ahead, the rest is deleted with the row: it cannot be divided, or is locked by another session. */
async function untilNotCrowded(
  purging: Purging,
  order: BatchOrder,
  further: readonly Ahead[],
  run: (crowded: string | null) => Promise<BatchOutcome>,
): Promise<BatchOutcome> {
  for (;;) {
    try {
      return await run((order.ahead ?? purging.work.dependents).crowded)
    } catch (error) {
      if (!(error instanceof CrowdedError) || order.limit > 1) throw error
      if (!(await goAhead(purging, order, further))) return run(null)
    }
  }
}

/** Whether any row was deleted. */
async function goAhead(purging: Purging, order: BatchOrder, all: readonly Ahead[]): Promise<boolean> {
  let gone = 0
  for (const ahead of all)
    for (let found = 1; found > 0; gone += found) {
      purging.context.signal.throwIfAborted()
      const { rows, alone } = await purging.turns.turn(purging.tally.last)
      found = await slice(purging, { ...order, ahead, limit: rows, alone })
    }
  return gone > 0
}

/** With fewer rows if they have too many dependent rows, or are locked; if one of them cannot be deleted, neither can the row. */
async function slice(purging: Purging, wanted: BatchOrder): Promise<number> {
  const { context } = purging
  for (let order = wanted; ; order = { ...order, limit: Math.max(1, Math.floor(order.limit / 4)) }) {
    try {
      return await oneSlice(purging, order)
    } catch (error) {
      const fewer = error instanceof CrowdedError || isToBeRetried(error, context.signal)
      if (order.limit === 1 || !fewer) throw error
    }
  }
}

async function oneSlice(purging: Purging, order: BatchOrder): Promise<number> {
  const { tally, context } = purging
  const clock = workClock(context.session)
  const before = tally.aheadMs
  const milliseconds = () => clock() - (tally.aheadMs - before)
  const { leaf, after, ahead } = order
  if (ahead === undefined) throw new Error('a slice of nothing')
  const { found, commitMs } = await untilNotCrowded(purging, order, ahead.further, (crowded) =>
    runBatch(purging, { ...order, ahead: { ...ahead, crowded } }, async (outcome) => {
      if (outcome.found === 0) return
      const of = { pass: 'return', leaf: leaf.name, after, upto: outcome.position } as const
      await record(purging, of, { ...outcome, found: 0 }, milliseconds())
    }),
  )
  if (found > 0) tally.number += 1
  tally.last = { rows: found, milliseconds: milliseconds(), commitMs }
  tally.aheadMs = before + clock()
  return found
}
