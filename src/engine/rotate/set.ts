import { connectionLost } from '../../db/session.ts'
import { isConnectionLost } from '../../db/sqlstate.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { EbbError, EXIT } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import { recordLeaf } from '../copy/captured.ts'
import { endRetirement, recordRotation, rememberedNewest, rememberNewest } from '../../journal/rotations.ts'
import { registerSet } from '../../journal/sets.ts'
import type { BegunRetirement } from '../../plan/rotate/begun.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import type { Creation } from '../../plan/rotate/runway.ts'
import { planRotation } from '../../plan/rotate/rotate.ts'
import type { RotationPlan, RotationSituation, Skipped } from '../../plan/rotate/plan.ts'
import type { LockTimes } from '../../events.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { PaceSummary } from '../../pacing/summary.ts'
import type { Pace } from '../../pacing/throttle.ts'
import { PATIENCE, type Patience } from '../locks/short-locks.ts'
import { withPace } from '../pace.ts'
import { closedUnknown, readAge, readSituation } from './read-situation.ts'
import { brief, write, type RetireContext } from './partition-step.ts'
import { dropLeftover, finish, retire, type Retired } from './retire.ts'
import { watched } from '../watch.ts'
import type { Workplace } from '../table-context.ts'

/** What a rotation has done with one set. */
export interface SetReport {
  readonly table: TableName
  /** As it stood when partitions were retired; null where no plan could be made. */
  readonly plan: RotationPlan | null
  readonly finalized: readonly TableName[]
  readonly created: readonly { readonly partition: TableName; readonly from: string; readonly to: string }[]
  readonly retired: readonly RetiredPartition[]
  /** Old partitions that stay, and why. */
  readonly skipped: readonly Skipped[]
  /** What was tried and did not succeed; the rest was done all the same. */
  readonly failed: readonly Failure[]
  readonly milliseconds: number
  /** Of the lock held longest, and the longest wait that any caused. */
  readonly longestLockMs: number
  readonly longestWaitCausedMs: number
  /** Null where nothing was to be retired. */
  readonly pace: PaceSummary | null
}

export interface RetiredPartition {
  readonly partition: TableName
  readonly outcome: Retired['outcome']
  readonly from: string
  readonly to: string
  readonly rows: number | null
  readonly bytes: number
}

export interface Failure {
  /** `add partition public.events_2027_01`. */
  readonly what: string
  readonly error: Error
}

type Draft = { -readonly [Field in 'finalized' | 'created' | 'retired' | 'failed']: SetReport[Field][number][] } & {
  plan: RotationPlan | null
  longestLockMs: number
  longestWaitCausedMs: number
  pace: PaceSummary | null
}

/** How long an interrupted detach may keep the runway waiting. */
const FINALIZE_MS = 30_000

/** Where a default partition has to be read under lock before a new one can come, the application waits. */
const BESIDE_DEFAULT_MS = 200

/**
 * Rotates one set: finishes what was interrupted, makes the runway, then
 * retires what has expired, oldest first. A partition that cannot be made or
 * retired does not keep the others from it; a lost connection or lease, and a
 * stop that was asked for, end it. Throws nothing: all is in the report.
 */
export async function rotateSet(
  place: Workplace,
  table: TableName,
  request: RotateRequest,
  patience: Patience = PATIENCE,
): Promise<SetReport> {
  const began = performance.now()
  const done: Draft = {
    plan: null,
    finalized: [],
    created: [],
    retired: [],
    failed: [],
    longestLockMs: 0,
    longestWaitCausedMs: 0,
    pace: null,
  }
  try {
    await carryOut(place, table, request, patience, done)
  } catch (error) {
    done.failed.push({
      what: `rotate ${display(table)}`,
      error: place.signal.aborted ? stopped(table, error) : asError(error),
    })
  }
  return { table, ...done, skipped: done.plan?.skipped ?? [], milliseconds: performance.now() - began }
}

async function carryOut(
  place: Workplace,
  table: TableName,
  request: RotateRequest,
  patience: Patience,
  done: Draft,
): Promise<void> {
  const first = await look(place, table, request)
  const { policy, registered } = first.plan
  done.plan = first.plan
  if (policy === null) return
  await settleBegun(place, first.situation.begun)
  if (!registered) await registerSet(place.session, place.journalSchema, table, policy, null)
  await finalizeAll(place, first, patience, done)
  await createAll(place, first, patience, done)
  // What only rows can tell is found out now, when the runway is safe; and the situation has changed.
  if (policy.kind === 'id') await findAges(place, table, request, done)
  const { situation, plan } = await look(place, table, request)
  done.plan = { ...plan, registered }
  await retireAll({ place, set: situation.set, plan, patience }, done)
}

interface Looked {
  readonly situation: RotationSituation
  readonly plan: RotationPlan
}

async function look(place: Workplace, table: TableName, request: RotateRequest): Promise<Looked> {
  const situation = await readSituation(place.session, place.server, table, place.journalSchema, 'thorough')
  if (situation === undefined)
    throw new EbbError(`${display(table)} is no partitioned table any more`, {
      state: 'Nothing more has been changed.',
      next: 'Look at what somebody else does with it.',
    })
  return { situation, plan: planRotation(situation, request) }
}

/** Intentions that need nothing any more: their partition is gone, was to be detached and is, or was never detached. */
async function settleBegun(place: Workplace, begun: readonly BegunRetirement[]): Promise<void> {
  for (const entry of begun) {
    const { state, method, oid } = entry
    if (state === 'half detached' || (state === 'detached' && method === 'drop')) continue
    if (state === 'detached')
      await recordRotation(place.session, place.journalSchema, { ...entry, action: 'detached', from: null, to: null })
    await endRetirement(place.session, place.journalSchema, oid)
  }
}

async function finalizeAll(
  place: Workplace,
  { situation, plan }: Looked,
  patience: Patience,
  done: Draft,
): Promise<void> {
  const hurried = { ...patience, deadlineMs: Math.min(patience.deadlineMs, FINALIZE_MS) }
  for (const finalization of plan.finalize) {
    const { partition, step } = finalization
    const begun = situation.begun.find(({ oid }) => oid === partition.oid)
    await trying(place, done, step.title, async () => {
      const lock = await finish({ place, patience: hurried }, finalization, async () => {
        await write({ place, set: situation.set }, partition, 'finalized')
        if (begun?.method === 'detach') await endRetirement(place.session, place.journalSchema, partition.oid)
      })
      note(done, lock)
      done.finalized.push(partition.name)
    })
  }
}

async function createAll(
  place: Workplace,
  { situation, plan }: Looked,
  patience: Patience,
  done: Draft,
): Promise<void> {
  const beside = situation.set.partitions.some(({ isDefault, empty }) => isDefault && !empty)
  const careful = beside
    ? { ...patience, workTimeoutMs: Math.min(patience.workTimeoutMs, BESIDE_DEFAULT_MS) }
    : patience
  for (const [position, creation] of plan.create.entries()) {
    const { step } = creation
    const going = await trying(place, done, step.title, async () => {
      place.observer({ type: 'step started', step, position, of: plan.create.length })
      const startedMs = performance.now()
      const lock = await brief({ place, patience: careful }, step, () => writeCreated(place, situation.set, creation))
      place.observer({ type: 'step finished', step, milliseconds: performance.now() - startedMs, lock })
      note(done, lock)
      done.created.push({ partition: creation.partition, ...creation.shown })
    })
    if (!going) return
  }
}

async function writeCreated(place: Workplace, set: PartitionedTable, { partition, text }: Creation): Promise<void> {
  await recordLeaf(place.session, place.journalSchema, set.oid, partition)
  await recordRotation(place.session, place.journalSchema, {
    table: set.name,
    partition,
    action: 'created',
    ...text,
    bytes: null,
    estimatedRows: null,
  })
}

/** Looks for the newest row of closed partitions by id, and remembers it, so that each is looked through once. */
async function findAges(place: Workplace, table: TableName, request: RotateRequest, done: Draft): Promise<void> {
  const { situation, plan } = await look(place, table, request)
  const { set, newest, newestIn } = situation
  const { policy } = plan
  if (policy === null || plan.horizon === null || newest === null || newest === 'unknown') return
  const remembered = await rememberedNewest(place.session, place.journalSchema, table)
  for (const partition of closedUnknown(set, policy, newest.key, remembered)) {
    const found = await trying(place, done, `look for the newest row of ${display(partition.name)}`, async () => {
      const known = newestIn.get(partition.oid)
      const age =
        known ??
        (await watched(place.control, place.pid, place.observer, () => readAge(place.session, set, policy, partition)))
      await rememberNewest(place.session, place.journalSchema, table, partition, age)
    })
    if (!found) return
  }
}

async function retireAll(context: RetireContext, done: Draft): Promise<void> {
  const { place, plan } = context
  // PostgreSQL detaches nothing else from a table before; that it is not finished has been reported.
  if (plan.finalize.length > 0 || plan.leftovers.length + plan.retire.length === 0) return
  await withPace(place, [plan.table], async (pace) => {
    try {
      await dropLeftovers(context, pace, done)
      await retireExpired(context, pace, done)
    } finally {
      done.pace = pace.summary()
    }
  })
}

async function dropLeftovers(context: RetireContext, pace: Pace, done: Draft): Promise<void> {
  for (const leftover of context.plan.leftovers) {
    await pace.turn(null)
    await trying(context.place, done, leftover.step.title, async () => {
      const { begun } = leftover
      const retired = await dropLeftover(context, leftover)
      note(done, retired.lock)
      done.retired.push({
        partition: begun.partition,
        outcome: retired.outcome,
        from: begun.bounds,
        to: '',
        rows: begun.estimatedRows,
        bytes: begun.bytes,
      })
    })
  }
}

async function retireExpired(context: RetireContext, pace: Pace, done: Draft): Promise<void> {
  const { place, plan } = context
  for (const [position, retirement] of plan.retire.entries()) {
    const { partition, method, shown, rows, bytes } = retirement
    await pace.turn(null)
    const going = await trying(place, done, `${method} ${display(partition.name)}`, async () => {
      place.observer({
        type: 'note',
        text: `${method} ${display(partition.name)} (${position + 1} of ${plan.retire.length})`,
      })
      const retired = await retire(context, retirement)
      note(done, retired.lock)
      done.retired.push({ partition: partition.name, outcome: retired.outcome, ...shown, rows, bytes })
    })
    if (!going) return
  }
}

/**
 * Does one thing. Its failure is written down, and the next is done, unless
 * there is no sense in going on. False where the next would have to wait for
 * the same in vain.
 */
async function trying(place: Workplace, done: Draft, what: string, work: () => Promise<void>): Promise<boolean> {
  place.signal.throwIfAborted()
  try {
    await work()
    return true
  } catch (error) {
    if (place.signal.aborted || isConnectionLost(error)) throw error
    await assertLease(place.session, place.journalSchema, place.lease)
    done.failed.push({ what, error: asError(error) })
    return !(error instanceof EbbError && error.exitCode === EXIT.tryLater)
  }
}

function note(done: Draft, lock: LockTimes | null): void {
  if (lock === null) return
  done.longestLockMs = Math.max(done.longestLockMs, lock.heldMs)
  done.longestWaitCausedMs = Math.max(done.longestWaitCausedMs, lock.longestWaitCausedMs)
}

export function stopped(table: TableName, cause: unknown): EbbError {
  return new EbbError(
    `stopped while rotating ${display(table)}`,
    {
      state: 'What was done before is kept; what was under way has been undone, or is finished by the next rotation.',
      next: 'Run the same command again: it goes on from here.',
    },
    EXIT.stopped,
    cause,
  )
}

export function asError(error: unknown): Error {
  const known = isConnectionLost(error) ? connectionLost(error) : error
  return known instanceof Error ? known : new Error(String(known))
}
