import type { Target } from '../db/session.ts'
import type { EngineOptions } from '../engine/options.ts'
import * as retired from '../engine/runs/retired.ts'
import * as runs from '../engine/runs/runs.ts'
import type { Plan } from '../plan/language/step.ts'
import type { RollbackPlan } from '../plan/partition/rollback.ts'
import { STATUS } from '../requests/inspect.ts'
import type { Options } from '../requests/option.ts'
import { ABANDON, resolveRun, RESUME, RETIRE, ROLLBACK, type NamedRun } from '../requests/runs.ts'
import type { Spec } from '../requests/spec.ts'
import { call, readCall, type Call } from './call.ts'
import type { Database, Table } from './database.ts'
import { forJson } from './plain-json.ts'
import type { DatabaseOptions, LockOptions, Options as AcceptOptions, PaceOptions } from './options.ts'

/** Unfinished and recent runs, and the tables managed by rotate. */
export async function status(database: Database, options: DatabaseOptions = {}): Promise<runs.StatusReport> {
  const { target, engine } = readCall(database, STATUS, options)
  return forJson(await runs.status(target, engine))
}

/** Which run is meant. */
export interface RunOptions extends LockOptions {
  /** The number of a run, also as text as in results (`runId`), or its table; by default the only one. */
  readonly run?: number | bigint | Table
}

/** The same, of a command whose plan may have objections. */
export interface RollbackOptions extends RunOptions, AcceptOptions {}

export interface ResumeOptions extends RollbackOptions {
  readonly pace?: PaceOptions
}

/**
 * Resumes an unfinished run; without `execute`, what is left of it.
 *
 * @throws {UsageError} when there is no such run, or none that is unfinished
 */
export const resume = runCall<ResumeOptions, runs.Remainder, runs.RunResult>(RESUME, runs.planResumeOf, runs.resume)

/**
 * Undoes the preparations of an unfinished run.
 *
 * @throws {UsageError} when there is no such run, or none that is unfinished
 */
export const abandon = runCall<RunOptions, Plan, runs.RunResult>(ABANDON, runs.planAbandonOf, runs.abandon)

/**
 * Undoes a finished run: a partitioned table becomes a plain one again; after a
 * copy the retired table comes back with every write made since.
 *
 * @throws {UsageError} when there is no such run, or none that can be rolled back
 * @throws {ObjectionsError} with `execute`, when rows would be lost; without, this is in the plan
 */
export const rollback = runCall<RollbackOptions, RollbackPlan, runs.RunResult>(
  ROLLBACK,
  runs.planRollbackOf,
  runs.rollback,
)

/** The same; the run has to be named. */
export interface RetireOptions extends RunOptions {
  readonly run: number | bigint | Table
  /** Drops the rows left out without archiving them, even if an archive was requested. */
  readonly noArchive?: boolean
}

/**
 * Drops the retired table of a finished copy, for good. `retirable` tells which there are. Rows left out that are to be
 * archived are archived before.
 *
 * @throws {UsageError} when there is no such run, or its retired table is gone
 */
export const retire: Call<RetireOptions, Plan, runs.RunResult> = call(
  RETIRE,
  async ({ target, request, engine, values: { noArchive } }) => {
    const choice = await resolveRun(target, request)
    return {
      plan: () => runs.planRetireOf(target, choice, engine, { noArchive }),
      carryOut: () => runs.retire(target, choice, engine, { noArchive }),
    }
  },
)

/** The retired tables of copies that are still there, the oldest first. */
export async function retirable(database: Database, options: DatabaseOptions = {}): Promise<retired.RetiredTable[]> {
  const { target, engine } = readCall(database, STATUS, options)
  return retired.retirable(target, engine)
}

/** As any call, and where the run need not be named the options may be left away. */
type RunCall<Given, Plan, Outcome> = Call<Given, Plan, Outcome> & ((database: Database) => Promise<Plan>)

function runCall<Given, Plan, Outcome>(
  spec: Spec<Options, NamedRun>,
  plan: (target: Target, choice: runs.RunChoice, options: EngineOptions) => Promise<Plan>,
  carryOut: (target: Target, choice: runs.RunChoice, options: EngineOptions) => Promise<Outcome>,
): RunCall<Given, Plan, Outcome> {
  const called = call<Given, Plan, Outcome, Options, NamedRun>(spec, async ({ target, request, engine }) => {
    const choice = await resolveRun(target, request)
    return { plan: () => plan(target, choice, engine), carryOut: () => carryOut(target, choice, engine) }
  })
  return called as RunCall<Given, Plan, Outcome>
}
