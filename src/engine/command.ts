import type { ServerModel } from '../catalog/server-model.ts'
import type { TableModel } from '../catalog/table/table-model.ts'
import type { Session } from '../db/session.ts'
import { UsageError } from '../errors.ts'
import type { Run } from '../journal/journal.ts'
import type { Plan as BasePlan } from '../plan/language/step.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import type { RebuildPlan } from '../plan/copy/summary.ts'
import type { RollbackOf } from '../plan/rollback.ts'
import type { TableName } from '../sql/names.ts'
import type { StepResult } from './execute.ts'
import type { PlanOptions } from './options.ts'
import type { RunContext, TableContext } from './table-context.ts'

/** A plan, with what later runs need to know about a copy. */
export type StorablePlan = BasePlan & Partial<Pick<RebuildPlan, 'rebuild'>>

/** What a situation is read with: a session, the server's properties, and the other inputs of a plan. */
export interface Planning {
  readonly session: Session
  readonly server: ServerModel
  readonly options: PlanOptions
}

/**
 * A command on one table, as one value: how it is planned (by reading a situation, and a pure function of that),
 * executed, and undone. The journal stores request and situation, and a resumed run makes the plan from them again
 * (stored-plan.ts). All are in commands/registry.ts.
 */
export interface Command<Request, Plan extends StorablePlan, Situation, Outcome extends CommandOutcome> {
  /** The name in the journal. */
  readonly name: string
  read(planning: Planning, table: TableName, request: Request): Promise<Situation | Refusal<Plan>>
  plan(situation: Situation, request: Request): Plan
  /** A plan with objections only. */
  refused(plan: BasePlan, request: Request): Plan
  /** Whether the location of the rows is irrelevant, or checked by the plan itself. */
  readonly ofAnyStorage?: true
  /** Whether it removes rows from the table, or leaves some out: not those on hold. */
  removes?(request: Request): boolean
  /** Tables whose rows go with those of the table. */
  removesAlso?(plan: Plan): readonly TableName[]
  /**
   * Checks, in the open snapshot, that a stored situation matches the catalogue.
   *
   * @throws {EbbError} if it does not
   */
  verify(planning: Planning, table: TableName, situation: Situation, request: Request): Promise<void>
  /** What else a plan is made from, by what it is called: a saved one is executed only if that is the same. */
  besides?(session: Session, situation: Situation): Promise<Readonly<Record<string, string>>>
  /** An unfinished run of another command that the plan itself reports. */
  knowsOf?(run: Run, request: Request): boolean
  /** Further tables that the plan works on: a run has the leases of all, and none of them has another unfinished run. */
  others?(plan: Plan): readonly TableName[]
  /** Whether a new plan has already been executed. `read` may also throw `NothingLeft`. */
  isCarriedOut?(plan: Plan): boolean
  /** The outcome of a plan with nothing to execute; null otherwise. */
  nothingToDo?(plan: Plan, doneBy: string | null): Outcome | null
  /** Under the lease, before a new run is recorded. */
  beforeBegin?(context: TableContext, request: Request): Promise<void>
  /** Whether the plan shown for an unfinished run is of what is left. */
  readonly worksInBatches?: true
  /** Whether it starts over after a failure whose work has been undone. */
  beginsAnewAfter?(error: unknown): boolean
  /** Whether it retires its source table, which `retire` drops. */
  readonly copies?: true
  /** Executes a plan from the current position of the run. */
  carryOut(run: RunContext, plan: Plan): Promise<Outcome & { readonly runId: string }>
  /** Plans the undoing of an unfinished run; `present` is the current name of its table, null if it was dropped. */
  abandon(run: Run<Plan>, done: ReadonlySet<string>, present: TableName | null): BasePlan
  /** The table of an unfinished run, found by what the run has created on it; null if it was dropped. */
  findTable?(session: Session, run: Run<Plan>): Promise<TableName | null>
  /** What a rollback depends on. */
  rollback?(planning: Planning, run: Run<Plan>, current: TableModel): Promise<RollbackOf>
  /** While an unfinished run rejects rows: the key from which on. */
  refusesFrom?(run: Run<Plan>, done: ReadonlySet<string>): string | null
}

/** Part of every outcome. */
export interface CommandOutcome {
  /** Null if there was nothing to do. */
  readonly runId: string | null
  readonly plan: BasePlan
  /** The steps of this call, without those of earlier calls. */
  readonly steps: readonly StepResult[]
}

/** Any command. */
export type AnyCommand = Command<unknown, StorablePlan, unknown, CommandOutcome>

/** A plan with objections, thrown where reading cannot continue. */
export class Refusal<Plan> {
  readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
  }
}

/** There is nothing for the command to do: a usage error, unless it has been executed before. */
export class NothingLeft extends UsageError {}

/** Whether a run was started by this command with this request. */
export function isRunOf({ name }: { readonly name: string }, request: unknown, run: Run): boolean {
  return run.command === name && canonicalJson(run.request) === canonicalJson(toStored(request))
}
