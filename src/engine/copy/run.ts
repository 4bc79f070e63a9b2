import { readRowEstimate } from '../../catalog/condition/condition.ts'
import { readLeftOutReferences, readReferring, type LeftOutReference } from '../../catalog/references/left-out.ts'
import { readSilentStandbys } from '../../catalog/standbys.ts'
import { readNotReadBack, type NotReadBack } from '../../catalog/table/not-read-back.ts'
import { readNotCopyable, type NotCopyable } from '../../catalog/table/not-copyable.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { archivesOfRun, type ReceiptEntry } from '../../journal/archives.ts'
import { doneSteps, endRun, recordShadow, runById } from '../../journal/journal.ts'
import { registerSet } from '../../journal/sets.ts'
import { notRestorable, tooWideForParquet } from '../../plan/archive/objections.ts'
import { leftOutBy } from '../../plan/copy/left-out-archive.ts'
import { keepingOf, withReferences, type LeftOutRequest } from '../../plan/copy/left-out.ts'
import { notEnoughDisk } from '../../plan/copy/disk-space.ts'
import { when } from '../../plan/language/objection.ts'
import type { RebuildPlan, RebuildSummary } from '../../plan/copy/summary.ts'
import { abandonSteps, planAbandonRebuild } from '../../plan/copy/abandon.ts'
import { withTransport } from '../../plan/copy/transport.ts'
import { standbyNotes } from '../../plan/copy/standby-notes.ts'
import type { LockTimes } from '../../events.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { isTooWide } from '../archive/wide-rows.ts'
import { withTriedStore } from '../archive/with-store.ts'
import { Refusal, type Command } from '../command.ts'
import { recordCapture } from './captured.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import { orGivingBack, undoAll } from './give-back.ts'
import { assertFoundAgain } from '../found-again.ts'
import { capturedTable } from '../runs/left-behind.ts'
import { readCopyRollback } from '../runs/read-rollback.ts'
import { rebuildOf } from '../runs/summary.ts'
import type { RunContext } from '../table-context.ts'

// Shared by all commands that copy.

/** The outcome of a copy. */
export interface CopyResult {
  readonly runId: string
  readonly plan: RebuildPlan
  /** The steps of this call, without those of earlier calls. */
  readonly steps: readonly StepResult[]
  /** The lock times of the swap; null if an earlier call did it. */
  readonly swap: LockTimes | null
  /** Whether an earlier run of the same command had done it all. */
  readonly nothingToDo: boolean
  /** Of the rows left out; null where they are in no archive. */
  readonly receipt: ReceiptEntry | null
}

/** Further inputs of a copy. */
export interface CopySituation<Situation> {
  readonly of: Situation
  /** Null if unknown. */
  readonly diskFree: number | null
  readonly leftOut: readonly LeftOutReference[]
  /** Standbys that cannot be waited for. */
  readonly silent: readonly string[]
  /** Columns of which COPY may refuse values. Older versions have stored situations without. */
  readonly notCopyable?: readonly NotCopyable[]
  /** Columns that an archive would not bring back. */
  readonly notReadBack?: readonly NotReadBack[]
  /** One of the rows left out is certainly too wide for the format of their archive. */
  readonly tooWide?: boolean
}

/** The parts specific to one command that copies. */
export type CopyPlanner<Request extends LeftOutRequest, Copy extends RebuildPlan, Situation> = Pick<
  Command<Request, Copy, Situation, CopyResult>,
  'name' | 'read' | 'plan' | 'refused' | 'removes' | 'verify' | 'isCarriedOut'
>

/** The command, whose plans also check disk space and broken references. */
export function copying<Request extends LeftOutRequest, Copy extends RebuildPlan, Situation>(
  planner: CopyPlanner<Request, Copy, Situation>,
): Command<Request, Copy, CopySituation<Situation>, CopyResult> {
  return {
    ...planner,
    copies: true,
    async read(planning, name, request) {
      const { session, options } = planning
      const { diskFree = null } = options
      const of = await planner.read(planning, name, request)
      if (of instanceof Refusal) return of
      const planned = withRoom(planner.plan(of, request), diskFree)
      const keeping = keepingOf(planned)
      const source = planned.rebuild?.forward.source
      const notCopyable = source === undefined ? [] : await readNotCopyable(session, source)
      const leftOut = keeping === null ? [] : await inSnapshot(session, () => readLeftOutReferences(session, keeping))
      const archived = planned.rebuild?.archive == null ? undefined : source
      const notReadBack = archived === undefined ? [] : await readNotReadBack(session, archived)
      const tooWide = await isTooWideToArchive(session, planned.rebuild)
      return { of, diskFree, leftOut, notCopyable, notReadBack, tooWide, silent: await readSilentStandbys(session) }
    },
    plan({ of, diskFree, leftOut, silent, notCopyable = [], notReadBack = [], tooWide = false }, request) {
      const planned = withTransport(planner.plan(of, request), notCopyable)
      const plan = withStandbys(withArchive(withRoom(planned, diskFree), notReadBack, tooWide), silent)
      const keeping = keepingOf(plan)
      return keeping === null ? plan : withReferences(plan, keeping, leftOut)
    },
    async verify(planning, name, { of, leftOut }, request) {
      await planner.verify(planning, name, of, request)
      const keeping = keepingOf(planner.plan(of, request))
      assertFoundAgain(name, leftOut, keeping === null ? [] : await readReferring(planning.session, keeping))
    },
    nothingToDo: (plan, runId) =>
      runId === null ? null : { runId, plan, steps: [], swap: null, nothingToDo: true, receipt: null },
    /** A store that cannot be written to shows before hours of copying. */
    async beforeBegin({ signal }, { archive }) {
      if (archive !== undefined) await withTriedStore(archive, signal, () => Promise.resolve())
    },
    carryOut: carryOutCopy,
    abandon: (run, done, present) => planAbandonRebuild(run.id, rebuildOf(run), present, done, run.shadowOid),
    findTable: (session, run) => capturedTable(session, rebuildOf(run).forward.capture),
    rollback: readCopyRollback,
  }
}

/** The plan, with the standbys that cannot be waited for. */
function withStandbys<Copy extends RebuildPlan>(plan: Copy, silent: readonly string[]): Copy {
  return { ...plan, notes: [...plan.notes, ...standbyNotes(silent)] }
}

/** The plan, with objections if the rows left out could not be archived, or not be restored. */
function withArchive<Copy extends RebuildPlan>(
  plan: Copy,
  notReadBack: readonly NotReadBack[],
  tooWide: boolean,
): Copy {
  const { rebuild } = plan
  if (rebuild === null) return plan
  const { original } = rebuild
  const objections = [...notRestorable(original, notReadBack), ...when(tooWide, () => tooWideForParquet(original.name))]
  if (objections.length === 0) return plan
  return { ...plan, steps: [], rebuild: null, objections: [...plan.objections, ...objections] }
}

async function isTooWideToArchive(session: Session, rebuild: RebuildSummary | null): Promise<boolean> {
  if (rebuild?.archive == null || rebuild.forward.keep === null) return false
  const { archive, forward } = rebuild
  const rows = { table: forward.source, chosen: leftOutBy(rebuild.forward.keep), settings: forward.settings }
  return inSnapshot(session, () => isTooWide(session, archive.to, rows))
}

/** The plan, with an objection if the disk space is known to be too small. */
function withRoom<Copy extends RebuildPlan>(plan: Copy, diskFree: number | null): Copy {
  const needed = plan.rebuild?.diskBytes
  if (diskFree === null || needed === undefined || needed <= diskFree) return plan
  return { ...plan, steps: [], rebuild: null, objections: [...plan.objections, notEnoughDisk(needed, diskFree)] }
}

/** Executes the plan. */
async function carryOutCopy(run: RunContext, plan: RebuildPlan): Promise<CopyResult> {
  const { session, journalSchema, runId } = run
  const { rebuild } = plan
  if (rebuild === null) throw new Error(`run ${runId} has no rebuild`)
  const alongside: Alongside = {
    shadow: () => [recordShadow(session, journalSchema, runId, rebuild.shadow)],
    capture: () => [recordCapture(session, journalSchema, runId, rebuild.forward, 'all')],
    swap: () => [
      recordCapture(session, journalSchema, runId, rebuild.back, 'of partitions'),
      ...(rebuild.policy === null ? [] : [registerSet(session, journalSchema, plan.table, rebuild.policy, runId)]),
    ],
  }
  if (await isGivenBack(run, rebuild)) await giveBack(run, rebuild)
  const steps = await orGivingBack(executeRun(run, plan.steps, alongside), {
    // After the swap the space is used by the retired table, which a rollback needs.
    holds: async () => !(await done(run)).has('swap'),
    giveBack: () => giveBack(run, rebuild),
  })
  const archives = rebuild.archive == null ? [] : await archivesOfRun(session, journalSchema, runId)
  const receipt = archives.at(-1)?.receipt ?? null
  await endRun(session, journalSchema, runId, 'done', { steps })
  const swap = steps.find(({ key }) => key === 'swap')?.lock ?? null
  return { runId, plan, steps, swap, nothingToDo: false, receipt }
}

function done({ session, journalSchema, runId }: RunContext): Promise<ReadonlySet<string>> {
  return doneSteps(session, journalSchema, runId)
}

async function giveBack(run: RunContext, rebuild: RebuildSummary): Promise<void> {
  const { shadowOid = null } = (await runById(run.session, run.journalSchema, run.runId)) ?? {}
  await undoAll(run, abandonSteps(rebuild, rebuild.forward.source, await done(run), shadowOid))
}

/** The run was killed while it freed its space: its shadow was dropped, and the journal does not know. */
async function isGivenBack(run: RunContext, { shadow }: RebuildSummary): Promise<boolean> {
  const keys = await done(run)
  if (!keys.has('shadow') || keys.has('swap')) return false
  const { gone } = await readOne<{ gone: boolean }>(
    run.session,
    sql`select to_regclass(${quoted(shadow).text}) is null as gone`,
  )
  return gone
}

/**
 * The number of rows a copy of `source` keeps: known from the plan if it keeps all, otherwise the planner's estimate;
 * null where there are no statistics.
 */
export async function readKeptRows(
  session: Session,
  source: TableModel,
  settings: ConditionSettings,
  plan: (keptRows: number | null) => RebuildPlan,
): Promise<number | null> {
  const all = source.estimatedRows
  const keep = plan(all).rebuild?.forward.keep ?? null
  if (keep === null) return all
  return byStatistics(source, await readRowEstimate(session, source.name, { written: keep, text: keep }, settings))
}

/** An estimate of the planner, which has one of any table. */
export function byStatistics({ estimatedRows }: Pick<TableModel, 'estimatedRows'>, planned: number): number | null {
  return estimatedRows === null || estimatedRows === 0 ? estimatedRows : planned
}
