import type { Target } from '../db/session.ts'
import type { Command, CommandOutcome, StorablePlan } from '../engine/command.ts'
import type { EngineOptions } from '../engine/options.ts'
import { carryOut, planCommand } from '../engine/run.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete } from './options.ts'

/** A command for programs: with `execute: true` it is carried out, and without, its plan is returned. */
export interface Call<Options, Plan, Outcome> {
  (database: Database, options: Options & { readonly execute: true }): Promise<Outcome>
  (database: Database, options: Options & { readonly execute?: false }): Promise<Plan>
  (database: Database, options: Options & { readonly execute?: boolean }): Promise<Plan | Outcome>
}

/** Two ways to answer a call. */
export interface Answers<Plan, Outcome> {
  plan(): Promise<Plan>
  carryOut(): Promise<Outcome>
}

/** The call that `answer` answers. */
export function call<Options extends object, Plan, Outcome>(
  answer: (database: Database, options: Options) => Answers<Plan, Outcome> | Promise<Answers<Plan, Outcome>>,
): Call<Options, Plan, Outcome> {
  const either = async (database: Database, options: Options & { readonly execute?: boolean }) => {
    const answers = await answer(database, options)
    return (options as typeof options | undefined)?.execute === true ? answers.carryOut() : answers.plan()
  }
  return either as Call<Options, Plan, Outcome>
}

/** The call of a command on one table, from the options that it takes. */
export function callOf<
  Options extends { readonly table: Table },
  Request,
  Plan extends StorablePlan,
  Outcome extends CommandOutcome,
>(
  command: Command<Request, Plan, unknown, Outcome>,
  requestOf: (options: Options, database: Database) => Request | Promise<Request>,
  engineOptions: (options: Options) => EngineOptions = complete,
): Call<Options, Plan, Outcome> {
  return call(async (database, options: Options) => {
    const target = targetOf(database)
    const table = writtenName(options.table)
    const request = await requestOf(options, database)
    return answersOf(target, table, command, request, engineOptions(options))
  })
}

/** The answers of a command with its request. */
export function answersOf<Request, Plan extends StorablePlan, Outcome extends CommandOutcome>(
  target: Target,
  table: ReturnType<typeof writtenName>,
  command: Command<Request, Plan, unknown, Outcome>,
  request: Request,
  options: EngineOptions,
): Answers<Plan, Outcome> {
  return {
    plan: () => planCommand(target, table, command, request, options),
    carryOut: () => carryOut(target, table, command, request, options),
  }
}
