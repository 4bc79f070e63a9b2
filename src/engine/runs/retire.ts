import { readPatiently } from '../locks/patiently.ts'
import { readClock } from '../../db/clock.ts'
import { type Session, type Target } from '../../db/session.ts'
import { ObjectionsError, UsageError } from '../../errors.ts'
import { archivesOfRun, recordRemoval } from '../../journal/archives.ts'
import { abandonedRollbackOf, latestRun, type Run } from '../../journal/journal.ts'
import { planRemovalDocument, planRetire } from '../../plan/copy/retire.ts'
import { removalOfTable } from '../../plan/archive/removal.ts'
import type { LeftOutArchive, RebuildSummary } from '../../plan/copy/summary.ts'
import type { Plan } from '../../plan/language/step.ts'
import { fromStored } from '../../plan/language/stored.ts'
import { archive, findArchived, type ArchivedByRun } from '../archive/archive-step.ts'
import { removeLeftovers } from '../archive/leftovers.ts'
import { storeRemovals } from '../archive/removals.ts'
import { otherRun } from '../plan-command.ts'
import { COMMANDS } from '../commands/registry.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import type { StorablePlan } from '../command.ts'
import { assertOwnCode } from '../first-look.ts'
import { areNewHolds, holdsMeanwhile, watchHolds, type HoldWatch } from '../hold-watch.ts'
import type { EngineOptions } from '../options.ts'
import type { StepAdvice } from '../steps/errors.ts'
import { performTold } from '../steps/perform.ts'
import { assertReadsOnly } from '../stored-plan.ts'
import { runIn, withTable, type RunContext, type TableContext } from '../table-context.ts'
import { readLeftBehind } from './left-behind.ts'
import { findRun, type RunChoice } from './find-run.ts'
import type { RunResult } from './take-back.ts'
import { whenFree } from './when-free.ts'

// Drops the retired table of a finished copy. Invariants:
//
//   - Where the rows left out are to be archived, it is dropped only with a receipt that is in the store now: what the
//     journal says of a step that is done does not count.
//   - The removal is in the journal in the transaction of the drop; the document is stored afterwards.

/** Commands that retire a table. */
const COPYING = COMMANDS.filter(({ copies }) => copies === true).map(({ name }) => name)

export interface RetireRequest {
  /** Rows left out are dropped, though they were to be archived. */
  readonly noArchive: boolean
}

const WITH_ARCHIVE: RetireRequest = { noArchive: false }

/** Plans the drop of a retired table. */
export async function planRetireOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
  request = WITH_ARCHIVE,
): Promise<Plan & { readonly runId: string }> {
  const { run } = await findRun(target, choice, options, COPYING)
  return readPatiently(target, 'plan retire', options, async (session) => {
    const archives = await archivesOfRun(session, options.journalSchema, run.id)
    const receipt = archives.findLast((one) => one.receipt !== null)?.receipt?.uri ?? null
    return { ...(await retirement(session, options.journalSchema, run, request, receipt)), runId: run.id }
  })
}

/** Drops a retired table, for good. */
export function retire(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
  request = WITH_ARCHIVE,
): Promise<RunResult> {
  return whenFree(target, choice, options, (one) => retireNow(target, one, options, request), COPYING)
}

async function retireNow(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
  request: RetireRequest,
): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options, COPYING)
  return withTable({ target, server, ...options, command: 'retire' }, run.table, async (context) => {
    // An unfinished rollback needs the retired table.
    const latest = await latestRun(context.session, context.journalSchema, run.table)
    if (latest?.status === 'running') throw otherRun(latest)
    return retireRun({ ...runIn(context, run.id), holds: await holdsOfRetired(context, run, options) }, run, request)
  })
}

/** Rows may have been restored into the retired table itself, by its name. */
async function holdsOfRetired(
  { session, journalSchema }: TableContext,
  { id }: Run,
  { accept = [] }: EngineOptions,
): Promise<HoldWatch | null> {
  if (accept.includes('hold')) return null
  const left = await readLeftBehind(session, journalSchema, id)
  return watchHolds(
    session,
    journalSchema,
    left.flatMap(({ retired }) => retired ?? []),
    'Wait until then, and run ebb retire again. To drop them all the same: ebb retire --accept hold.',
  )
}

async function retireRun(context: RunContext, run: Run, request: RetireRequest): Promise<RunResult> {
  const { session, journalSchema } = context
  const to = copyOf(run)?.archive ?? null
  if (to === null || request.noArchive) {
    const plan = await retirement(session, journalSchema, run, request, null)
    return { runId: run.id, plan, steps: await executeRun(context, plan.steps, DROPPING) }
  }
  const startedAt = await readTime(session)
  await removeLeftovers(context, to.command)
  const before = await findArchived(context)
  const plan = await retirement(session, journalSchema, run, request, before?.receipt.uri ?? null)
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  const archiving = await archiveFirst(context, plan)
  const archived = archiving.length === 0 ? before : await findArchived(context)
  const dropped = await drop(context, plan, archived === null ? null : { to, archived, startedAt })
  await storeRemovals(context, to.command)
  return { runId: run.id, plan, steps: [...archiving, ...dropped], receipt: archived?.receipt.uri ?? null }
}

/** Archives what has no receipt yet. */
async function archiveFirst(context: RunContext, { steps }: Plan): Promise<StepResult[]> {
  const [step] = steps
  if (step?.kind !== 'archive') return []
  await assertOwnCode(context.session, context.server, step.work.rows.table, {})
  await assertReadsOnly(context.session, step)
  const place = { position: 0, of: steps.length, advice: IN_RETIREMENT }
  const result = await performTold(step, place, context, async (told) => {
    await archive(step, told)
    return null
  })
  return [result]
}

const IN_RETIREMENT: StepAdvice = {
  orUndo: '',
  after: () => 'Resolve the cause, then run ebb retire again; or drop the rows without an archive: --no-archive.',
}

/** Because of which archive rows are removed. */
interface Removing {
  readonly to: LeftOutArchive
  readonly archived: ArchivedByRun
  readonly startedAt: string
}

/** A table whose rows are to be archived is dropped because of an archive only. */
async function drop(context: RunContext, plan: Plan, removing: Removing | null): Promise<StepResult[]> {
  const steps = plan.steps.filter(({ kind }) => kind !== 'archive')
  const before = plan.steps.length - steps.length
  if (removing !== null) return executeRun(context, steps, await recordingRemoval(context, removing), before)
  if (steps.some(({ key }) => key === 'retire:drop')) throw new Error('rows that are to be archived have no receipt')
  return executeRun(context, steps, DROPPING)
}

async function recordingRemoval(
  { session, journalSchema, runId }: RunContext,
  { to, archived: { id, receipt }, startedAt }: Removing,
): Promise<Alongside> {
  const run = { command: 'retire', id: runId, startedAt, endedAt: await readTime(session) }
  const removal = removalOfTable(to.table, 'dropped', receipt, run)
  return {
    'retire:drop': (dropping) => [unlessHeld(dropping), recordRemoval(session, journalSchema, id, removal)],
  }
}

/** The drop has waited for whoever was restoring into the table. */
async function unlessHeld({ session, journalSchema, holds }: TableContext): Promise<void> {
  if (await areNewHolds(session, journalSchema, holds)) throw holdsMeanwhile()
}

const DROPPING: Alongside = { 'retire:drop': (dropping) => [unlessHeld(dropping)] }

async function readTime(session: Session): Promise<string> {
  return new Date(Number((await readClock(session)) / 1000n)).toISOString()
}

async function retirement(
  session: Session,
  schema: string,
  run: Run,
  { noArchive }: RetireRequest,
  receipt: string | null,
): Promise<Plan> {
  const rebuild = copyOf(run)
  const [left] = await readLeftBehind(session, schema, run.id)
  if (rebuild !== null && left !== undefined) {
    const changed = await abandonedRollbackOf(session, schema, run.id)
    return planRetire(run.id, rebuild, left, { noArchive, receipt, changed })
  }
  const archives = await archivesOfRun(session, schema, run.id)
  if (!noArchive && archives.some(({ removal, removalWritten }) => removal !== null && !removalWritten))
    return planRemovalDocument(run.id, run.table)
  throw new UsageError(`run ${run.id} has no retired table to drop`, 'See ebb status.')
}

function copyOf({ status, plan }: Run): RebuildSummary | null {
  return status === 'done' ? ((fromStored(plan) as StorablePlan).rebuild ?? null) : null
}
