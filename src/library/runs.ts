import type { Target } from '../db/session.ts'
import { resolveName } from '../engine/commands/inspect.ts'
import * as former from '../engine/runs/retired.ts'
import * as runs from '../engine/runs/runs.ts'
import type { RollbackPlan } from '../plan/partition/rollback.ts'
import type { Plan } from '../plan/language/step.ts'
import type { EngineOptions } from '../engine/options.ts'
import { call, type Call } from './call.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type Options, type PacedOptions } from './options.ts'

/** Unfinished and recent runs, and the sets that rotate keeps. */
export async function status(database: Database, options: Options = {}): Promise<runs.StatusReport> {
  return runs.status(targetOf(database), complete(options))
}

/** Which run is meant. */
export interface RunOptions extends PacedOptions {
  /** A run's number, also as text, as results have it (`runId`); or a table; without it the only run there is. */
  readonly run?: number | bigint | Table
}

/**
 * Goes on with an unfinished run; without `execute`, what is left of it.
 *
 * @throws {UsageError} when there is no such run, or none that is unfinished
 */
export const resume = runCall<RunOptions, runs.Remainder, runs.RunResult>(runs.planResumeOf, runs.resume)

/**
 * Takes back what an unfinished run has prepared.
 *
 * @throws {UsageError} when there is no such run, or none that is unfinished
 */
export const abandon = runCall<RunOptions, Plan, runs.RunResult>(runs.planAbandonOf, runs.abandon)

/**
 * Goes back after a finished run: a converted table becomes a plain one again;
 * after a copy the former table comes back with every write made since.
 *
 * @throws {UsageError} when there is no such run, or none to go back from
 * @throws {ObjectionsError} with `execute`, when rows would be lost; without, that is in the plan
 */
export const rollback = runCall<RunOptions, RollbackPlan, runs.RunResult>(runs.planRollbackOf, runs.rollback)

/** As for the others, but the run has to be named. */
export interface RetireOptions extends RunOptions {
  readonly run: number | bigint | Table
}

/**
 * Lets the former table of a finished copy go, for good: a run has to be named.
 * `retirable` tells which there are.
 *
 * @throws {UsageError} when there is no such run, or its former table is not there any more
 */
export const retire = runCall<RetireOptions, Plan, runs.RunResult>(runs.planRetireOf, runs.retire) as Call<
  RetireOptions,
  Plan,
  runs.RunResult
>

/** The former tables that copies have put aside and that are still there, the oldest first. */
export async function retirable(database: Database, options: Options = {}): Promise<former.RetiredTable[]> {
  return former.retirable(targetOf(database), complete(options))
}

/** As any call, and where the run need not be named the options may be left away. */
type RunCall<Options, Plan, Outcome> = Call<Options, Plan, Outcome> & ((database: Database) => Promise<Plan>)

function runCall<Options extends RunOptions, Plan, Outcome>(
  plan: (target: Target, choice: runs.RunChoice, options: EngineOptions) => Promise<Plan>,
  carryOut: (target: Target, choice: runs.RunChoice, options: EngineOptions) => Promise<Outcome>,
): RunCall<Options, Plan, Outcome> {
  return call(async (database, options: RunOptions = {}) => {
    const target = targetOf(database)
    const given = [target, await choiceOf(target, options.run), complete(options)] as const
    return { plan: () => plan(...given), carryOut: () => carryOut(...given) }
  }) as unknown as RunCall<Options, Plan, Outcome>
}

async function choiceOf(target: Target, run: RunOptions['run']): Promise<runs.RunChoice> {
  if (run === undefined) return null
  if (typeof run === 'number' || typeof run === 'bigint') return { runId: String(run) }
  if (typeof run === 'string' && /^\d+$/.test(run)) return { runId: run }
  return { table: await resolveName(target, writtenName(run)) }
}
