import { isEmpty, readChildren } from '../../catalog/partition-children.ts'
import { readTable } from '../../catalog/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { readTakenNames } from '../../catalog/situation.ts'
import { readSilentStandbys } from '../../catalog/standbys.ts'
import type { TableModel } from '../../catalog/table-model.ts'
import { inSnapshot, readAll, type Session } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { at, type Run } from '../../journal/journal.ts'
import type { PartitionPlan } from '../../plan/partition.ts'
import { planRebuildRollback, planSplitRollback } from '../../plan/rebuild-undo.ts'
import { planRollback, type OtherPartition, type RollbackPlan } from '../../plan/rollback.ts'
import { standbyNotes } from '../../plan/standby-notes.ts'
import type { SwapStep } from '../../plan/step.ts'
import { display, sameName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { EngineOptions } from '../options.ts'
import { readGaps } from '../copy/captured.ts'
import { conversionOf, isCopy, known, rebuildOf, type CopyRun } from './known.ts'
import { isRetiredThere } from './retired-there.ts'

/**
 * What going back after a finished run would do, from the table as it is now.
 *
 * @throws {UsageError} for a run that has not come to its end, or whose table is gone
 */
export async function readRollback(
  session: Session,
  server: ServerModel,
  found: Run,
  options: EngineOptions,
): Promise<RollbackPlan> {
  const run = known(found)
  if (run.status !== 'done') throw notDone(run)
  if (run.command !== 'partition' && !isCopy(run)) throw irreversible(run)
  return inSnapshot(session, async () => {
    const current = await readTable(session, run.table, server.version)
    if (current === undefined) throw tableGone(run)
    return run.command === 'partition'
      ? readConversionRollback(session, run, current, server, options)
      : readRebuildRollback(session, run, current, server, options)
  })
}

async function readConversionRollback(
  session: Session,
  run: Run<PartitionPlan>,
  current: TableModel,
  server: ServerModel,
  options: EngineOptions,
): Promise<RollbackPlan> {
  const conversion = conversionOf(run)
  const children = await readChildren(session, run.table)
  const others: OtherPartition[] = []
  for (const name of children.filter((child) => !sameName(child, conversion.history)))
    others.push({ name, empty: await isEmpty(session, name) })
  return planRollback({
    runId: run.id,
    conversion,
    converted: (run.plan.steps.find(({ key }) => key === 'swap') as SwapStep).after,
    current,
    historyAttached: others.length < children.length,
    others,
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    role: server.role,
  })
}

async function readRebuildRollback(
  session: Session,
  run: CopyRun,
  current: TableModel,
  server: ServerModel,
  options: EngineOptions,
): Promise<RollbackPlan> {
  const rebuild = rebuildOf(run)
  const situation = {
    runId: run.id,
    rebuild,
    current,
    retiredExists: await isRetiredThere(session, rebuild),
    gaps: await readGaps(session, options.journalSchema, rebuild.back),
    partitions: await readChildren(session, run.table),
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    role: server.role,
  }
  const split = run.command === 'split' ? run.plan.split : null
  const plan = split === null ? planRebuildRollback(situation) : planSplitRollback(situation, split)
  return { ...plan, notes: [...plan.notes, ...standbyNotes(await readSilentStandbys(session))] }
}

async function removedSince(session: Session, schema: string, run: Run): Promise<string[]> {
  const rows = await readAll<{ name: string }>(
    session,
    sql`
    select partition_name as name from ${at(schema, 'rotation')}
    where schema_name = ${run.table.schema} and table_name = ${run.table.name} and at > ${run.startedAt}
      and action in ('detached', 'dropped', 'truncated') order by id`,
  )
  return [...new Set(rows.map(({ name }) => name))]
}

function notDone({ id, status }: Run): UsageError {
  const next =
    status === 'running'
      ? `Finish it with ebb resume ${id}, or undo it with ebb abandon ${id}.`
      : 'There is nothing to roll back.'
  return new UsageError(`run ${id} is ${status}`, next)
}

function irreversible({ id, command }: Run): UsageError {
  return new UsageError(`run ${id} (ebb ${command}) cannot be taken back`, 'There is nothing to roll back.')
}

function tableGone({ table }: Run): UsageError {
  return new UsageError(`${display(table)} is not there any more`, 'There is nothing to roll back.')
}
