import type { Address } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { endRetirement, recordRotation, rememberedNewest, rememberNewest } from '../../journal/rotations.ts'
import { recordRotated, registerSet } from '../../journal/sets.ts'
import type { BegunRetirement } from '../../plan/rotate/begun.ts'
import { leftoverSteps } from '../../plan/rotate/leftovers.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import { planRotation } from '../../plan/rotate/rotate.ts'
import { unguardStep } from '../../plan/rotate/moving.ts'
import type { RotationPlan } from '../../plan/rotate/plan.ts'
import { onlySaved } from '../../plan/rotate/saved.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { literal } from '../../sql/sql.ts'
import { LOCK_LIMITS, type LockLimits } from '../locks/short-locks.ts'
import type { EngineOptions } from '../options.ts'
import { notAsSaved } from '../saved-plan.ts'
import { asError } from '../many-tables.ts'
import { closedUnknown, readAge, readSituation } from './read-situation.ts'
import { perform, write, type Looked } from './partition-step.ts'
import { savedDifferences } from './saved-rotation.ts'
import { oldSnapshotsGone } from '../steps/detach.ts'
import type { SavedPlan } from '../../plan/language/saved.ts'
import { watched } from '../watch.ts'
import type { TableContext } from '../table-context.ts'
import { note, stopped, trying, type Draft, type SetReport } from './report.ts'
import { createAll, readmit } from './create.ts'
import { retireAll } from './retire-all.ts'
import { markOf } from './table-there.ts'
import { settleRewritten } from './rewrite.ts'

/** How long an interrupted detach may delay new partitions. */
const FINALIZE_MS = 30_000

/**
 * Rotates one set: finishes interrupted work, creates partitions ahead, then retires expired ones, oldest first.
 * Failures on a partition are isolated; a lost connection or lease, and a requested stop, end it. Never throws:
 * everything is in the report.
 */
export async function rotateSet(
  context: TableContext,
  table: TableName,
  request: RotateRequest,
  { lockLimits = LOCK_LIMITS, saved, toUrl }: Pick<EngineOptions, 'lockLimits' | 'saved' | 'toUrl'> = {},
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
    await carryOut(context, { table, request, saved, toUrl }, lockLimits, done)
  } catch (error) {
    done.failed.push({
      what: `rotate ${display(table)}`,
      error: context.signal.aborted ? stopped(table, error) : asError(error),
    })
  }
  return { table, ...done, skipped: done.plan?.skipped ?? [], milliseconds: performance.now() - began }
}

/** The set that is rotated, and how. */
interface Asked {
  readonly table: TableName
  readonly request: RotateRequest
  /** What is to be done has to be this, or what is left of it. */
  readonly saved: SavedPlan | undefined
  readonly toUrl: Address | undefined
}

async function carryOut(context: TableContext, asked: Asked, lockLimits: LockLimits, done: Draft): Promise<void> {
  const { table, request, toUrl } = asked
  const found = await lookFirst(context, asked)
  const { policy, registered } = found.plan
  done.plan = found.plan
  if (policy === null) return
  const first = (await readmit(context, found, lockLimits, done)) ? await look(context, asked) : found
  await settleBegun(context, first, lockLimits, done)
  if (!registered) await registerSet(context.session, context.journalSchema, table, policy, null)
  await finalizeAll(context, first, lockLimits, done)
  await createAll(context, first, lockLimits, done)
  // What only rows can tell is read now that the partitions ahead exist; and the situation has changed.
  if (policy.kind === 'id') await findAges(context, asked, done)
  const { situation, plan } = removesNothing(first) ? first : await look(context, asked)
  done.plan = { ...plan, registered }
  const steps = [
    ...plan.watch.map(({ step }) => step),
    ...plan.leftovers.flatMap(leftoverSteps),
    ...plan.leftThere.map(({ drop }) => drop),
    ...plan.retire.flatMap((one) => one.steps),
  ]
  const holdsAccepted = request.accept.includes('hold')
  const retiring = { context, set: situation.set, plan, lockLimits, steps, holdsAccepted }
  await retireAll(retiring, request, toUrl, done)
  if (done.failed.length === 0) await recordRotated(context.session, context.journalSchema, table)
}

/** By time, new partitions change nothing about which ones have expired. */
function removesNothing({ situation, plan }: Looked): boolean {
  const { finalize, leftovers, leftThere, retire, withheld, policy, objections } = plan
  const left = [finalize, leftovers, leftThere, retire, withheld, objections, situation.begun]
  return policy?.kind !== 'id' && left.every(({ length }) => length === 0)
}

/** @throws {EbbError} if a saved plan is to be carried out, and this is another one */
async function lookFirst(context: TableContext, asked: Asked): Promise<Looked> {
  const { table, request, saved } = asked
  if (saved === undefined) return look(context, asked)
  const { situation, plan } = await lookAtAll(context, asked)
  const { session, server, journalSchema } = context
  const different = await savedDifferences(session, server, { table, plan, request, saved }, journalSchema)
  if (different.length > 0) throw notAsSaved(different)
  return { situation, plan: onlySaved(plan, saved) }
}

/** What was saved is done, and nothing else. */
async function look(context: TableContext, asked: Asked): Promise<Looked> {
  const looked = await lookAtAll(context, asked)
  return asked.saved === undefined ? looked : { ...looked, plan: onlySaved(looked.plan, asked.saved) }
}

async function lookAtAll(context: TableContext, { table, request, saved }: Asked): Promise<Looked> {
  const situation = await readSituation(context.session, context.server, table, context.journalSchema, 'thorough', {
    instead: request.policy,
    moment: saved?.now,
    to: request.to,
    columnar: request.retire === 'columnar',
  })
  if (situation === undefined)
    throw new EbbError(`${display(table)} is no longer a partitioned table`, {
      state: 'Nothing else was changed.',
      next: 'Find out which other session works on it.',
    })
  return { situation, plan: planRotation(situation, request) }
}

/**
 * Intentions with nothing left to do: their partition was dropped, was to be detached and is, or was never detached.
 */
async function settleBegun(
  context: TableContext,
  { situation: { begun, set }, plan }: Looked,
  lockLimits: LockLimits,
  done: Draft,
): Promise<void> {
  for (const entry of begun) {
    const { state, method, oid } = entry
    if (method === 'columnar') {
      await trying(context, done, `tidy up after ${display(entry.called)} was rewritten`, () =>
        settleRewritten({ context, set, lockLimits }, entry),
      )
      continue
    }
    const isDetached = state === 'detached' || state === 'renamed'
    if (method === 'move' && state !== 'gone') {
      if (entry.watched && !isStillMoved(plan, oid)) await noLongerMoved(context, entry, lockLimits, done)
      continue
    }
    if (state === 'detach pending' || (isDetached && method !== 'detach')) continue
    if (isDetached)
      await recordRotation(context.session, context.journalSchema, {
        ...entry,
        action: 'detached',
        from: null,
        to: null,
      })
    if (method === 'move') tellCopy(context, entry)
    await endRetirement(context.session, context.journalSchema, oid)
  }
}

/** Nothing asks for it any more. Only a person can tell that nobody else does. */
function tellCopy({ observer }: TableContext, { partition, sent }: BegunRetirement): void {
  if (sent == null) return
  const marks = sent.tokens.map((token) => literal(markOf(token)).text).join(' or ')
  observer({
    type: 'note',
    text: `the move of ${display(partition)} is given up; a copy may be left on ${sent.server ?? 'the other server'}, where nothing reads it. To remove it, there, if its comment is ${marks}: drop table ${quoted(partition).text};`,
  })
}

/** Whether it is to be moved, now or when what withholds it is resolved. */
function isStillMoved({ horizon, retire, withheld }: RotationPlan, oid: string): boolean {
  if (horizon === null) return true
  return [...retire, ...withheld].some(({ partition, method }) => method === 'move' && partition.oid === oid)
}

/**
 * Of a move that was begun and will not be continued: what others write to the partition no longer leaves a mark. The tokens
 * are kept: a copy may be left there.
 */
async function noLongerMoved(
  context: TableContext,
  begun: BegunRetirement,
  lockLimits: LockLimits,
  done: Draft,
): Promise<void> {
  const step = unguardStep(begun.called)
  await trying(context, done, step.title, async () => {
    note(done, await perform({ context, lockLimits, steps: [step] }, step, { alongside: () => [] }))
    tellCopy(context, begun)
  })
}

async function finalizeAll(
  context: TableContext,
  { situation, plan }: Looked,
  lockLimits: LockLimits,
  done: Draft,
): Promise<void> {
  const steps = plan.finalize.map(({ step }) => step)
  const hurried = { ...lockLimits, deadlineMs: Math.min(lockLimits.deadlineMs, FINALIZE_MS) }
  for (const { partition, step } of plan.finalize) {
    const begun = situation.begun.find(({ oid }) => oid === partition.oid)
    await trying(context, done, step.title, async () => {
      await oldSnapshotsGone(context, hurried.deadlineMs)
      const lock = await perform({ context, lockLimits: hurried, steps }, step, {
        alongside: () => [
          write({ context, set: situation.set }, partition, 'finalized'),
          ...(begun?.method === 'detach' ? [endRetirement(context.session, context.journalSchema, partition.oid)] : []),
        ],
      })
      note(done, lock)
      done.finalized.push(partition.name)
    })
  }
}

/** Looks up the newest row of closed partitions by id, and records it, so that each is scanned once. */
async function findAges(context: TableContext, asked: Asked, done: Draft): Promise<void> {
  const { table } = asked
  const { situation, plan } = await look(context, asked)
  const { set, newest, newestIn } = situation
  const { policy } = plan
  if (policy === null || plan.horizon === null || newest === null || newest === 'unknown') return
  const remembered = await rememberedNewest(context.session, context.journalSchema, table)
  for (const partition of closedUnknown(set, policy, newest.key, remembered)) {
    const found = await trying(context, done, `look for the newest row of ${display(partition.name)}`, async () => {
      const known = newestIn.get(partition.oid)
      const age =
        known ?? (await watched(context, context.observer, () => readAge(context.session, set, policy, partition)))
      await rememberNewest(context.session, context.journalSchema, table, partition, age)
    })
    if (!found) return
  }
}
