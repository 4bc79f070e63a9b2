import { resolveTable } from '../../catalog/table/read-table.ts'
import { readClock } from '../../db/clock.ts'
import { withSession, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { journalExists, latestRun } from '../../journal/journal.ts'
import type { MarkRequest } from '../../plan/purge/mark.ts'
import type { PurgePlan } from '../../plan/purge/purge.ts'
import type { PurgeRequest, StaleRows } from '../../plan/purge/request.ts'
import type { SavedPlan } from '../../plan/language/saved.ts'
import type { Plan } from '../../plan/language/step.ts'
import type { TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { mark } from './mark.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { planCommand } from '../plan-command.ts'
import { carryOut } from '../run.ts'
import { asSaved, assertStillAsSaved, notAsSaved, planAndDescribe, planToSave, wasCarriedOut } from '../saved-plan.ts'
import { purge, type PurgeResult } from './purge.ts'

/** Where groups are flagged before their rows are deleted. */
export interface Flag {
  /** The table referenced by the group's foreign key. */
  readonly table: WrittenName
  readonly column: string
}

export type StalePurgeRequest = PurgeRequest & { readonly rows: StaleRows }

/** Both parts of a stale purge; they are two runs, one on each table. */
export interface StalePlan extends Plan {
  /** Null if nothing is flagged. */
  readonly flag: PurgePlan | null
  readonly purge: PurgePlan
}

export interface StaleResult {
  readonly flagged: PurgeResult | null
  readonly purged: PurgeResult
}

/** Plans what would be flagged and deleted. Reads in READ ONLY transactions and changes nothing. */
export async function planStaleOf(
  target: Target,
  written: WrittenName,
  request: StalePurgeRequest,
  flag: Flag | null,
  options: EngineOptions,
): Promise<StalePlan> {
  const flagging = flag === null ? null : await planFlag(target, written, request, flag, options)
  const purging = await planCommand(target, written, purge, request, options)
  return together(flagging, purging)
}

/** The same, and what to save of both plans: null if one has objections, or nothing is to be deleted. */
export async function planStaleToSave(
  target: Target,
  written: WrittenName,
  request: StalePurgeRequest,
  flag: Flag | null,
  options: EngineOptions,
): Promise<{ readonly plan: StalePlan; readonly saved: readonly SavedPlan[] | null }> {
  const table = await tableOf(target, written, options)
  const fixed = { ...options, now: String(await withSession(target, 'plan purge', readClock)) }
  const flagging =
    flag === null ? null : await planAndDescribe(target, flag.table, mark, flagRequest(table, request, flag), fixed)
  const purging = await planToSave(target, table, purge, request, fixed)
  const plan = together(flagging?.plan ?? null, purging.plan)
  if (purging.saved === null || plan.objections.length > 0) return { plan, saved: null }
  return { plan, saved: [...(flagging?.saved == null ? [] : [flagging.saved]), purging.saved] }
}

/**
 * Flags the groups without activity in their parent table, then deletes their
 * rows; a group that becomes active in between is left alone.
 *
 * @param saved the plans that this has to be; null if any
 * @throws {ObjectionsError} when there are reasons not to start with either
 */
export async function purgeStale(
  target: Target,
  written: WrittenName,
  request: StalePurgeRequest,
  flag: Flag | null,
  options: EngineOptions,
  saved: readonly SavedPlan[] | null = null,
): Promise<StaleResult> {
  const table = await tableOf(target, written, options)
  const { flagging, purging } = partsOf(saved, flag)
  const last = asSaved(options, purging)
  // A run to be resumed has its horizon already, and its groups are flagged.
  if (await isUnderWay(target, table, options))
    return { flagged: null, purged: await carryOut(target, table, purge, request, last) }
  const now = purging?.now ?? String(await withSession(target, 'plan purge', readClock))
  const fixed = { ...options, now }
  const plan = await planStaleOf(target, table, request, flag, fixed)
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  // No group is flagged if its rows are then left.
  if (purging !== null) await assertStillAsSaved(target, table, purge, request, last)
  const flagged =
    flag === null || (await wasFlagged(target, flagging, options))
      ? null
      : await carryOut(target, flag.table, mark, flagRequest(table, request, flag), asSaved(fixed, flagging))
  return { flagged, purged: await carryOut(target, table, purge, request, { ...fixed, ...last }) }
}

/** @throws {EbbError} if they are not the plans of such a purge */
function partsOf(
  saved: readonly SavedPlan[] | null,
  flag: Flag | null,
): { readonly flagging: SavedPlan | null; readonly purging: SavedPlan | null } {
  if (saved === null) return { flagging: null, purging: null }
  const [purging, flagging, ...others] = saved.toReversed()
  if (purging === undefined || (flagging === undefined) !== (flag === null) || others.length > 0)
    throw notAsSaved(['it was made with other options'])
  return { flagging: flagging ?? null, purging }
}

/** It was stopped between the two runs. */
async function wasFlagged(
  target: Target,
  flagging: SavedPlan | null,
  { journalSchema }: EngineOptions,
): Promise<boolean> {
  if (flagging === null) return false
  return withSession(target, 'plan purge', (session) => wasCarriedOut(session, journalSchema, flagging))
}

async function planFlag(
  target: Target,
  written: WrittenName,
  request: StalePurgeRequest,
  flag: Flag,
  options: EngineOptions,
): Promise<PurgePlan> {
  return planCommand(
    target,
    flag.table,
    mark,
    flagRequest(await tableOf(target, written, options), request, flag),
    options,
  )
}

function tableOf(target: Target, written: WrittenName, options: EngineOptions): Promise<TableName> {
  return readPatiently(target, 'plan purge', options, (session) => resolveTable(session, written))
}

async function isUnderWay(target: Target, table: TableName, options: EngineOptions): Promise<boolean> {
  const { journalSchema } = options
  return readPatiently(target, 'plan purge', options, async (session) => {
    if (!(await journalExists(session, journalSchema))) return false
    const run = await latestRun(session, journalSchema, table)
    return run?.status === 'running' && run.command === 'purge'
  })
}

// Flagging all groups is allowed if all are stale.
function flagRequest(table: TableName, { rows, vacuum }: StalePurgeRequest, { column }: Flag): MarkRequest {
  return { rows: { ...rows, kind: 'stale-parents', table }, column, allRows: true, vacuum }
}

function together(flag: PurgePlan | null, purge: PurgePlan): StalePlan {
  if (flag === null) return { ...purge, flag, purge }
  const objections = [
    ...flag.objections,
    ...purge.objections.filter(({ code }) => !flag.objections.some((one) => one.code === code)),
  ]
  // If one of them has objections, neither is started.
  if (objections.length > 0) return { ...purge, flag, purge, evidence: [], notes: [], steps: [], objections }
  return {
    ...purge,
    flag,
    purge,
    evidence: [...flag.evidence, ...purge.evidence],
    objections,
    notes: [...new Set([...flag.notes, ...purge.notes])],
    steps: [...flag.steps.map((step) => ({ ...step, key: `flag ${step.key}` })), ...purge.steps],
  }
}
