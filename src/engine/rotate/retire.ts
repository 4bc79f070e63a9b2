import type { Partition } from '../../catalog/partitions/partitioned-table.ts'
import { readClock } from '../../db/clock.ts'
import { recordRemoval } from '../../journal/archives.ts'
import {
  beginRetirement,
  endRetirement,
  forgetNewest,
  isWritten,
  recordDetached,
  rememberNewest,
} from '../../journal/rotations.ts'
import type { BegunRetirement, Newest } from '../../plan/rotate/begun.ts'
import type { Archiving } from '../../plan/rotate/archiving.ts'
import { removalOfTable, type StoredRemoval } from '../../plan/archive/removal.ts'
import type { Leftover, Retirement, Watching } from '../../plan/rotate/plan.ts'
import type { Retire } from '../../plan/rotate/request.ts'
import { attachStep, proveBoundsStep } from '../../plan/rotate/reattach.ts'
import type { ShortLockStep, WholeStep } from '../../plan/language/step.ts'
import type { LockTimes } from '../../events.ts'
import { RowsWrittenError } from '../archive/stored-rows.ts'
import { assertNothingPrepared } from '../locks/prepared.ts'
import { storeRemovals } from '../archive/removals.ts'
import { changed, readState } from '../steps/detach.ts'
import type { Hooks } from '../steps/perform.ts'
import { watched } from '../watch.ts'
import { archivePartition, isAsArchived, type ArchivedPartition } from './archive-partition.ts'
import { isDetached, isNotHeld, perform, write, type Leaving, type RetireContext } from './partition-step.ts'
import { readAge } from './read-situation.ts'
import { ChangedSinceError } from './seal.ts'

// Retires one partition. Invariants:
//
//   - An intention is in the journal before the detach, and is deleted when the partition has been retired: the next
//     run finds whatever was interrupted.
//   - The partition is identified by oid, name and bounds together, checked again right before, and under the lock if
//     there is one.
//   - By id, bounds do not tell the age, so the rows are checked again when they can no longer be changed through the
//     parent, before the drop.

/** The outcome of a retirement. */
export interface Retired {
  readonly outcome: 'dropped' | 'detached' | 'truncated' | 'moved' | 'rewritten' | 'reattached'
  readonly lock: LockTimes | null
  /** The URI of the receipt by which its rows were removed; null without. */
  readonly receipt: string | null
}

/** Retires one partition. */
export async function retire(retiring: RetireContext, retirement: Retirement): Promise<Retired> {
  const { partition, method, archiving, steps, grace } = retirement
  await stillAsPlanned(retiring, partition)
  if (method === 'truncate' && archiving === null) return truncate(retiring, retirement)

  const [first] = steps
  const last = steps.at(-1)
  if (first === undefined || first.kind === 'archive' || first.kind === 'move' || first.kind === 'rewrite')
    throw new Error('a retirement begins with the detach')
  const { context, set } = retiring
  await beginRetirement(context.session, context.journalSchema, {
    oid: partition.oid,
    table: set.name,
    partition: partition.name,
    method,
    bounds: partition.boundsText,
    bytes: partition.bytes,
    estimatedRows: partition.estimatedRows,
    grace,
  })
  const lock = await detach(retiring, retirement, first).catch(async (error: unknown) => {
    await forgetIntention(retiring, partition).catch(() => {}) // the first error tells more
    throw error
  })
  if (method === 'detach' || last?.kind !== 'short lock') return { outcome: 'detached', lock, receipt: null }
  if (grace !== null) return worse(lock, await watch(retiring, partition, last))
  return worse(lock, await removeUnlessYoung(retiring, partition, { archiving, method, step: last, unwritten: false }))
}

/** The partition is still attached. */
async function forgetIntention({ context, set }: RetireContext, partition: Partition): Promise<void> {
  const { state } = await readState(context.session, set.name, partition)
  if (state === 'attached') await endRetirement(context.session, context.journalSchema, partition.oid)
}

function detach(
  retiring: RetireContext,
  { partition, method }: Retirement,
  step: WholeStep,
): Promise<LockTimes | null> {
  const { session, journalSchema } = retiring.context
  return perform(retiring, step, {
    check: async () => {
      await stillAsPlanned(retiring, partition)
      await isNotHeld(retiring, partition)
    },
    alongside: () => [
      write(retiring, partition, 'detached'),
      // Nothing else was intended, so the intention is fulfilled.
      ...(method === 'detach' ? [endRetirement(session, journalSchema, partition.oid)] : []),
    ],
  })
}

/** Its grace period begins: from now on it is noticed if it is written to. */
async function watch(retiring: RetireContext, partition: Leaving, step: ShortLockStep): Promise<Retired> {
  const { session, journalSchema } = retiring.context
  const lock = await perform(retiring, step, {
    check: () => isDetached(retiring, partition),
    alongside: () => [recordDetached(session, journalSchema, partition.oid)],
  })
  return { outcome: 'detached', lock, receipt: null }
}

/** Killed between the detach and this, it was watched by nobody. */
export async function watchLeftover(retiring: RetireContext, { begun, step }: Watching): Promise<Retired> {
  return watch(retiring, leavingOf(begun), step)
}

/** Removes the rows of a partition detached by an earlier rotation. */
export async function finishLeftover(retiring: RetireContext, leftover: Leftover): Promise<Retired> {
  const { begun, archiving, step, unwritten } = leftover
  return removeUnlessYoung(retiring, leavingOf(begun), { archiving, method: begun.method, step, unwritten })
}

function leavingOf({ oid, partition: name, bounds: boundsText, bytes, estimatedRows }: BegunRetirement): Leaving {
  return { oid, name, boundsText, bytes, estimatedRows, range: null }
}

/** What is left of retiring a partition once it is detached. */
interface Ending {
  readonly archiving: Archiving | null
  readonly method: Retire
  /** Drops it, or truncates it and attaches it again. */
  readonly step: ShortLockStep
  /** Only if it was not written to since it was detached. */
  readonly unwritten: boolean
}

/** How often one partition is archived in a rotation while others write to it. */
const MOST_ARCHIVES = 3

async function removeUnlessYoung(retiring: RetireContext, partition: Leaving, ending: Ending): Promise<Retired> {
  for (let left = MOST_ARCHIVES; ; left--) {
    const young = await youngest(retiring, partition)
    if (young !== null)
      return {
        outcome: 'reattached',
        lock: await attachAgain(retiring, partition, young, ending.step),
        receipt: null,
      }
    try {
      return await archiveAndRemove(retiring, partition, ending)
    } catch (error) {
      const wasWritten = error instanceof ChangedSinceError || error instanceof RowsWrittenError
      if (!wasWritten || left === 1) throw error
      retiring.context.observer({ type: 'note', text: `${error.message}: it is archived again` })
    }
  }
}

async function archiveAndRemove(retiring: RetireContext, partition: Leaving, ending: Ending): Promise<Retired> {
  const { archiving } = ending
  if (archiving === null) return remove(retiring, partition, ending, null)
  const { store } = retiring
  if (store === null) throw new Error('what is archived has a store')
  const archived = await archivePartition(retiring, store, partition, archiving)
  const removed = await remove(retiring, partition, ending, archived)
  await storeRemovals(retiring.context, archiving.archive.work.command)
  return worse(archived.lock, removed)
}

/** Removes its rows; where they are archived, only if it is as it was then. */
async function remove(
  retiring: RetireContext,
  partition: Leaving,
  { method, step, unwritten }: Ending,
  archived: ArchivedPartition | null,
): Promise<Retired> {
  const { context, set } = retiring
  const { session, journalSchema } = context
  const outcome = method === 'truncate' ? 'truncated' : 'dropped'
  const removal = archived === null ? null : await describeRemoval(retiring, partition, outcome, archived)
  const lock = await perform(retiring, step, {
    check: async () => {
      await isDetached(retiring, partition)
      await isNotHeld(retiring, partition)
      if (archived !== null && set.citus !== undefined) await assertNothingPrepared(context, partition.name)
      if (archived !== null && !(await isAsArchived(retiring, partition, archived.seal)))
        throw new ChangedSinceError(partition.name)
      if (unwritten && (await isWritten(session, journalSchema, partition.oid)))
        throw changed(partition.name, 'it was written to')
    },
    alongside: () => [
      write(retiring, partition, outcome),
      endRetirement(session, journalSchema, partition.oid),
      forgetNewest(session, journalSchema, partition.oid),
      ...(archived === null || removal === null ? [] : [recordRemoval(session, journalSchema, archived.id, removal)]),
    ],
  })
  return { outcome, lock, receipt: archived?.uri ?? null }
}

async function describeRemoval(
  { context: { session }, plan }: RetireContext,
  { name }: Leaving,
  how: 'dropped' | 'truncated',
  archived: ArchivedPartition,
): Promise<StoredRemoval> {
  const now = new Date(Number((await readClock(session)) / 1000n)).toISOString()
  return removalOfTable(name, how, archived, { command: 'rotate', id: null, startedAt: plan.at, endedAt: now })
}

/** Instead of `drop`: a row was written that has to be kept. */
async function attachAgain(
  retiring: RetireContext,
  partition: Leaving,
  newest: Newest,
  drop: ShortLockStep,
): Promise<LockTimes | null> {
  const { context, set } = retiring
  const { session, journalSchema } = context
  await perform(retiring, proveBoundsStep(set, partition), { alongside: () => [] }, drop)
  const hooks: Hooks = {
    check: () => isDetached(retiring, partition),
    alongside: () => [
      write(retiring, partition, 'reattached'),
      endRetirement(session, journalSchema, partition.oid),
      rememberNewest(session, journalSchema, set.name, partition, newest),
    ],
  }
  return perform(retiring, attachStep(set, partition), hooks, drop)
}

/** By id: the newest time in a partition, if that has not expired after all. */
export async function youngest(retiring: RetireContext, partition: Leaving): Promise<Newest | null> {
  const { context, set, plan } = retiring
  if (plan.policy === null || plan.policy.kind !== 'id' || plan.horizon === null) return null
  const { policy, horizon } = plan
  const newest = await watched(context, context.observer, () => readAge(context.session, set, policy, partition))
  if (newest === 'empty' || (newest !== 'never' && newest < horizon.position)) return null
  return newest
}

async function truncate(retiring: RetireContext, { partition, steps }: Retirement): Promise<Retired> {
  const [step] = steps
  if (step?.kind !== 'short lock') throw new Error('truncating is one step under a short lock')
  const { session, journalSchema } = retiring.context
  const lock = await perform(retiring, step, {
    check: async () => {
      await stillAsPlanned(retiring, partition)
      await isNotHeld(retiring, partition)
      const newest = await youngest(retiring, partition)
      if (newest !== null) throw changed(partition.name, 'a row in it is to be kept after all')
    },
    alongside: () => [write(retiring, partition, 'truncated'), forgetNewest(session, journalSchema, partition.oid)],
  })
  return { outcome: 'truncated', lock, receipt: null }
}

/** Right before, and under the lock if there is one: the same relation, with the same parent and bounds. */
export async function stillAsPlanned({ context, set }: RetireContext, partition: Partition): Promise<void> {
  const { state, boundsText } = await readState(context.session, set.name, partition)
  if (state !== 'attached') throw changed(partition.name, `it is ${state} by now`)
  if (boundsText !== partition.boundsText) throw changed(partition.name, `its bounds are ${boundsText} by now`)
}

/** The maximum of two, for one line of a report; attempts are summed. */
export function worse(a: LockTimes | null, { lock: b, ...retired }: Retired): Retired {
  if (a === null || b === null) return { ...retired, lock: a ?? b }
  return {
    ...retired,
    lock: {
      attempts: a.attempts + b.attempts,
      heldMs: Math.max(a.heldMs, b.heldMs),
      longestWaitCausedMs: Math.max(a.longestWaitCausedMs, b.longestWaitCausedMs),
    },
  }
}
