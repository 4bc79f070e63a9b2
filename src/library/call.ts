import { withSharedSessions } from '../db/shared-sessions.ts'
import type { Address } from '../db/session.ts'
import type { Command, CommandOutcome, StorablePlan } from '../engine/command.ts'
import type { EngineOptions } from '../engine/options.ts'
import { planCommand } from '../engine/plan-command.ts'
import { carryOut } from '../engine/run.ts'
import { ObjectionsError } from '../errors.ts'
import type { Event } from '../events.ts'
import { engineOptions } from '../requests/common.ts'
import { Faults } from '../requests/faults.ts'
import type { Option, Options, Values } from '../requests/option.ts'
import { propertiesOf } from '../requests/properties.ts'
import { readValues, type Spec } from '../requests/spec.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { targetOf, type Database } from './database.ts'
import type { DatabaseOptions } from './options.ts'
import { forJson } from './plain-json.ts'

/** A command for programs: with `execute: true` it is carried out, and without, its plan is returned. */
export interface Call<Options, Plan, Outcome> {
  (database: Database, options: Options & { readonly execute: true }): Promise<Outcome>
  (database: Database, options: Options & { readonly execute?: false }): Promise<Plan>
  (database: Database, options: Options & { readonly execute?: boolean }): Promise<Plan | Outcome>
}

/** A call whose options have been parsed. */
export interface Asked<O extends Options, Request> {
  readonly target: Address
  readonly request: Request
  readonly values: Values<O>
  readonly engine: EngineOptions
}

/** Parses the options of a call. @throws {UsageError} that names everything that is wrong with them */
export function readCall<O extends Options, Request>(
  database: Database,
  spec: Spec<O, Request>,
  options: object = {},
): Asked<O, Request> {
  const values = readOptionValues(spec, options)
  const { observer, signal = new AbortController().signal } = options as DatabaseOptions
  const told = (event: Event) => observer?.(forJson(event))
  const engine = { ...engineOptions(values, spec.pace), observer: told, signal }
  return { target: targetOf(database), request: spec.request(values), values, engine }
}

/** The request of a call that needs no database. @throws {UsageError} */
export function readOptions<O extends Options, Request>(spec: Spec<O, Request>, options: object): Request {
  return spec.request(readOptionValues(spec, options))
}

function readOptionValues<O extends Options>(spec: Spec<O>, options: object): Values<O> {
  const faults = new Faults()
  const values = readValues(spec, propertiesOf(spec.options, options, faults), faults)
  faults.throwIfAny()
  return values
}

/** Two ways to answer a call. */
export interface Answers<Plan, Outcome> {
  plan(): Promise<Plan>
  carryOut(): Promise<Outcome>
}

/** A call; `answer` is called once its options have been parsed. */
export function call<Given, Plan, Outcome, O extends Options, Request>(
  spec: Spec<O, Request>,
  answer: (asked: Asked<O, Request>) => Answers<Plan, Outcome> | Promise<Answers<Plan, Outcome>>,
): Call<Given, Plan, Outcome> {
  const either = async (database: Database, options?: object) => {
    const asked = readCall(database, spec, options)
    const answers = await answer(asked)
    const { execute } = asked.values as { readonly execute?: boolean }
    return forJson(await (execute === true ? answers.carryOut() : answers.plan()).catch(withPlanForJson))
  }
  return either as Call<Given, Plan, Outcome>
}

function withPlanForJson(error: unknown): never {
  if (error instanceof ObjectionsError) forJson(error.plan)
  throw error
}

/** The call of a command on one table. */
export function callOf<
  Given,
  Plan extends StorablePlan,
  Outcome extends CommandOutcome,
  O extends Options & { readonly table: Option<WrittenName> },
  Request,
>(command: Command<Request, Plan, unknown, Outcome>, spec: Spec<O, Request>): Call<Given, Plan, Outcome> {
  return call(spec, (asked) => {
    const { table } = asked.values as { readonly table: WrittenName }
    return answersOf(asked, table, command, asked.request)
  })
}

/** The answers of a command with its request. */
export function answersOf<Request, Plan extends StorablePlan, Outcome extends CommandOutcome>(
  { target, engine }: Pick<Asked<Options, unknown>, 'target' | 'engine'>,
  table: WrittenName,
  command: Command<Request, Plan, unknown, Outcome>,
  request: Request,
): Answers<Plan, Outcome> {
  return {
    plan: () => planCommand(target, table, command, request, engine),
    carryOut: () => withSharedSessions(target, (shared) => carryOut(shared, table, command, request, engine)),
  }
}
