import { resolveTable } from '../../catalog/table/read-table.ts'
import { readClock } from '../../db/clock.ts'
import { withSession, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { journalExists, latestRun } from '../../journal/journal.ts'
import type { MarkRequest } from '../../plan/purge/mark.ts'
import type { PurgePlan } from '../../plan/purge/purge.ts'
import type { PurgeRequest, StaleRows } from '../../plan/purge/request.ts'
import type { Plan } from '../../plan/language/step.ts'
import type { TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { mark } from './mark.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { planCommand } from '../plan-command.ts'
import { carryOut } from '../run.ts'
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

/**
 * Flags the groups without activity in their parent table, then deletes their
 * rows; a group that becomes active in between is left alone.
 *
 * @throws {ObjectionsError} when there are reasons not to start with either
 */
export async function purgeStale(
  target: Target,
  written: WrittenName,
  request: StalePurgeRequest,
  flag: Flag | null,
  options: EngineOptions,
): Promise<StaleResult> {
  const table = await tableOf(target, written, options)
  // A run to be resumed has its horizon already, and its groups are flagged.
  if (await isUnderWay(target, table, options))
    return { flagged: null, purged: await carryOut(target, table, purge, request, options) }
  const now = await withSession(target, 'plan purge', readClock)
  const fixed = { ...options, now: String(now) }
  const plan = await planStaleOf(target, table, request, flag, fixed)
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  const flagged =
    flag === null ? null : await carryOut(target, flag.table, mark, flagRequest(table, request, flag), fixed)
  return { flagged, purged: await carryOut(target, table, purge, request, fixed) }
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
