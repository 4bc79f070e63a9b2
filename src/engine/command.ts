import type { ServerModel } from '../catalog/server-model.ts'
import type { TableModel } from '../catalog/table/table-model.ts'
import type { Session } from '../db/session.ts'
import { UsageError } from '../errors.ts'
import type { Run } from '../journal/journal.ts'
import type { Plan as BasePlan } from '../plan/language/step.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import type { RebuildPlan } from '../plan/copy/rebuild.ts'
import type { RollbackOf } from '../plan/rollback.ts'
import type { TableName } from '../sql/names.ts'
import type { StepResult } from './execute.ts'
import type { PlanOptions } from './options.ts'
import type { RunContext, TableContext } from './table-context.ts'

/** A plan, with what later runs need to know of a copy. */
export type StorablePlan = BasePlan & Partial<Pick<RebuildPlan, 'rebuild'>>

/** With what a situation is read: a session, the server as it was found, and what a plan depends on besides. */
export interface Planning {
  readonly session: Session
  readonly server: ServerModel
  readonly options: PlanOptions
}

/**
 * What Ebb does with one table, as one value: how a plan of it is made (by reading a situation, and a pure function of
 * that), how it is carried out, and how it is undone. The journal keeps request and situation, and a run that goes on
 * makes the plan from them again (stored-plan.ts). All are in commands/registry.ts.
 */
export interface Command<Request, Plan extends StorablePlan, Situation, Outcome extends CommandOutcome> {
  /** Stands in the journal. */
  readonly name: string
  read(planning: Planning, table: TableName, request: Request): Promise<Situation | Refusal<Plan>>
  plan(situation: Situation, request: Request): Plan
  /** The plan that says only what is in the way. */
  refused(plan: BasePlan, request: Request): Plan
  /** It does not matter where the rows are, or the plan finds out for itself. */
  readonly ofAnyStorage?: true
  /**
   * Makes sure, in the snapshot that is open, that a stored situation says of the database what that says itself.
   *
   * @throws {EbbError} when it does not
   */
  verify(planning: Planning, table: TableName, situation: Situation, request: Request): Promise<void>
  /** An unfinished run of another command of which the plan itself says what is to be done. */
  knowsOf?(run: Run, request: Request): boolean
  /** Of a new plan: it cannot be carried out, because it has been. `read` may also throw `NothingLeft`. */
  isCarriedOut?(plan: Plan): boolean
  /** Where a plan has nothing to be carried out, what has come of it; null where it has. */
  nothingToDo?(plan: Plan, doneBy: string | null): Outcome | null
  /** Under the lease, before a new run is written down. */
  beforeBegin?(context: TableContext, request: Request): Promise<void>
  /** Its plan, asked for while a run is unfinished, is of what is left. */
  readonly worksInBatches?: true
  /** Whether it takes place anew after a failure that has taken back what was done. */
  beginsAnewAfter?(error: unknown): boolean
  /** It puts the table aside that it was made from; `retire` drops that. */
  readonly copies?: true
  /** Takes a plan to its end, from wherever the run is. */
  carryOut(run: RunContext, plan: Plan): Promise<Outcome & { readonly runId: string }>
  /** Plans to take back what an unfinished run has done; `present` is what its table is called now, null when it is gone. */
  abandon(run: Run<Plan>, done: ReadonlySet<string>, present: TableName | null): BasePlan
  /** Where its table is that a run has put something on, by what it has put there; null when it is gone. */
  findTable?(session: Session, run: Run<Plan>): Promise<TableName | null>
  /** What going back after a finished run depends on. */
  rollback?(planning: Planning, run: Run<Plan>, current: TableModel): Promise<RollbackOf>
  /** While an unfinished run refuses rows: the key from which on. */
  refusesFrom?(run: Run<Plan>, done: ReadonlySet<string>): string | null
}

/** What every outcome has. */
export interface CommandOutcome {
  /** Null where there was nothing to do. */
  readonly runId: string | null
  readonly plan: BasePlan
  /** Of this call; those an earlier call had done are not repeated. */
  readonly steps: readonly StepResult[]
}

/** A command of which nothing more is known. */
export type AnyCommand = Command<unknown, StorablePlan, unknown, CommandOutcome>

/** Where there is no looking any further: a plan that says what is in the way. */
export class Refusal<Plan> {
  readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
  }
}

/** There is nothing of what the command is there for: a wrong request, unless it has been carried out before. */
export class NothingLeft extends UsageError {}

/** Whether a run was started by this command, with this request. */
export function isRunOf({ name }: { readonly name: string }, request: unknown, run: Run): boolean {
  return run.command === name && canonicalJson(run.request) === canonicalJson(toStored(request))
}
