import { inOneGo } from '../db/in-one-go.ts'
import { reasonOf } from '../db/sqlstate.ts'
import { doneSteps, noteError, recordLockTimes, recordStep } from '../journal/journal.ts'
import type { PurgeStep, Step } from '../plan/language/step.ts'
import type { LockTimes } from '../events.ts'
import type { TableName } from '../sql/names.ts'
import { archive } from './archive/archive-step.ts'
import { copyChunks } from './copy/copy.ts'
import { verify } from './copy/verify.ts'
import { archiveSet } from './purge/archive/archive-set.ts'
import { writeRemoval } from './purge/archive/write-removal.ts'
import { longestBatchMs } from './purge/batch.ts'
import { check, purgeRows, vacuum } from './purge/run-steps.ts'
import type { Turns } from './purge/turns.ts'
import type { PaceOptions } from '../pacing/throttle.ts'
import { withPace } from './pace.ts'
import { restoreObjects } from './restore/restore-objects.ts'
import { IN_RUN } from './steps/errors.ts'
import { performTold, performWhole, recordAfter, type Hooks, type StepResult } from './steps/perform.ts'
import type { RunContext, TableContext } from './table-context.ts'

export type { StepResult } from './steps/perform.ts'

/** Further statements in the transaction of a step, by its key: facts that hold from then on; one query each. */
export type Alongside = Readonly<Record<string, (context: TableContext) => readonly Promise<void>[]>>

/** Executes the remaining steps of a run, of which `before` have been performed; when it stops, the reason is recorded in the journal. */
export async function executeRun(
  context: RunContext,
  steps: readonly Step[],
  alongside: Alongside = {},
  before = 0,
): Promise<StepResult[]> {
  try {
    return await execute(context, steps, alongside, before)
  } catch (error) {
    const reason = reasonOf(error)
    // In the monitoring session, because the working one may be lost. If both are, the reason is reported all the
    // same.
    await noteError(context.control, context.journalSchema, context.runId, reason).catch(() => {})
    throw error
  }
}

/**
 * Executes the steps that the journal does not have yet, in order, and stops at the first failure. A step that is a
 * transaction commits together with its entry, so after a kill another call resumes correctly.
 */
async function execute(
  context: RunContext,
  steps: readonly Step[],
  alongside: Alongside,
  before: number,
): Promise<StepResult[]> {
  const { session, journalSchema, runId } = context
  const [, done] = await inOneGo(session, () => [
    noteError(session, journalSchema, runId, null),
    doneSteps(session, journalSchema, runId),
  ])
  const begun = steps.filter(({ key }) => done.has(key)).length
  if (begun > 0) context.observer({ type: 'resumed', done: begun, of: steps.length })
  const results: StepResult[] = []
  for (const [position, step] of steps.entries()) {
    if (done.has(step.key)) continue
    const place = { position: before + position, of: before + steps.length, advice: IN_RUN }
    const isDurableLater = position < steps.length - 1
    const result = await performTold(step, place, context, (paced) =>
      perform(step, { ...context, ...paced }, alongside, isDurableLater),
    )
    results.push(result)
    if (result.lock !== null) await recordLock(context, result.key, result.lock)
  }
  return results
}

/** How long a lock was held is known once it has been released, and best effort: the step is done, and no disk is waited for. */
async function recordLock({ session, journalSchema, runId }: RunContext, key: string, lock: LockTimes): Promise<void> {
  await inOneGo(session, () => [
    session.query('begin; set local synchronous_commit = off'),
    recordLockTimes(session, journalSchema, runId, key, lock),
    session.query('commit'),
  ]).catch(() => {})
}

/** Steps that work in pieces record them in the journal of the run; the others need no run. */
async function perform(
  step: Step,
  context: RunContext,
  alongside: Alongside,
  isDurableLater: boolean,
): Promise<LockTimes | null> {
  const began = performance.now()
  const { session, journalSchema } = context
  const hooks: Hooks = {
    isDurableLater,
    alongside: () => [
      ...(alongside[step.key]?.(context) ?? []),
      recordStep(session, journalSchema, context.runId, step.key, performance.now() - began),
    ],
  }
  switch (step.kind) {
    case 'copy':
      return recordAfter(copyChunks(step, context), context, hooks)
    case 'verify':
      return recordAfter(verify(step, context), context, hooks)
    case 'purge':
      // What comes next may tell others how many rows are gone.
      return recordAfter(purgeAtPace(step, context), context, { ...hooks, isDurableLater: false })
    case 'vacuum':
      return recordAfter(
        atPace([step.table], context, (turns) => vacuum(step, context, turns)),
        context,
        hooks,
      )
    case 'check':
      return recordAfter(check(step, context), context, hooks)
    case 'archive':
      return recordAfter(archive(step, context), context, hooks)
    case 'archive set':
      return recordAfter(archiveSet(step, context), context, hooks)
    case 'removal':
      return recordAfter(writeRemoval(step, context), context, hooks)
    case 'move':
    case 'rewrite':
      throw new Error('partitions are moved and rewritten by rotations, which are no runs')
    case 'restore':
      return restoreObjects(step, context, hooks)
    case 'dry run':
    case 'index':
    case 'drop index':
    case 'reconcile':
    case 'alone':
    case 'online':
    case 'short lock':
    case 'detach':
    case 'swap':
      return performWhole(step, context, context.lockLimits, hooks)
  }
}

async function purgeAtPace(step: PurgeStep, context: RunContext): Promise<void> {
  const { table, dependents } = step.work
  const around = dependents.watched?.others.filter((one) => !one.protected) ?? []
  const tables = [table, ...around.map(({ name }) => name)]
  const onWorkers = step.work.leaves.some(({ stored }) => stored !== undefined)
  const bounds = { ...batchRowsOf(step, context), onWorkers }
  return atPace(tables, context, (turns) => purgeRows(step, context, turns), bounds)
}

/**
 * Where each batch reads a table as a whole, because its foreign key has no index: PostgreSQL does the same again for
 * each row, so with this many rows the batches' own scans are a small part of the work.
 */
const LEAST_ROWS_OF_A_SCAN = 25

type BatchRows = Pick<PaceOptions, 'leastRows' | 'mostRows'>

/** Then no more than fit into the time of a batch beside its own scans: one that is cancelled has done its work for nothing. */
function batchRowsOf({ work, lookUpMs }: PurgeStep, { server }: RunContext): BatchRows {
  if (work.dependents.scans !== true) return {}
  if (lookUpMs === undefined) return { leastRows: LEAST_ROWS_OF_A_SCAN }
  const mostRows = Math.max(1, Math.floor(longestBatchMs(server) / 2 / lookUpMs))
  return { leastRows: Math.min(LEAST_ROWS_OF_A_SCAN, mostRows), mostRows }
}

function atPace(
  tables: readonly TableName[],
  context: RunContext,
  work: (turns: Turns) => Promise<void>,
  bounds: Parameters<typeof withPace>[3] = {},
): Promise<void> {
  const { turns } = context
  return turns === undefined ? withPace(context, tables, work, bounds) : work(turns)
}
