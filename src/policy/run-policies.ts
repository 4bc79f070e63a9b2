import { withSession, type Target } from '../db/session.ts'
import { withSharedSessions } from '../db/shared-sessions.ts'
import { mark } from '../engine/commands/mark.ts'
import { purgeStale, type StaleResult } from '../engine/commands/purge-stale.ts'
import { purge, type PurgeResult } from '../engine/commands/purge.ts'
import { view, type ViewResult } from '../engine/commands/view.ts'
import { rotate, type RotationReport } from '../engine/commands/rotate.ts'
import { asError, type Failure } from '../engine/many-tables.ts'
import { LOCK_LIMITS } from '../engine/locks/short-locks.ts'
import type { EngineOptions } from '../engine/options.ts'
import { carryOut } from '../engine/run.ts'
import { EbbError, ObjectionsError } from '../errors.ts'
import { migrateJournal } from '../journal/migrate.ts'
import { forgetMissing } from '../journal/sets.ts'
import type { Objection } from '../plan/language/step.ts'
import { renamed as renamedTable } from '../plan/rotate/objections.ts'
import { resolvePurge } from '../requests/purge.ts'
import { display, type TableName } from '../sql/names.ts'
import { planPolicy, putInForce } from './apply-policy.ts'
import type { JudgedPolicy } from './judge-policy.ts'
import {
  optionsOf,
  planView,
  withAccept,
  type FoundPolicies,
  type FoundPolicy,
  type RenamedPolicy,
} from './plan-policies.ts'
import { taskOf, type Task, type TaskOf } from './policy.ts'
import { rotationOf, tasksNow } from './tasks.ts'

/** What was done for one table. */
export interface PolicyReport {
  readonly name: string
  readonly table: TableName
  readonly rotation: RotationReport | null
  /** The view that was created or replaced; null where it was as the policy says. */
  readonly view: ViewResult | null
  readonly purged: readonly PurgeResult[]
  /** Why something was not begun. */
  readonly objections: readonly Objection[]
  readonly failed: readonly Failure[]
  /** Why rows were not removed now. */
  readonly notNow: string | null
  readonly milliseconds: number
}

/** What was done, table by table. */
export interface RunReport {
  readonly policies: readonly PolicyReport[]
  /** When the time is up, partitions are created ahead all the same for those that were not begun. */
  readonly ahead: readonly PolicyReport[]
  /** Those whose tables have been dropped. */
  readonly gone: readonly string[]
  /** Those that were not begun. */
  readonly left: readonly string[]
  /** Why it ended before the end. */
  readonly ended: 'stopped' | 'time is up' | null
}

/** Node.js takes a longer time for no time at all. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The end of the time that all of it may take, from now on; never, if that is not limited. */
export function timeLimit(mostMs: number | null): AbortSignal {
  return mostMs === null ? new AbortController().signal : AbortSignal.timeout(Math.min(mostMs, LONGEST_TIMER_MS))
}

/**
 * Carries out what is due for each policy, one table after the other. A failure of one does not stop the others, and
 * what was interrupted is continued by the next run.
 *
 * @param timeIsUp ends the work; partitions are created ahead all the same
 */
export async function runPolicies(
  target: Target,
  found: FoundPolicies,
  timeIsUp: AbortSignal,
  options: EngineOptions,
  afterTime = AFTER_TIME,
): Promise<RunReport> {
  return withSharedSessions(target, (shared) => runAll(shared, found, timeIsUp, options, afterTime))
}

async function runAll(
  target: Target,
  { found, gone, renamed }: FoundPolicies,
  timeIsUp: AbortSignal,
  options: EngineOptions,
  afterTime: AfterTime,
): Promise<RunReport> {
  const signal = AbortSignal.any([options.signal, timeIsUp])
  const refused = renamed.map(refuseRenamed)
  const policies: PolicyReport[] = []
  await forgetGone(target, gone, options)
  for (const one of found) {
    if (signal.aborted) break
    policies.push(await runPolicy(target, one, { ...options, signal }))
  }
  const left = found.slice(policies.length)
  const ahead = timeIsUp.aborted ? await createAhead(target, left, options, afterTime) : []
  return {
    policies: [...refused, ...policies],
    ahead,
    gone: gone.map(({ policy }) => policy.name),
    left: left.map(({ policy }) => policy.name),
    ended: options.signal.aborted ? 'stopped' : timeIsUp.aborted ? 'time is up' : null,
  }
}

function refuseRenamed({ policy, table, renamedTo }: RenamedPolicy): PolicyReport {
  const objections = [renamedTable(table, renamedTo)]
  return { ...nothingDone(), name: policy.name, table, objections, milliseconds: 0 }
}

/** How long locks are tried for when the time is up, in milliseconds. */
interface AfterTime {
  readonly ofEachMs: number
  /** What was in vain, of all tables together; then each is tried once. */
  readonly inAllMs: number
}

const AFTER_TIME: AfterTime = { ofEachMs: 5_000, inAllMs: 60_000 }

/**
 * For policies whose turn did not come: behind a table that takes all the time, night after night, rows would have no
 * partition one day.
 */
async function createAhead(
  target: Target,
  left: readonly FoundPolicy[],
  options: EngineOptions,
  { ofEachMs, inAllMs }: AfterTime,
): Promise<PolicyReport[]> {
  const reports: PolicyReport[] = []
  let leftMs = inAllMs
  const sets = left.filter(({ policy }) => taskOf(policy, 'rotate') !== undefined)
  for (const one of sets) {
    if (options.signal.aborted) break
    const report = await runPolicy(target, one, options, { why: 'the time is up', mostMs: Math.min(ofEachMs, leftMs) })
    reports.push(report)
    if (wasInVain(report)) leftMs = Math.max(0, leftMs - report.milliseconds)
  }
  return reports
}

function wasInVain({ failed, rotation }: PolicyReport): boolean {
  return failed.length > 0 || (rotation?.sets ?? []).some((set) => set.failed.length > 0)
}

/** They are rotated no more. What their policies said stays recorded: a table that is restored has it again. */
async function forgetGone(
  target: Target,
  gone: readonly FoundPolicy[],
  { journalSchema }: EngineOptions,
): Promise<void> {
  if (gone.length === 0) return
  await withSession(target, 'run', async (session) => {
    await migrateJournal(session, journalSchema)
    for (const { table } of gone) await forgetMissing(session, journalSchema, table)
  })
}

type Draft = { -readonly [Field in 'rotation' | 'view' | 'notNow']: PolicyReport[Field] } & {
  readonly [Field in 'purged' | 'objections' | 'failed']: PolicyReport[Field][number][]
}

function nothingDone(): Draft {
  return { rotation: null, view: null, notNow: null, purged: [], objections: [], failed: [] }
}

async function runPolicy(
  target: Target,
  { policy, table }: FoundPolicy,
  options: EngineOptions,
  later: Later | null = null,
): Promise<PolicyReport> {
  const began = performance.now()
  const done = nothingDone()
  const inTime = (given: EngineOptions) => (later === null ? given : hurried(given, later))
  await trying(`the policy of ${display(table)}`, done, async () => {
    const judged = await planPolicy(target, policy, inTime(options))
    done.objections.push(...judged.objections)
    if (judged.objections.length === 0 && judged.differs) await putInForce(target, policy, inTime(options))
    const { tasks, notNow, closesInMs } = tasksNow(policy, judged, later?.why)
    done.notNow = notNow
    await withinWindow(notNow === null ? closesInMs : null, options.signal, async (signal) => {
      for (const task of tasks) {
        if (signal.aborted) break
        const given = { ...inTime(optionsOf(task, options)), signal }
        await trying(`${task.kind === 'stale' ? 'purge' : task.kind} ${display(table)}`, done, async () => {
          if (task.kind === 'view') return void (done.view = await viewed(target, table, task, judged, given))
          if (task.kind !== 'rotate') return void done.purged.push(...(await purged(target, table, task, given)))
          done.rotation = await rotate(target, withAccept(rotationOf(task, judged, notNow), given), given)
        })
      }
    })
  })
  return { name: policy.name, table, ...done, milliseconds: performance.now() - began }
}

/** Why nothing is done but what cannot wait, and how long that may wait for locks. */
interface Later {
  readonly why: string
  readonly mostMs: number
}

/** For what is done though the time is up: nobody is waited for long. */
function hurried({ lockLimits = LOCK_LIMITS, ...options }: EngineOptions, { mostMs }: Later): EngineOptions {
  const deadlineMs = Math.min(lockLimits.deadlineMs, mostMs)
  return { ...options, waitMs: 0, lockLimits: { ...lockLimits, deadlineMs } }
}

/** Work ends when its window closes, where it has one; the next run continues it. */
export async function withinWindow(
  closesInMs: number | null,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (closesInMs === null) return work(signal)
  // Not AbortSignal.timeout(): inside AbortSignal.any() nothing refers to it, and once garbage-collected it never fires.
  const closed = new AbortController()
  const timer = setTimeout(() => closed.abort(), closesInMs)
  try {
    await work(AbortSignal.any([signal, closed.signal]))
  } finally {
    clearTimeout(timer)
  }
}

async function trying(
  what: string,
  done: Pick<Draft, 'objections' | 'failed'>,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof ObjectionsError)
      done.objections.push(...(error.plan as { objections: Objection[] }).objections)
    else done.failed.push({ what, error: asError(error) })
  }
}

/** Creates or replaces the view, if it is not as it should be: that takes a lock for which its readers wait. */
async function viewed(
  target: Target,
  table: TableName,
  task: TaskOf<'view'>,
  { unfinished }: JudgedPolicy,
  options: EngineOptions,
): Promise<ViewResult | null> {
  const isCurrent = unfinished !== 'view' && (await planView(target, table, task, options)) === null
  return isCurrent ? null : carryOut(target, table, view, task.request, options)
}

async function purged(
  target: Target,
  table: TableName,
  task: Exclude<Task, { kind: 'rotate' | 'view' }>,
  options: EngineOptions,
): Promise<PurgeResult[]> {
  switch (task.kind) {
    case 'mark':
      return [await carryOut(target, table, mark, task.request, options)]
    case 'stale':
      return both(await purgeStale(target, table, withAccept(task.request, options), task.flag, options))
    case 'purge': {
      const { request } = await resolvePurge(target, table, task.request, options)
      return [await carryOut(target, table, purge, request, options)]
    }
  }
}

function both({ flagged, purged: deleted }: StaleResult): PurgeResult[] {
  return flagged === null ? [deleted] : [flagged, deleted]
}

/** Whether something of a policy was ended, and not failed: it is continued. */
export function isInterrupted({ error }: Failure): boolean {
  return error instanceof EbbError && error.kind === 'stopped'
}
