import type { Writable } from 'node:stream'
import type pg from 'pg'
import type { Target } from './db/session.ts'
import * as advising from './engine/advise.ts'
import { PATIENCE } from './engine/brief.ts'
import * as inspecting from './engine/inspect.ts'
import * as partitioning from './engine/partition.ts'
import { planResumeOf, type Remainder } from './engine/remaining.ts'
import * as former from './engine/former.ts'
import type { CopyResult } from './engine/copy-run.ts'
import { partitionByCopy, planPartitionCopyOf } from './engine/partition-copy.ts'
import * as reviewing from './engine/candidate-review.ts'
import { planCandidatesOf, writeCandidates, type CandidatesResult } from './engine/candidates.ts'
import * as marking from './engine/mark.ts'
import { readMarkedCondition } from './engine/marked.ts'
import * as purging from './engine/purge.ts'
import * as staling from './engine/purge-stale.ts'
import * as viewing from './engine/view.ts'
import type { StoredSet } from './journal/candidates.ts'
import type { CandidatePlan } from './plan/candidates.ts'
import * as rebuilding from './engine/rebuild.ts'
import * as rotating from './engine/rotate.ts'
import * as runs from './engine/runs.ts'
import * as splitting from './engine/split.ts'
import { UsageError } from './errors.ts'
import { validateTimezone } from './grid/grid.ts'
import { parseInterval } from './grid/interval.ts'
import { DEFAULT_SCHEMA } from './journal/journal.ts'
import { DEFAULT_PACE, LIGHT_PACE, type PaceSettings, type Pacing } from './pacing/limits.ts'
import { parseWindow } from './pacing/window.ts'
import type { WaysAdvice } from './plan/advise.ts'
import { parseWidth } from './plan/parse-width.ts'
import type { Transport } from './plan/copy-work.ts'
import type { PartitionPlan } from './plan/partition.ts'
import type { PurgePlan, PurgeRequest } from './plan/purge.ts'
import type { ViewPlan } from './plan/view.ts'
import type { RebuildPlan } from './plan/rebuild.ts'
import type { PartitionRequest } from './plan/request.ts'
import type { RollbackPlan } from './plan/rollback.ts'
import type { RotationPlan } from './plan/rotate-plan.ts'
import type { Retire } from './plan/rotate-request.ts'
import type { SplitPlan } from './plan/split.ts'
import type { Plan } from './plan/step.ts'
import type { Observer } from './report/events.ts'
import type { TableName } from './sql/names.ts'
import { parseTableName, type WrittenName } from './sql/parse-name.ts'

// What programs use: `import { partition, rotate } from 'pg-ebb'`. The same as
// the command line, in words of JavaScript: intervals are text, as there.
// Nothing is changed without `execute: true`; a plan is returned instead.

/** The database: a pool (its settings are used, not its connections), a connection string, or settings. */
export type Database = string | pg.Pool | pg.ClientConfig

/** `events`, `public.events`, `"My.Schema"."Events"`: read as SQL reads it; or the two names as they are. */
export type Table = string | TableName

/** What every call takes. */
export interface Options {
  /** The schema of Ebb's own records; `ebb` by default. */
  readonly journalSchema?: string
  /** Stops between two steps, or cancels the one that is running; what was done is kept. */
  readonly signal?: AbortSignal
  /** Is told what happens. */
  readonly observer?: Observer
}

/** What a call takes that asks for locks. */
export interface LockOptions extends Options {
  /** How long others may queue behind us for a lock; 50 by default. */
  readonly lockTimeoutMs?: number
  /** How long to go on trying for a lock; ten minutes by default. */
  readonly deadlineMs?: number
}

/** How a run gives way; what is left out is as on the command line. */
export interface PaceOptions extends Partial<Omit<PaceSettings, 'windows'>> {
  /** Times of the day, such as `22:00-04:00 Europe/Berlin`. */
  readonly windows?: readonly string[]
  /** A file that retunes the run while it is under way. */
  readonly paceFile?: string
}

/** What a call takes that works in pieces: batches, chunks, partitions. */
export interface PacedOptions extends LockOptions {
  readonly pace?: PaceOptions
}

// ---- inspect -------------------------------------------------------------------

/** Looks at a table: what it is, what hangs on it, how it could be partitioned, what could go wrong. */
export async function inspect(database: Database, table: Table, options: Options = {}): Promise<inspecting.Inspection> {
  return inspecting.inspect(targetOf(database), writtenName(table), complete(options))
}

// ---- advise --------------------------------------------------------------------

export interface AdviseOptions extends Options {
  readonly table: Table
  /** The rows worth keeping, as after WHERE. */
  readonly keep?: string
  /** Rows that are older are to go; not beside `keep`. */
  readonly olderThan?: string
}

/** Compares partitioning, rebuilding and deleting: what each would cost, what it means for others, which to take. */
export async function advise(database: Database, options: AdviseOptions): Promise<WaysAdvice> {
  const { keep, olderThan } = options
  if (keep !== undefined && olderThan !== undefined)
    throw new UsageError('keep and olderThan are both given', 'Give one of them, or neither.')
  const request = { keep: keep ?? null, olderThan: olderThan === undefined ? null : parseInterval(olderThan) }
  return advising.advise(targetOf(database), writtenName(options.table), request, complete(options))
}

// ---- partition -----------------------------------------------------------------

export interface PartitionOptions extends LockOptions {
  readonly table: Table
  /** The column that partitions. */
  readonly by: string
  /** `month`, `7 days`; or so many ids: `10_000_000` as text, or a bigint. */
  readonly every: string | bigint
  /** `attach` by default: no row is moved. */
  readonly method?: 'attach'
  readonly keep?: string
  readonly premake?: number
  /** UTC by default. */
  readonly timezone?: string
  readonly expireBy?: string
  readonly accept?: readonly string[]
}

/** How rows are copied, and what becomes of those that are not. */
export interface CopyOptions {
  /** `auto` by default: both are tried on the first chunks. */
  readonly transport?: Transport | 'auto'
  /** Chunks at the same time; 1 by default. */
  readonly jobs?: number
  /** Rows may only be left out with this: there are no archives yet. */
  readonly noArchive?: boolean
  /** The former table goes by itself, by the first `rotate` that long after the end: `7 days`. */
  readonly retireAfter?: string
  /** Free disk on the server, in bytes: a copy that would not fit is not started. */
  readonly diskFree?: number
}

export interface PartitionCopyOptions extends Omit<PartitionOptions, 'method'>, PacedOptions, CopyOptions {
  /** Rows of the keep window are copied into partitions; the former table is kept until `retire`. */
  readonly method: 'copy'
}

/**
 * Turns a table into partitions while it is in use; called again after an
 * interruption it goes on, and called again after its end it has nothing to do.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function partition(
  database: Database,
  options: PartitionOptions & { readonly execute: true },
): Promise<partitioning.PartitionResult>
export async function partition(
  database: Database,
  options: PartitionOptions & { readonly execute?: false },
): Promise<PartitionPlan>
export async function partition(
  database: Database,
  options: PartitionCopyOptions & { readonly execute: true },
): Promise<CopyResult>
export async function partition(
  database: Database,
  options: PartitionCopyOptions & { readonly execute?: false },
): Promise<RebuildPlan>
export async function partition(
  database: Database,
  options: (PartitionOptions | PartitionCopyOptions) & { readonly execute?: boolean },
): Promise<PartitionPlan | RebuildPlan | partitioning.PartitionResult | CopyResult> {
  const target = targetOf(database)
  const table = writtenName(options.table)
  const request = partitionRequest(options)
  const engine = complete(options)
  if (options.method === 'copy') {
    const copying = { ...request, ...copyRequest(options) }
    return options.execute === true
      ? partitionByCopy(target, table, copying, engine)
      : planPartitionCopyOf(target, table, copying, engine)
  }
  return options.execute === true
    ? partitioning.partition(target, table, request, engine)
    : partitioning.planPartitionOf(target, table, request, engine)
}

function copyRequest({ transport = 'auto', jobs = 1, noArchive = false, retireAfter }: CopyOptions) {
  assertWhole('jobs', jobs)
  return { transport, jobs, noArchive, retireAfter: retireAfter === undefined ? null : parseInterval(retireAfter) }
}

function assertWhole(name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 1))
    throw new UsageError(`${name} is ${value}, which is no whole number from 1 on`, 'Give a number such as 3.')
}

function partitionRequest(options: PartitionOptions | PartitionCopyOptions): PartitionRequest {
  const { by, every, keep, premake, timezone = 'UTC', expireBy, accept = [] } = options
  validateTimezone(timezone)
  if (premake !== undefined) assertWhole('premake', premake)
  return {
    by,
    every: parseWidth(String(every)),
    keep: keep === undefined ? null : parseInterval(keep),
    premake: premake ?? null,
    timezone,
    expireBy: expireBy ?? null,
    accept,
  }
}

// ---- rebuild, split ------------------------------------------------------------

export interface RebuildOptions extends PacedOptions, CopyOptions {
  readonly table: Table
  /**
   * The rows worth keeping, as after WHERE; `now()` is fixed once, at the start.
   * Null keeps all, and has to be said.
   */
  readonly keep: string | null
}

/**
 * Builds a table anew around the rows worth keeping while it is in use; called
 * again after an interruption it goes on. The former table is kept until `retire`.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function rebuild(
  database: Database,
  options: RebuildOptions & { readonly execute: true },
): Promise<CopyResult>
export async function rebuild(
  database: Database,
  options: RebuildOptions & { readonly execute?: false },
): Promise<RebuildPlan>
export async function rebuild(
  database: Database,
  options: RebuildOptions & { readonly execute?: boolean },
): Promise<RebuildPlan | CopyResult> {
  const { keep } = options
  if (keep?.trim() === '') throw new UsageError('keep is empty', 'Give a condition, or null to keep all rows.')
  const request = { keep, ...copyRequest(options) }
  const arrangement = [targetOf(database), writtenName(options.table), request, complete(options)] as const
  return options.execute === true ? rebuilding.rebuild(...arrangement) : rebuilding.planRebuildOf(...arrangement)
}

export interface SplitOptions extends PacedOptions, CopyOptions {
  readonly table: Table
  /** The one to divide; by default the first that is wider than the others. */
  readonly partition?: Table
  /** By default the width of the set. */
  readonly every?: string | bigint
  /** Rows that are older are left behind; without it all are kept. */
  readonly keep?: string
}

/**
 * Exchanges a wide partition, such as the history of a converted table, for
 * proper ones. The former partition is kept as a table until `retire`.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function split(database: Database, options: SplitOptions & { readonly execute: true }): Promise<CopyResult>
export async function split(
  database: Database,
  options: SplitOptions & { readonly execute?: false },
): Promise<SplitPlan>
export async function split(
  database: Database,
  options: SplitOptions & { readonly execute?: boolean },
): Promise<SplitPlan | CopyResult> {
  const { partition, every, keep } = options
  const order: splitting.SplitOrder = {
    partition: partition === undefined ? null : writtenName(partition),
    every: every === undefined ? null : parseWidth(String(every)),
    keep: keep === undefined ? null : parseInterval(keep),
    ...copyRequest(options),
  }
  const arrangement = [targetOf(database), writtenName(options.table), order, complete(options)] as const
  return options.execute === true ? splitting.split(...arrangement) : splitting.planSplitOf(...arrangement)
}

// ---- rotate --------------------------------------------------------------------

export interface RotateOptions extends PacedOptions {
  /** Partitioned tables; `all` for those that are registered. */
  readonly tables: readonly Table[] | 'all'
  /** Instead of what is registered. */
  readonly keep?: string
  /** `drop` by default. */
  readonly retire?: Retire
  /** Without it nothing is removed: there are no archives yet. */
  readonly noArchive?: boolean
  readonly accept?: readonly string[]
}

/** Makes partitions ahead and retires those that have expired; what goes wrong with one set is in its report. */
export async function rotate(
  database: Database,
  options: RotateOptions & { readonly execute: true },
): Promise<rotating.RotationReport>
export async function rotate(
  database: Database,
  options: RotateOptions & { readonly execute?: false },
): Promise<RotationPlan[]>
export async function rotate(
  database: Database,
  options: RotateOptions & { readonly execute?: boolean },
): Promise<RotationPlan[] | rotating.RotationReport> {
  const { tables, keep, retire = 'drop', noArchive = false, accept = [] } = options
  const request: rotating.RotateRequest = {
    tables: tables === 'all' ? tables : tables.map(writtenName),
    keep: keep === undefined ? null : parseInterval(keep),
    retire,
    noArchive,
    accept,
  }
  const arrangement = [targetOf(database), request, complete(options, LIGHT_PACE)] as const
  return options.execute === true ? rotating.rotate(...arrangement) : rotating.planRotations(...arrangement)
}

// ---- purge ---------------------------------------------------------------------

export interface PurgeOptions extends Options {
  readonly pace?: PaceOptions
  readonly table: Table
  /** The rows to delete, as after WHERE; `now()` is fixed once, at the start. One of `where`, `candidates` and `marked` is given. */
  readonly where?: string
  /** The rows of a candidate set that have not changed since; who wants them gone is kept with the run. */
  readonly candidates?: { readonly set: number | bigint; readonly approvedBy?: string; readonly ticket?: string }
  /** The rows that `mark` has marked in a column, if need be only those marked longer ago. */
  readonly marked?: { readonly column: string; readonly olderThan?: string }
  /** Without it nothing is deleted: there are no archives yet. */
  readonly noArchive?: boolean
  /** Rows of other tables that refer to them go, too. Without it, rows that are referred to stay. */
  readonly cascade?: boolean
  /** Tables no row of which is to be touched: what leads to one stays, and is reported. */
  readonly protect?: readonly Table[]
  /** Codes of objections to go ahead in spite of. */
  readonly accept?: readonly string[]
  /** Goes along an index that begins with this column. */
  readonly orderBy?: string
  /** It is meant if the condition is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyses what was touched, afterwards; true by default. */
  readonly vacuum?: boolean
  /** How long to come back for rows that others hold locked; a minute by default. */
  readonly deadlineMs?: number
}

/**
 * Deletes rows in batches, each one short transaction; called again after an
 * interruption it goes on where it was.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function purge(
  database: Database,
  options: PurgeOptions & { readonly execute: true },
): Promise<purging.PurgeResult>
export async function purge(
  database: Database,
  options: PurgeOptions & { readonly execute?: false },
): Promise<PurgePlan>
export async function purge(
  database: Database,
  options: PurgeOptions & { readonly execute?: boolean },
): Promise<PurgePlan | purging.PurgeResult> {
  const request = { ...purgeRequest(options), ...(await whichRows(database, options)) }
  const engine = complete({ deadlineMs: purging.DEADLINE_MS, ...options })
  const arrangement = [targetOf(database), writtenName(options.table), request, engine] as const
  return options.execute === true ? purging.purge(...arrangement) : purging.planPurgeOf(...arrangement)
}

function purgeRequest(options: Omit<PurgeOptions, 'where' | 'candidates' | 'marked'>): Omit<PurgeRequest, 'where'> {
  const { noArchive = false, orderBy = null, allRows = false, vacuum = true } = options
  const { cascade = false, protect = [], accept = [] } = options
  return { noArchive, orderBy, allRows, vacuum, cascade, protect: protect.map(writtenName), accept }
}

async function whichRows(
  database: Database,
  { table, where, candidates, marked }: PurgeOptions,
): Promise<Pick<PurgeRequest, 'where' | 'candidates'>> {
  if ([where, candidates, marked].filter((one) => one !== undefined).length !== 1)
    throw new UsageError('one of where, candidates and marked says which rows are meant', 'Give one of them.')
  if (candidates !== undefined) {
    const { set, approvedBy = null, ticket = null } = candidates
    return { where: '', candidates: { set: String(set), approvedBy, ticket } }
  }
  if (marked !== undefined) {
    const olderThan = marked.olderThan === undefined ? null : parseInterval(marked.olderThan)
    return { where: await readMarkedCondition(targetOf(database), writtenName(table), { ...marked, olderThan }) }
  }
  return { where: nonEmpty(where ?? '') }
}

function nonEmpty(where: string): string {
  if (where.trim() === '') throw new UsageError('where is empty', 'Give a condition: which rows are meant.')
  return where
}

// ---- candidates ----------------------------------------------------------------

export interface CandidateOptions extends Options {
  readonly pace?: PaceOptions
  readonly table: Table
  /** The rows to write down, as after WHERE; `now()` is fixed once, at the start. */
  readonly where: string
}

/**
 * Writes the keys of rows into a candidate set, for `purge` to delete later
 * those that have not changed since. No row is touched.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function candidates(
  database: Database,
  options: CandidateOptions & { readonly execute: true },
): Promise<CandidatesResult>
export async function candidates(
  database: Database,
  options: CandidateOptions & { readonly execute?: false },
): Promise<CandidatePlan>
export async function candidates(
  database: Database,
  options: CandidateOptions & { readonly execute?: boolean },
): Promise<CandidatePlan | CandidatesResult> {
  const request = { where: nonEmpty(options.where) }
  const arrangement = [targetOf(database), writtenName(options.table), request, complete(options)] as const
  return options.execute === true ? writeCandidates(...arrangement) : planCandidatesOf(...arrangement)
}

/** Candidate sets, the latest first. */
export async function candidateSets(database: Database, options: Options = {}): Promise<StoredSet[]> {
  return reviewing.candidateSets(targetOf(database), complete(options))
}

/** Some rows of a candidate set, at random and as they are now, each as JSON text. */
export async function sampleCandidates(
  database: Database,
  set: number | bigint,
  rows: number,
  options: Options = {},
): Promise<string[]> {
  return reviewing.sampleCandidates(targetOf(database), String(set), rows, complete(options))
}

/** The keys of a candidate set as CSV with a header; the stream is ended. */
export async function exportCandidates(
  database: Database,
  set: number | bigint,
  to: Writable,
  options: Options = {},
): Promise<void> {
  return reviewing.exportCandidates(targetOf(database), String(set), to, complete(options))
}

/** Notes who wants the candidates gone, and under which ticket. */
export async function approveCandidates(
  database: Database,
  set: number | bigint,
  approval: { readonly approvedBy?: string; readonly ticket?: string },
  options: Options = {},
): Promise<StoredSet> {
  const { approvedBy = null, ticket = null } = approval
  return reviewing.approveCandidates(targetOf(database), String(set), { approvedBy, ticket }, complete(options))
}

/** Lets a candidate set go; its rows stay. */
export async function dropCandidates(
  database: Database,
  set: number | bigint,
  options: Options = {},
): Promise<StoredSet> {
  return reviewing.dropCandidates(targetOf(database), String(set), complete(options))
}

// ---- stale groups --------------------------------------------------------------

export interface StaleOptions extends Omit<PurgeOptions, 'where' | 'candidates' | 'marked'> {
  /** The column that tells the group. */
  readonly group: string
  /** The time of a row's activity. A row without one keeps its group. */
  readonly activity: string
  /** How long nothing must have happened: `90 days`. */
  readonly idle: string
  /** Where the groups are marked first: in the table that the foreign key of `group` leads to. */
  readonly flag?: { readonly table: Table; readonly column: string }
}

/**
 * Deletes all rows of groups without activity; one that becomes active again
 * while it runs keeps its rows.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function purgeStale(
  database: Database,
  options: StaleOptions & { readonly execute: true },
): Promise<staling.StaleResult>
export async function purgeStale(
  database: Database,
  options: StaleOptions & { readonly execute?: false },
): Promise<staling.StalePlan>
export async function purgeStale(
  database: Database,
  options: StaleOptions & { readonly execute?: boolean },
): Promise<staling.StalePlan | staling.StaleResult> {
  const { group, activity, idle, flag } = options
  const stale = { group, activity, idle: parseInterval(idle) }
  const flagged = flag === undefined ? null : { table: writtenName(flag.table), column: flag.column }
  const engine = complete({ deadlineMs: purging.DEADLINE_MS, ...options })
  const request = { ...purgeRequest(options), where: '', stale }
  const arrangement = [targetOf(database), writtenName(options.table), request, flagged, engine] as const
  return options.execute === true ? staling.purgeStale(...arrangement) : staling.planStaleOf(...arrangement)
}

// ---- mark, view ----------------------------------------------------------------

export interface MarkOptions extends Options {
  readonly pace?: PaceOptions
  readonly table: Table
  /** The rows to mark, as after WHERE; `now()` is fixed once, at the start. */
  readonly where: string
  /** Where the mark goes: a boolean becomes true, a time that is NULL the moment of the start. */
  readonly column: string
  /** It is meant if the condition is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyses afterwards; true by default. */
  readonly vacuum?: boolean
  /** How long to come back for rows that others hold locked; a minute by default. */
  readonly deadlineMs?: number
}

/**
 * Marks rows in batches, each one short transaction; called again after an
 * interruption it goes on where it was.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function mark(
  database: Database,
  options: MarkOptions & { readonly execute: true },
): Promise<purging.PurgeResult>
export async function mark(database: Database, options: MarkOptions & { readonly execute?: false }): Promise<PurgePlan>
export async function mark(
  database: Database,
  options: MarkOptions & { readonly execute?: boolean },
): Promise<PurgePlan | purging.PurgeResult> {
  const { where, column, allRows = false, vacuum = true } = options
  const request = { where: nonEmpty(where), column, allRows, vacuum }
  const engine = complete({ deadlineMs: purging.DEADLINE_MS, ...options })
  const arrangement = [targetOf(database), writtenName(options.table), request, engine] as const
  return options.execute === true ? marking.mark(...arrangement) : marking.planMarkOf(...arrangement)
}

export interface ViewOptions extends LockOptions {
  readonly table: Table
  /** By default that of the table with `_live`. */
  readonly name?: Table
  /** Hides rows that are marked in this column. */
  readonly hideMarked?: string
  /** Hides rows for which this is true, as after WHERE; `now()` moves on. */
  readonly expired?: string
  /** Hides rows that are older. */
  readonly keep?: { readonly by: string; readonly interval: string }
}

/**
 * Makes a view without rows that are marked or have expired, or brings it up to date.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export async function view(
  database: Database,
  options: ViewOptions & { readonly execute: true },
): Promise<viewing.ViewResult>
export async function view(database: Database, options: ViewOptions & { readonly execute?: false }): Promise<ViewPlan>
export async function view(
  database: Database,
  options: ViewOptions & { readonly execute?: boolean },
): Promise<ViewPlan | viewing.ViewResult> {
  const { name, hideMarked = null, expired = null, keep } = options
  if ((hideMarked ?? expired ?? keep ?? null) === null)
    throw new UsageError('nothing is to be hidden', 'Give hideMarked, expired or keep.')
  const order: viewing.ViewOrder = {
    name: name === undefined ? null : writtenName(name),
    hideMarked,
    expired: expired === null ? null : nonEmpty(expired),
    keep: keep === undefined ? null : { by: keep.by, interval: parseInterval(keep.interval) },
  }
  const arrangement = [targetOf(database), writtenName(options.table), order, complete(options)] as const
  return options.execute === true ? viewing.keepView(...arrangement) : viewing.planViewOf(...arrangement)
}

// ---- runs ----------------------------------------------------------------------

/** Unfinished and recent runs, and the sets that rotate keeps. */
export async function status(database: Database, options: Options = {}): Promise<runs.StatusReport> {
  return runs.status(targetOf(database), complete(options))
}

export interface RunOptions extends PacedOptions {
  /** A run's number, or a table; without it the only run there is. */
  readonly run?: number | bigint | Table
}

/** Goes on with an unfinished run; without `execute`, what is left of it. */
export async function resume(
  database: Database,
  options: RunOptions & { readonly execute: true },
): Promise<runs.RunResult>
export async function resume(
  database: Database,
  options?: RunOptions & { readonly execute?: false },
): Promise<Remainder>
export async function resume(
  database: Database,
  options: RunOptions & { readonly execute?: boolean } = {},
): Promise<Remainder | runs.RunResult> {
  const arrangement = await runArrangement(database, options)
  return options.execute === true ? runs.resume(...arrangement) : planResumeOf(...arrangement)
}

/** Takes back what an unfinished run has prepared. */
export async function abandon(
  database: Database,
  options: RunOptions & { readonly execute: true },
): Promise<runs.RunResult>
export async function abandon(database: Database, options?: RunOptions & { readonly execute?: false }): Promise<Plan>
export async function abandon(
  database: Database,
  options: RunOptions & { readonly execute?: boolean } = {},
): Promise<Plan | runs.RunResult> {
  const arrangement = await runArrangement(database, options)
  return options.execute === true ? runs.abandon(...arrangement) : runs.planAbandonOf(...arrangement)
}

/**
 * Goes back after a finished run: a converted table becomes a plain one again;
 * after a copy the former table comes back with every write made since.
 *
 * @throws {ObjectionsError} with `execute`, when rows would be lost; without, that is in the plan
 */
export async function rollback(
  database: Database,
  options: RunOptions & { readonly execute: true },
): Promise<runs.RunResult>
export async function rollback(
  database: Database,
  options?: RunOptions & { readonly execute?: false },
): Promise<RollbackPlan>
export async function rollback(
  database: Database,
  options: RunOptions & { readonly execute?: boolean } = {},
): Promise<RollbackPlan | runs.RunResult> {
  const arrangement = await runArrangement(database, options)
  return options.execute === true ? runs.rollback(...arrangement) : runs.planRollbackOf(...arrangement)
}

/**
 * Lets the former table of a finished copy go, for good: a run has to be named.
 * `retirable` tells which there are.
 */
export async function retire(
  database: Database,
  options: RetireOptions & { readonly execute: true },
): Promise<runs.RunResult>
export async function retire(database: Database, options: RetireOptions & { readonly execute?: false }): Promise<Plan>
export async function retire(
  database: Database,
  options: RetireOptions & { readonly execute?: boolean },
): Promise<Plan | runs.RunResult> {
  const arrangement = await runArrangement(database, options)
  return options.execute === true ? runs.retire(...arrangement) : runs.planRetireOf(...arrangement)
}

export interface RetireOptions extends RunOptions {
  readonly run: number | bigint | Table
}

/** The former tables that copies have put aside and that are still there, the oldest first. */
export async function retirable(database: Database, options: Options = {}): Promise<former.FormerTable[]> {
  return former.retirable(targetOf(database), complete(options))
}

async function runArrangement(database: Database, options: RunOptions) {
  const target = targetOf(database)
  return [target, await choiceOf(target, options.run), complete(options)] as const
}

async function choiceOf(target: Target, run: RunOptions['run']): Promise<runs.RunChoice> {
  if (run === undefined) return null
  if (typeof run === 'number' || typeof run === 'bigint') return { runId: String(run) }
  return { table: await inspecting.resolveName(target, writtenName(run)) }
}

// ---- words ---------------------------------------------------------------------

function writtenName(table: Table): WrittenName {
  return typeof table === 'string' ? parseTableName(table) : table
}

function complete(
  options: PacedOptions & Pick<CopyOptions, 'diskFree'>,
  pace = DEFAULT_PACE,
): partitioning.EngineOptions {
  const { lockTimeoutMs = PATIENCE.lockTimeoutMs, deadlineMs = PATIENCE.deadlineMs } = options
  return {
    journalSchema: options.journalSchema ?? DEFAULT_SCHEMA,
    observer: options.observer ?? (() => {}),
    signal: options.signal ?? new AbortController().signal,
    patience: { ...PATIENCE, lockTimeoutMs, deadlineMs },
    pacing: pacingOf(options.pace ?? {}, pace),
    ...(options.diskFree === undefined ? {} : { diskFree: options.diskFree }),
  }
}

function pacingOf({ windows, paceFile, ...given }: PaceOptions, usual: PaceSettings): Pacing {
  const settings = { ...usual, ...given }
  return {
    settings: windows === undefined ? settings : { ...settings, windows: windows.map(parseWindow) },
    paceFile: paceFile ?? null,
  }
}

// By its shape: a program may have a pg of its own, whose classes are not ours. A pool hides its
// password from being copied with the rest of its settings.
function targetOf(database: Database): Target {
  if (typeof database === 'string' || !('options' in database && 'totalCount' in database)) return database
  const { options } = database
  return options.password === undefined ? { ...options } : { ...options, password: options.password }
}

// ---- the rest of the face --------------------------------------------------------

export { EbbError, EXIT, ObjectionsError, UsageError, type Advice, type ExitCode } from './errors.ts'
export { exitCodeOf, type RetiredPartition, type RotationReport, type SetReport } from './engine/rotate.ts'
export { explainRotation } from './plan/explain-rotation.ts'
export { explain } from './plan/explain.ts'
export type { Inspection } from './engine/inspect.ts'
export type { CopyResult } from './engine/copy-run.ts'
export type { FormerTable } from './engine/former.ts'
export type { LettingGo } from './engine/retire-due.ts'
export type { PartitionResult } from './engine/partition.ts'
export type { PurgeResult } from './engine/purge.ts'
export type { Remainder } from './engine/remaining.ts'
export type { RunResult, RunStatusLine, StatusReport } from './engine/runs.ts'
export type { PaceSettings } from './pacing/limits.ts'
export type { PaceSummary } from './pacing/summary.ts'
export type { Way, WaysAdvice } from './plan/advise.ts'
export type { KeyAdvice } from './plan/key-advice.ts'
export type { Transport } from './plan/copy-work.ts'
export type { PartitionPlan } from './plan/partition.ts'
export type { CandidatesResult } from './engine/candidates.ts'
export type { StalePlan, StaleResult } from './engine/purge-stale.ts'
export type { ViewResult } from './engine/view.ts'
export type { StoredSet } from './journal/candidates.ts'
export type { CandidatePlan } from './plan/candidates.ts'
export type { ViewPlan } from './plan/view.ts'
export type { PurgePlan } from './plan/purge.ts'
export type { PurgeWork } from './plan/purge-work.ts'
export type { RebuildPlan, RebuildSummary } from './plan/rebuild.ts'
export type { Risk } from './plan/risks.ts'
export type { RollbackPlan } from './plan/rollback.ts'
export type { Retire } from './plan/rotate-request.ts'
export type { SplitPlan, SplitSummary } from './plan/split.ts'
export type { RotationPlan } from './plan/rotate-plan.ts'
export type { Fate, Lock, Objection, Plan, Step } from './plan/step.ts'
export type { Event, LockTimes, Observer, Progress } from './report/events.ts'
export type { TableName } from './sql/names.ts'
