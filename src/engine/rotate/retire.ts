import type { Partition } from '../../catalog/partitions/partitioned-table.ts'
import { inTransaction } from '../../db/session.ts'
import { beginRetirement, endRetirement, forgetNewest } from '../../journal/rotations.ts'
import type { Newest } from '../../plan/rotate/begun.ts'
import type { Finalization, Leftover, Retirement } from '../../plan/rotate/plan.ts'
import type { BriefStep } from '../../plan/language/step.ts'
import type { LockTimes } from '../../events.ts'
import { brief, changed, isDetached, write, type Leaving, type RetireContext } from './partition-step.ts'
import { detachConcurrently, oldSnapshotsGone, readState } from './detach.ts'
import { readAge } from './read-situation.ts'
import { attachAgain } from './reattach.ts'
import { watched } from '../watch.ts'

// Taking one partition out of its set. What always holds:
//
//   - An intention is in the journal before the detach, and goes when the
//     partition has gone: whatever is interrupted is found by the next run.
//   - Who is removed is decided by oid, name and bounds together, asked again
//     right before, and under the lock where there is one.
//   - With ids, where bounds say nothing about age, the rows are looked at again
//     when nobody can change them through the parent any more, and before the drop.

/** What a retirement has come to. */
export interface Retired {
  readonly outcome: 'dropped' | 'detached' | 'truncated' | 'reattached'
  readonly lock: LockTimes | null
}

/** Retires one partition. */
export async function retire(context: RetireContext, retirement: Retirement): Promise<Retired> {
  const { partition, method, steps } = retirement
  await stillAsPlanned(context, partition)
  if (method === 'truncate') return truncate(context, retirement)

  const [first, drop] = steps
  if (first === undefined) throw new Error('a retirement has steps')
  const { place, set } = context
  await beginRetirement(place.session, place.journalSchema, {
    oid: partition.oid,
    table: set.name,
    partition: partition.name,
    method,
    bounds: partition.boundsText,
    bytes: partition.bytes,
    estimatedRows: partition.estimatedRows,
  })
  const lock = await detach(context, retirement, first).catch(async (error: unknown) => {
    await forgetIntention(context, partition).catch(() => {}) // the first error tells more
    throw error
  })
  if (drop?.kind !== 'brief') return { outcome: 'detached', lock }
  return worse(lock, await dropUnlessYoung(context, partition, drop))
}

/** Nothing is on its way out that is still attached. */
async function forgetIntention({ place, set }: RetireContext, partition: Partition): Promise<void> {
  const { state } = await readState(place.session, set.name, partition)
  if (state === 'attached') await endRetirement(place.session, place.journalSchema, partition.oid)
}

async function detach(
  context: RetireContext,
  { partition, method }: Retirement,
  step: Retirement['steps'][number],
): Promise<LockTimes | null> {
  const { place, patience } = context
  const record = async () => {
    await write(context, partition, 'detached')
    // Nothing else is intended, so the intention is fulfilled.
    if (method === 'detach') await endRetirement(place.session, place.journalSchema, partition.oid)
  }
  if (step.kind === 'brief') return brief(context, step, record, () => stillAsPlanned(context, partition))

  const state = await detachConcurrently(step, partition.oid, place, patience)
  if (state === 'half detached') return finish(context, { partition, step: step.finalize }, record)
  if (state === 'gone') throw changed(partition.name, 'it is gone')
  await inTransaction(place.session, {}, record)
  return null
}

/** Finishes a detach that was interrupted, by us or by anybody. */
export async function finish(
  context: Pick<RetireContext, 'place' | 'patience'>,
  { step }: Finalization,
  record: () => Promise<void>,
): Promise<LockTimes> {
  await oldSnapshotsGone(context.place, context.patience.deadlineMs)
  return brief(context, step, record)
}

/** Drops what an earlier rotation has detached. */
export async function dropLeftover(context: RetireContext, { begun, step }: Leftover): Promise<Retired> {
  const partition = {
    oid: begun.oid,
    name: begun.partition,
    boundsText: begun.bounds,
    bytes: begun.bytes,
    estimatedRows: begun.estimatedRows,
    range: null,
  }
  return dropUnlessYoung(context, partition, step)
}

async function dropUnlessYoung(context: RetireContext, partition: Leaving, step: BriefStep): Promise<Retired> {
  const young = await youngest(context, partition)
  if (young !== null) return { outcome: 'reattached', lock: await attachAgain(context, partition, young) }
  const { place } = context
  const lock = await brief(
    context,
    step,
    async () => {
      await write(context, partition, 'dropped')
      await endRetirement(place.session, place.journalSchema, partition.oid)
      await forgetNewest(place.session, place.journalSchema, partition.oid)
    },
    () => isDetached(context, partition),
  )
  return { outcome: 'dropped', lock }
}

/** Of a set by id, the newest time in a partition if that has not expired after all. */
async function youngest(context: RetireContext, partition: Leaving): Promise<Newest | null> {
  const { place, set, plan } = context
  if (plan.policy === null || plan.policy.kind !== 'id' || plan.horizon === null) return null
  const { policy, horizon } = plan
  const newest = await watched(place.control, place.pid, place.observer, () =>
    readAge(place.session, set, policy, partition),
  )
  if (newest === 'empty' || (newest !== 'never' && newest < horizon.position)) return null
  return newest
}

async function truncate(context: RetireContext, { partition, steps }: Retirement): Promise<Retired> {
  const [step] = steps
  if (step?.kind !== 'brief') throw new Error('truncating is one brief step')
  const { place } = context
  const lock = await brief(
    context,
    step,
    async () => {
      await write(context, partition, 'truncated')
      await forgetNewest(place.session, place.journalSchema, partition.oid)
    },
    async () => {
      await stillAsPlanned(context, partition)
      const newest = await youngest(context, partition)
      if (newest !== null) throw changed(partition.name, 'a row in it is to be kept after all')
    },
  )
  return { outcome: 'truncated', lock }
}

/** Right before, and under the lock where there is one: the same relation, in the same place, with the same bounds. */
async function stillAsPlanned({ place, set }: RetireContext, partition: Partition): Promise<void> {
  const { state, boundsText } = await readState(place.session, set.name, partition)
  if (state !== 'attached') throw changed(partition.name, `it is ${state} by now`)
  if (boundsText !== partition.boundsText) throw changed(partition.name, `its bounds are ${boundsText} by now`)
}

/** The longer of two, for the one line of a report; attempts are summed. */
function worse(a: LockTimes | null, { outcome, lock: b }: Retired): Retired {
  if (a === null || b === null) return { outcome, lock: a ?? b }
  return {
    outcome,
    lock: {
      attempts: a.attempts + b.attempts,
      heldMs: Math.max(a.heldMs, b.heldMs),
      longestWaitCausedMs: Math.max(a.longestWaitCausedMs, b.longestWaitCausedMs),
    },
  }
}
