import type { Target } from '../db/session.ts'
import { resolveName } from '../engine/commands/inspect.ts'
import * as former from '../engine/runs/retired.ts'
import * as runs from '../engine/runs/runs.ts'
import type { RollbackPlan } from '../plan/partition/rollback.ts'
import type { Plan } from '../plan/language/step.ts'
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
export async function resume(
  database: Database,
  options: RunOptions & { readonly execute: true },
): Promise<runs.RunResult>
export async function resume(
  database: Database,
  options?: RunOptions & { readonly execute?: false },
): Promise<runs.Remainder>
export async function resume(
  database: Database,
  options: RunOptions & { readonly execute?: boolean } = {},
): Promise<runs.Remainder | runs.RunResult> {
  const arrangement = await runArrangement(database, options)
  return options.execute === true ? runs.resume(...arrangement) : runs.planResumeOf(...arrangement)
}

/**
 * Takes back what an unfinished run has prepared.
 *
 * @throws {UsageError} when there is no such run, or none that is unfinished
 */
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
 * @throws {UsageError} when there is no such run, or none to go back from
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

/** The former tables that copies have put aside and that are still there, the oldest first. */
export async function retirable(database: Database, options: Options = {}): Promise<former.RetiredTable[]> {
  return former.retirable(targetOf(database), complete(options))
}

async function runArrangement(database: Database, options: RunOptions) {
  const target = targetOf(database)
  return [target, await choiceOf(target, options.run), complete(options)] as const
}

async function choiceOf(target: Target, run: RunOptions['run']): Promise<runs.RunChoice> {
  if (run === undefined) return null
  if (typeof run === 'number' || typeof run === 'bigint') return { runId: String(run) }
  if (typeof run === 'string' && /^\d+$/.test(run)) return { runId: run }
  return { table: await resolveName(target, writtenName(run)) }
}
