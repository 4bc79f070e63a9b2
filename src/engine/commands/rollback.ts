import { readTable } from '../../catalog/table/read-table.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { UsageError } from '../../errors.ts'
import { archivesOfRun } from '../../journal/archives.ts'
import { endRun, runById, type Run } from '../../journal/journal.ts'
import { forgetSet } from '../../journal/sets.ts'
import { fromStored } from '../../plan/language/stored.ts'
import { planAbandon } from '../../plan/partition/abandon.ts'
import type { RollbackPlan } from '../../plan/partition/rollback.ts'
import { planBack, type RollbackOf } from '../../plan/rollback.ts'
import { display } from '../../sql/names.ts'
import type { AnyCommand, Command, Planning, StorablePlan } from '../command.ts'
import { executeRun, type Alongside } from '../execute.ts'
import { noRun } from '../runs/find-run.ts'
import type { RunResult } from '../runs/take-back.ts'
import { assertSameSteps } from '../stored-plan.ts'
import { partitionByCopy } from './partition-copy.ts'
import { partition } from './partition.ts'
import { rebuild } from './rebuild.ts'
import { split } from './split.ts'

/** The run to roll back. */
export interface RollbackRequest {
  readonly of: string
}

export interface StoredRollback extends RollbackPlan {
  /** The run that is rolled back. */
  readonly of: string
}

const REVERSIBLE_COMMANDS: readonly AnyCommand[] = [partition, partitionByCopy, rebuild, split]

/** Names of commands whose outcome can be rolled back. */
export const REVERSIBLE = REVERSIBLE_COMMANDS.map(({ name }) => name)

/** Rolls back a finished run: a partitioned table becomes a plain one, or the retired table gets its name back. */
export const rollback: Command<RollbackRequest, StoredRollback, RollbackOf, RunResult> = {
  name: 'rollback',
  ofAnyStorage: true,
  read: (planning, _table, request) => inSnapshot(planning.session, () => readRollback(planning, request)),
  refused: (plan, { of }) => ({ ...plan, index: null, of }),
  plan: (situation, { of }) => ({ ...planBack(situation), of }),
  async verify(planning, table, stored, request) {
    const present = await readRollback(planning, request)
    const { taken } = stored.situation
    // Names used by the rollback itself do not count.
    const again = planBack({ ...present, situation: { ...present.situation, taken } } as RollbackOf)
    assertSameSteps(table, planBack(stored), again)
  },
  async carryOut(run, plan) {
    const { session, journalSchema, runId } = run
    const undone = await runById(session, journalSchema, plan.of)
    // Without its new partitions a table that was split is still one that rotate manages.
    const staysManaged = undone?.command === split.name
    const alongside: Alongside = {
      'swap-back': () => [
        ...(staysManaged ? [] : [forgetSet(session, journalSchema, plan.table)]),
        endRun(session, journalSchema, plan.of, 'rolled back', null),
      ],
    }
    const steps = await executeRun(run, plan.steps, alongside)
    const receipt = (await archivesOfRun(session, journalSchema, plan.of)).at(-1)?.receipt?.uri ?? null
    await endRun(session, journalSchema, runId, 'done', { steps })
    return { runId, plan, steps, receipt, rolledBack: plan.of }
  },
  abandon: ({ id, table, plan }) => planAbandon(id, { table, guard: null, index: plan.index }),
}

/**
 * What a rollback depends on, from the current table, in the open snapshot. The table to be restored is known from
 * the journal only; everything of it that becomes SQL must hold for the current one.
 *
 * @throws {UsageError} for an unfinished run, or if its table was dropped
 */
async function readRollback(planning: Planning, { of }: RollbackRequest): Promise<RollbackOf> {
  const { session, server, options } = planning
  const found = await runById(session, options.journalSchema, of)
  if (found === undefined) throw noRun({ runId: of })
  const run: Run<StorablePlan> = { ...found, plan: fromStored(found.plan) as StorablePlan }
  if (run.status !== 'done') throw notDone(run)
  const command = REVERSIBLE_COMMANDS.find(({ name }) => name === run.command)
  if (command?.rollback === undefined) throw irreversible(run)
  const current = await readTable(session, run.table, server.version)
  if (current === undefined) throw tableGone(run)
  return command.rollback(planning, run, current)
}

function notDone({ id, status }: Run): UsageError {
  const next =
    status === 'running'
      ? `Finish it with ebb resume ${id}, or undo it with ebb abandon ${id}.`
      : 'There is nothing to roll back.'
  return new UsageError(`run ${id} is ${status}`, next)
}

function irreversible({ id, command }: Run): UsageError {
  return new UsageError(`run ${id} (ebb ${command}) cannot be rolled back`, 'There is nothing to roll back.')
}

function tableGone({ table }: Run): UsageError {
  return new UsageError(`${display(table)} no longer exists`, 'There is nothing to roll back.')
}
