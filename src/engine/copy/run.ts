import { readRowEstimate } from '../../catalog/condition/condition.ts'
import { readLeftOutReferences, readReferring, type LeftOutReference } from '../../catalog/references/left-out.ts'
import { readSilentStandbys } from '../../catalog/standbys.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { inSnapshot, readOne, type Session, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { doneSteps, endRun } from '../../journal/journal.ts'
import { registerSet } from '../../journal/sets.ts'
import { keepingOf, withReferences } from '../../plan/copy/left-out.ts'
import { notEnoughDisk } from '../../plan/copy/disk-space.ts'
import type { RebuildPlan, RebuildSummary } from '../../plan/copy/rebuild.ts'
import { abandonSteps } from '../../plan/copy/undo.ts'
import { standbyNotes } from '../../plan/copy/standby-notes.ts'
import type { LockTimes } from '../../events.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { quoted } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { sql } from '../../sql/sql.ts'
import { agreedPlan, beginRun, newPlan, Refusal, type Command } from '../command.ts'
import { recordCapture } from './captured.ts'
import { executeRun, type ExecuteOptions, type StepResult } from '../execute.ts'
import { orGivingBack, undoAll } from './give-back.ts'
import { assertFoundAgain } from '../found-again.ts'
import type { EngineOptions, PlanOptions } from '../options.ts'
import { withTable, type TableContext } from '../table-context.ts'

// What all commands that copy have in common: plan, or find the plan that was
// agreed to; then carry it out to its end.

/** Commands whose runs copy a table; the names stand in the journal. */
export const COPY_COMMANDS = ['rebuild', 'partition-copy', 'split']

/** What a copy has come to. */
export interface CopyResult {
  readonly runId: string
  readonly plan: RebuildPlan
  /** Of this call; those an earlier call had done are not repeated. */
  readonly steps: readonly StepResult[]
  /** What the swap has cost the others; null when an earlier call did it. */
  readonly swap: LockTimes | null
  /** The same command had done it all before. */
  readonly nothingToDo: boolean
}

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planCopy<Copy extends RebuildPlan>(
  target: Target,
  written: WrittenName,
  command: Command<Copy>,
  options: EngineOptions,
): Promise<Copy> {
  return newPlan(target, written, copyCommand(command, options), options)
}

/** Starts a copy, or goes on with the one that was interrupted. */
export async function runCopy(
  target: Target,
  written: WrittenName,
  command: Command<RebuildPlan>,
  options: EngineOptions,
): Promise<CopyResult> {
  const copying = copyCommand(command, options)
  const agreed = await agreedPlan(target, written, copying, options)
  const { server, name, plan, doneBy } = agreed
  if (doneBy !== null) return { runId: doneBy, plan, steps: [], swap: null, nothingToDo: true }
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return withTable({ target, server, ...options, command: command.name }, name, async (context) => {
    const begun = await beginRun(context, copying, agreed)
    return carryOutCopy(begun.runId, begun.plan, context, options)
  })
}

/** What a copy depends on besides its table. */
export interface CopySituation<Situation> {
  readonly of: Situation
  /** Null where it is not known. */
  readonly diskFree: number | null
  readonly leftOut: readonly LeftOutReference[]
  /** Standbys that cannot be waited for. */
  readonly silent: readonly string[]
}

/** The command with plans that also know whether there is room, and what would refer to nothing. */
export function copyCommand<Copy extends RebuildPlan, Situation>(
  command: Command<Copy, Situation>,
  options: PlanOptions,
): Command<Copy, CopySituation<Situation>> {
  const diskFree = options.diskFree ?? null
  return {
    ...command,
    async read(session, server, name) {
      const of = await command.read(session, server, name)
      if (of instanceof Refusal) return of
      const keeping = keepingOf(withRoom(command.plan(of), diskFree))
      const leftOut = keeping === null ? [] : await inSnapshot(session, () => readLeftOutReferences(session, keeping))
      return { of, diskFree, leftOut, silent: await readSilentStandbys(session) }
    },
    plan({ of, diskFree, leftOut, silent }) {
      const plan = withStandbys(withRoom(command.plan(of), diskFree), silent)
      const keeping = keepingOf(plan)
      return keeping === null ? plan : withReferences(plan, keeping, leftOut)
    },
    async verify(session, server, name, { of, leftOut }) {
      await command.verify(session, server, name, of)
      const keeping = keepingOf(command.plan(of))
      assertFoundAgain(name, leftOut, keeping === null ? [] : await readReferring(session, keeping))
    },
  }
}

/** The plan, and who cannot be waited for. */
function withStandbys<Copy extends RebuildPlan>(plan: Copy, silent: readonly string[]): Copy {
  return { ...plan, notes: [...plan.notes, ...standbyNotes(silent)] }
}

/** The plan, or an objection to it where it is known that there is not disk enough. */
function withRoom<Copy extends RebuildPlan>(plan: Copy, diskFree: number | null): Copy {
  const needed = plan.rebuild?.diskBytes
  if (diskFree === null || needed === undefined || needed <= diskFree) return plan
  return { ...plan, steps: [], rebuild: null, objections: [...plan.objections, notEnoughDisk(needed, diskFree)] }
}

/** Takes an agreed plan to its end. */
export async function carryOutCopy(
  runId: string,
  plan: RebuildPlan,
  context: TableContext,
  options: EngineOptions,
): Promise<CopyResult> {
  const { session, journalSchema } = context
  const { rebuild } = plan
  if (rebuild === null) throw new Error(`run ${runId} has no rebuild`)
  const alongside: ExecuteOptions['alongside'] = {
    capture: () => [recordCapture(session, journalSchema, runId, rebuild.forward, 'all')],
    swap: () => [
      recordCapture(session, journalSchema, runId, rebuild.back, 'of partitions'),
      ...(rebuild.policy === null ? [] : [registerSet(session, journalSchema, plan.table, rebuild.policy, runId)]),
    ],
  }
  if (await isGivenBack(runId, rebuild, context)) await giveBack(runId, rebuild, context)
  const execute = executeRun(runId, plan.steps, context, { alongside, lockLimits: options.lockLimits })
  const steps = await orGivingBack(execute, {
    holds: () => isBeforeSwap(runId, context),
    giveBack: () => giveBack(runId, rebuild, context),
  })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps, swap: steps.find(({ key }) => key === 'swap')?.lock ?? null, nothingToDo: false }
}

async function giveBack(runId: string, rebuild: RebuildSummary, context: TableContext): Promise<void> {
  const done = await doneSteps(context.session, context.journalSchema, runId)
  await undoAll(runId, abandonSteps(rebuild, rebuild.forward.source, done), context)
}

/** The run was killed while it gave back what it had taken: its shadow is gone, and its journal does not know. */
async function isGivenBack(runId: string, { shadow }: RebuildSummary, context: TableContext): Promise<boolean> {
  const done = await doneSteps(context.session, context.journalSchema, runId)
  if (!done.has('shadow') || done.has('swap')) return false
  const { gone } = await readOne<{ gone: boolean }>(
    context.session,
    sql`select to_regclass(${quoted(shadow).text}) is null as gone`,
  )
  return gone
}

/** After it, what takes the room is the retired table, which is the way back. */
async function isBeforeSwap(runId: string, context: TableContext): Promise<boolean> {
  return !(await doneSteps(context.session, context.journalSchema, runId)).has('swap')
}

/**
 * How many rows a copy of `source` keeps: which, is known from the plan for all of them, and the server's planner is
 * asked where some are left out.
 */
export async function readKeptRows(
  session: Session,
  source: TableModel,
  settings: ConditionSettings,
  plan: (keptRows: number) => RebuildPlan,
): Promise<number> {
  const all = source.estimatedRows ?? 0
  const keep = plan(all).rebuild?.forward.keep ?? null
  return keep === null ? all : readRowEstimate(session, source.name, { written: keep, text: keep }, settings)
}
