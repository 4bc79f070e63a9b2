import { isEmpty, readChildren } from '../catalog/partition-children.ts'
import { readTable } from '../catalog/read-table.ts'
import { readServer, type ServerModel } from '../catalog/server-model.ts'
import { readTakenNames } from '../catalog/situation.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { inSnapshot, readAll, readOne, withSession, type Session, type Target } from '../db/session.ts'
import { EbbError, EXIT, ObjectionsError } from '../errors.ts'
import {
  at,
  endRun,
  journalExists,
  latestRun,
  recentRuns,
  runById,
  doneSteps,
  startRun,
  type Run,
} from '../journal/journal.ts'
import { readFigures } from '../journal/purges.ts'
import { forgetSet, registeredSets, type RegisteredSet } from '../journal/sets.ts'
import { planAbandon } from '../plan/abandon.ts'
import { planAbandonCandidates, type CandidatePlan } from '../plan/candidates.ts'
import { planAbandonMark } from '../plan/mark.ts'
import { planAbandonPurge, type PurgePlan } from '../plan/purge.ts'
import type { RebuildPlan, RebuildSummary } from '../plan/rebuild.ts'
import { planAbandonRebuild, planRebuildRollback, planRetire, planSplitRollback } from '../plan/rebuild-undo.ts'
import type { PartitionPlan } from '../plan/partition.ts'
import { planRollback, type OtherPartition, type RollbackPlan } from '../plan/rollback.ts'
import { planAbandonView, type ViewPlan } from '../plan/view.ts'
import type { SplitPlan } from '../plan/split.ts'
import { fromStored, toStored } from '../plan/stored.ts'
import type { Plan, SwapStep } from '../plan/step.ts'
import { display, quoted, sameName, type TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { VERSION } from '../version.ts'
import { executeRun, type ExecuteOptions, type StepResult } from './execute.ts'
import { assertLatest, carryOut, otherRun, type EngineOptions } from './partition.ts'
import { carryOutCopy, COPY_COMMANDS } from './copy-run.ts'
import { carryOutCandidates } from './candidates.ts'
import { carryOutPurge } from './purge.ts'
import { carryOutView } from './view.ts'
import { atWork, type Workplace } from './workplace.ts'

// What is done with runs that exist already: look at them, go on, undo, go back.

/** A run by its number, or the latest of a table, or (null) the only unfinished one. */
export type RunChoice = { readonly runId: string } | { readonly table: TableName } | null

export interface StatusReport {
  readonly runs: readonly RunStatusLine[]
  readonly sets: readonly RegisteredSet[]
}

export interface RunStatusLine {
  readonly id: string
  readonly command: string
  readonly table: TableName
  readonly status: string
  readonly startedAt: Date
  readonly endedAt: Date | null
  readonly stepsDone: number
  readonly steps: number
  readonly lastError: string | null
  /** Rows that a purge has deleted so far; null for other commands. */
  readonly purged: number | null
}

/** Unfinished and recent runs, and the sets that rotate keeps. */
export async function status(target: Target, options: EngineOptions): Promise<StatusReport> {
  return withSession(target, 'status', (session) =>
    inSnapshot(session, async () => {
      if (!(await journalExists(session, options.journalSchema))) return { runs: [], sets: [] }
      const sets = await registeredSets(session, options.journalSchema)
      const runs: RunStatusLine[] = []
      for (const run of await recentRuns(session, options.journalSchema))
        runs.push(await statusLine(session, options.journalSchema, run))
      return { runs, sets }
    }),
  )
}

async function statusLine(session: Session, schema: string, run: Run): Promise<RunStatusLine> {
  const { id, command, table, status, startedAt, endedAt, lastError } = run
  const done = await doneSteps(session, schema, id)
  return {
    id,
    command,
    table,
    status,
    startedAt,
    endedAt,
    lastError,
    stepsDone: done.size,
    steps: (run.plan as Plan).steps.length,
    purged: command === 'purge' ? (await readFigures(session, schema, id)).rows : null,
  }
}

export interface RunResult {
  readonly runId: string
  readonly plan: Plan
  readonly steps: readonly StepResult[]
}

/** Goes on with an unfinished run from the plan that was agreed to. */
export async function resume(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options)
  if (run.status !== 'running')
    throw new EbbError(
      `run ${run.id} is ${run.status}`,
      { state: 'There is nothing to go on with.', next: 'See ebb status.' },
      EXIT.usage,
    )
  return atWork({ target, server, ...options, command: run.command }, run.table, async (place) => {
    await assertLatest(place, run.table, run)
    return goOn(run, place, options)
  })
}

async function goOn(run: Run, place: Workplace, options: EngineOptions): Promise<RunResult> {
  if (run.command === 'rollback') return carryBack(run.id, fromStored(run.plan) as StoredRollback, place, options)
  if (run.command === 'purge' || run.command === 'mark')
    return carryOutPurge(run.id, fromStored(run.plan) as PurgePlan, place, options)
  if (run.command === 'view') return carryOutView(run.id, fromStored(run.plan) as ViewPlan, place, options)
  if (run.command === 'candidates')
    return carryOutCandidates(run.id, fromStored(run.plan) as CandidatePlan, place, options)
  if (COPY_COMMANDS.includes(run.command))
    return carryOutCopy(run.id, fromStored(run.plan) as RebuildPlan, place, options)
  return carryOut(run.id, fromStored(run.plan) as PartitionPlan, place, options)
}

/** What abandoning an unfinished run would do. */
export async function planAbandonOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<Plan & { readonly runId: string }> {
  const { run, done } = await findRun(target, choice, options)
  const present = await withSession(target, 'plan abandon', (session) => presentName(session, run))
  return { ...abandonment(run, done, present), runId: run.id }
}

/** Undoes the preparations of an unfinished run, so that the table is as it was. */
export async function abandon(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options)
  return atWork({ target, server, ...options, command: 'abandon' }, run.table, async (place) => {
    await assertLatest(place, run.table, run)
    const done = await doneSteps(place.session, place.journalSchema, run.id)
    const plan = abandonment(run, done, await presentName(place.session, run))
    const steps = await executeRun(run.id, plan.steps, place, patience(options))
    await endRun(place.session, place.journalSchema, run.id, 'abandoned', { steps })
    return { runId: run.id, plan, steps }
  })
}

const SWAPS = ['swap', 'swap-back']

/** What the run's table is called now, or null when it is gone: somebody may have renamed or dropped it. */
async function presentName(session: Session, run: Run): Promise<TableName | null> {
  const source = sourceOf(run)
  if (source === null) return run.table
  const [name] = await readAll<{ schema: string; name: string }>(
    session,
    sql`
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = ${source}::oid and c.relkind = 'r'`,
  )
  return name ?? null
}

/** Of the table beside which a run puts something; null where it puts nothing. */
function sourceOf(run: Run): string | null {
  if (run.command === 'partition') return (run.plan as PartitionPlan).conversion?.former.oid ?? null
  if (COPY_COMMANDS.includes(run.command)) return (run.plan as RebuildPlan).rebuild?.sourceOid ?? null
  return null
}

function abandonment(run: Run, done: ReadonlySet<string>, present: TableName | null): Plan {
  if (run.status !== 'running') throw notUnfinished(run)
  if (SWAPS.some((key) => done.has(key))) throw pastTheSwap(run)
  if (run.command === 'purge') return planAbandonPurge(run.id, run.table)
  if (run.command === 'mark') return planAbandonMark(run.id, run.table)
  if (run.command === 'view') return planAbandonView(run.id, run.table)
  if (run.command === 'candidates') return planAbandonCandidates(run.id, fromStored(run.plan) as CandidatePlan)
  if (run.command === 'rollback') {
    const { index } = run.plan as StoredRollback
    return planAbandon(run.id, { table: run.table, guard: null, index })
  }
  if (COPY_COMMANDS.includes(run.command)) {
    const { rebuild } = run.plan as RebuildPlan
    if (rebuild === null) throw new Error(`run ${run.id} has no rebuild`)
    return planAbandonRebuild(run.id, rebuild, present, done)
  }
  const { conversion } = run.plan as PartitionPlan
  if (conversion === null) throw new Error(`run ${run.id} has no conversion`)
  const { primaryKey } = conversion
  const table = present ?? run.table
  const index = primaryKey === null ? null : { schema: table.schema, name: primaryKey.index }
  return planAbandon(run.id, { table, guard: present === null ? null : conversion.guard, index })
}

function notUnfinished(run: Run): EbbError {
  const next =
    run.status === 'done' && REVERSIBLE.includes(run.command) ? `To go back: ebb rollback ${run.id}` : 'See ebb status.'
  return new EbbError(
    `run ${run.id} is ${run.status}, so there is nothing to abandon`,
    { state: 'Nothing has been changed.', next },
    EXIT.usage,
  )
}

function pastTheSwap(run: Run): EbbError {
  return new EbbError(
    `run ${run.id} has swapped ${display(run.table)} already; what is left is harmless`,
    {
      state: 'Nothing has been changed.',
      next: `Finish it with ebb resume ${run.id}${REVERSIBLE.includes(run.command) ? '; then ebb rollback can go back' : ''}.`,
    },
    EXIT.objections,
  )
}

/** Commands whose outcome can be taken back. */
const REVERSIBLE = ['partition', ...COPY_COMMANDS]

interface StoredRollback extends RollbackPlan {
  /** The run that is rolled back. */
  readonly of: string
}

/** What going back to a plain table would do. */
export async function planRollbackOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<RollbackPlan & { readonly runId: string }> {
  const { server, run } = await findRun(target, choice, options, REVERSIBLE)
  return withSession(target, 'plan rollback', async (session) => ({
    ...(await readRollback(session, server, run, options)),
    runId: run.id,
  }))
}

/**
 * Makes a converted table a plain one again.
 *
 * @throws {ObjectionsError} when rows would be lost
 */
export async function rollback(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options, REVERSIBLE)
  const begun = await withSession(target, 'find run', (session) => latestRun(session, options.journalSchema, run.table))
  if (begun?.status === 'running') {
    if (begun.command === 'rollback') return resume(target, { runId: begun.id }, options)
    throw otherRun(begun)
  }
  const plan = await withSession(target, 'plan rollback', (session) => readRollback(session, server, run, options))
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return atWork({ target, server, ...options, command: 'rollback' }, run.table, async (place) => {
    await assertLatest(place, run.table, begun)
    const stored: StoredRollback = { ...plan, of: run.id }
    const runId = await startRun(place.session, place.journalSchema, {
      command: 'rollback',
      table: run.table,
      request: { of: run.id },
      plan: toStored(stored),
      version: VERSION,
    })
    return carryBack(runId, stored, place, options)
  })
}

async function carryBack(
  runId: string,
  plan: StoredRollback,
  place: Workplace,
  options: EngineOptions,
): Promise<RunResult> {
  const { session, journalSchema } = place
  const alongside: ExecuteOptions['alongside'] = {
    'swap-back': async () => {
      await forgetSet(session, journalSchema, plan.table)
      await endRun(session, journalSchema, plan.of, 'rolled back', null)
    },
  }
  const steps = await executeRun(runId, plan.steps, place, { ...patience(options), alongside })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps }
}

async function readRollback(
  session: Session,
  server: ServerModel,
  run: Run,
  options: EngineOptions,
): Promise<RollbackPlan> {
  if (run.status !== 'done')
    throw new EbbError(
      `run ${run.id} is ${run.status}`,
      {
        state: 'Nothing has been changed.',
        next:
          run.status === 'running'
            ? `Finish it with ebb resume ${run.id}, or undo it with ebb abandon ${run.id}.`
            : 'There is nothing to roll back.',
      },
      EXIT.usage,
    )
  return inSnapshot(session, async () => {
    const current = await readTable(session, run.table, server.version)
    if (current === undefined)
      throw new EbbError(
        `${display(run.table)} is not there any more`,
        { state: 'Nothing has been changed.', next: 'There is nothing to roll back.' },
        EXIT.usage,
      )
    if (COPY_COMMANDS.includes(run.command)) return readRebuildRollback(session, run, current, server, options)
    const plan = fromStored(run.plan) as PartitionPlan
    const { conversion } = plan
    if (conversion === null) throw new Error(`run ${run.id} has no conversion`)
    const children = await readChildren(session, run.table)
    const others: OtherPartition[] = []
    for (const name of children.filter((child) => !sameName(child, conversion.history)))
      others.push({ name, empty: await isEmpty(session, name) })
    return planRollback({
      runId: run.id,
      conversion,
      converted: (plan.steps.find(({ key }) => key === 'swap') as SwapStep).after,
      current,
      historyAttached: others.length < children.length,
      others,
      removed: await removedSince(session, options.journalSchema, run),
      taken: await readTakenNames(session, run.table.schema),
      role: server.role,
    })
  })
}

async function readRebuildRollback(
  session: Session,
  run: Run,
  current: TableModel,
  server: ServerModel,
  options: EngineOptions,
): Promise<RollbackPlan> {
  const { rebuild } = fromStored(run.plan) as RebuildPlan
  if (rebuild === null) throw new Error(`run ${run.id} has no rebuild`)
  const situation = {
    runId: run.id,
    rebuild,
    current,
    retiredExists: await isThere(session, rebuild),
    partitions: await readChildren(session, run.table),
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    role: server.role,
  }
  const { split } = fromStored(run.plan) as SplitPlan
  return split == null ? planRebuildRollback(situation) : planSplitRollback(situation, split)
}

async function isThere(session: Session, { retired, sourceOid }: RebuildSummary): Promise<boolean> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select to_regclass(${quoted(retired).text})::oid is not distinct from ${sourceOid}::oid as there`,
  )
  return there
}

/** What letting the former table of a rebuild go would do. */
export async function planRetireOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<Plan & { readonly runId: string }> {
  const { run } = await findRun(target, choice, options, COPY_COMMANDS)
  return withSession(target, 'plan retire', async (session) => ({ ...(await retirement(session, run)), runId: run.id }))
}

/** Lets the former table of a rebuild go, for good. */
export async function retire(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options, COPY_COMMANDS)
  return atWork({ target, server, ...options, command: 'retire' }, run.table, async (place) => {
    // A roll-back that is under way needs the former table.
    const latest = await latestRun(place.session, place.journalSchema, run.table)
    if (latest?.status === 'running') throw otherRun(latest)
    const plan = await retirement(place.session, run)
    const steps = await executeRun(run.id, plan.steps, place, patience(options))
    return { runId: run.id, plan, steps }
  })
}

async function retirement(session: Session, run: Run): Promise<Plan> {
  const { rebuild } = fromStored(run.plan) as RebuildPlan
  if (run.status !== 'done' || rebuild === null || !(await isThere(session, rebuild)))
    throw new EbbError(
      `run ${run.id} has no former table to let go of`,
      { state: 'Nothing has been changed.', next: 'See ebb status.' },
      EXIT.usage,
    )
  return planRetire(run.id, rebuild)
}

async function removedSince(session: Session, schema: string, run: Run): Promise<string[]> {
  const rows = await readAll<{ name: string }>(
    session,
    sql`
    select partition_name as name from ${at(schema, 'rotation')}
    where schema_name = ${run.table.schema} and table_name = ${run.table.name} and at > ${run.startedAt}
      and action in ('detached', 'dropped', 'truncated') order by id`,
  )
  return [...new Set(rows.map(({ name }) => name))]
}

async function findRun(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
  commands?: readonly string[],
): Promise<{ server: ServerModel; run: Run; done: ReadonlySet<string> }> {
  return withSession(target, 'find run', async (session) => {
    const server = await readServer(session, options.journalSchema)
    const run = (await journalExists(session, options.journalSchema))
      ? await chosenRun(session, options.journalSchema, choice, commands)
      : undefined
    if (run === undefined) throw noRun(choice)
    return { server, run, done: await doneSteps(session, options.journalSchema, run.id) }
  })
}

async function chosenRun(
  session: Session,
  schema: string,
  choice: RunChoice,
  commands?: readonly string[],
): Promise<Run | undefined> {
  if (choice !== null && 'runId' in choice) return runById(session, schema, choice.runId)
  if (choice !== null) return latestRun(session, schema, choice.table, commands)
  const candidates = (await recentRuns(session, schema)).filter((run) =>
    commands === undefined ? run.status === 'running' : commands.includes(run.command) && run.status === 'done',
  )
  if (candidates.length > 1)
    throw new EbbError(
      `there are ${candidates.length} such runs: ${candidates.map((run) => `${run.id} (${run.command} ${display(run.table)})`).join(', ')}`,
      { state: 'Nothing has been changed.', next: 'Name one by its number.' },
      EXIT.usage,
    )
  return candidates[0]
}

function noRun(choice: RunChoice): EbbError {
  const which =
    choice === null
      ? 'no unfinished run'
      : 'runId' in choice
        ? `no run ${choice.runId}`
        : `no run on ${display(choice.table)}`
  return new EbbError(`there is ${which}`, { state: 'Nothing has been changed.', next: 'See ebb status.' }, EXIT.usage)
}

function patience(options: EngineOptions): ExecuteOptions {
  return options.patience === undefined ? {} : { patience: options.patience }
}
