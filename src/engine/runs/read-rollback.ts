import { isEmpty, readChildren } from '../../catalog/partitions/children.ts'
import { readTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { readTakenNames } from '../../catalog/situation.ts'
import { readSilentStandbys } from '../../catalog/standbys.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readAll, type Session } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { at, type Run } from '../../journal/journal.ts'
import { fromText } from '../../grid/key.ts'
import { factsOf } from '../../plan/table/facts.ts'
import { boundLiteral } from '../../plan/table/leaf.ts'
import type { PartitionPlan } from '../../plan/partition/partition.ts'
import { planRebuildRollback, planSplitRollback, type RebuildRollbackSituation } from '../../plan/copy/undo.ts'
import type { RebuildSummary } from '../../plan/copy/rebuild.ts'
import {
  planRollback,
  type OtherPartition,
  type RollbackPlan,
  type RollbackSituation,
} from '../../plan/partition/rollback.ts'
import { writtenColumns } from '../../plan/table/shadow.ts'
import { rangeCondition } from '../../plan/split/bound.ts'
import type { SplitSummary } from '../../plan/split/exchange.ts'
import type { Facts, SwapStep } from '../../plan/language/step.ts'
import { standbyNotes } from '../../plan/copy/standby-notes.ts'
import { display, sameName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { readGaps } from '../copy/captured.ts'
import type { PlanOptions } from '../options.ts'
import { conversionOf, isCopy, known, rebuildOf, type CopyRun } from './known.ts'
import { isThere } from './retired-there.ts'

/** What a roll-back depends on. */
export type RollbackOf =
  | { readonly back: 'conversion'; readonly situation: RollbackSituation }
  | {
      readonly back: 'copy'
      readonly situation: RebuildRollbackSituation
      readonly split: SplitSummary | null
      /** Standbys that cannot be waited for. */
      readonly silent: readonly string[]
    }

/** Plans it. Pure. */
export function planBack(of: RollbackOf): RollbackPlan {
  if (of.back === 'conversion') return planRollback(of.situation)
  const plan = of.split === null ? planRebuildRollback(of.situation) : planSplitRollback(of.situation, of.split)
  return { ...plan, notes: [...plan.notes, ...standbyNotes(of.silent)] }
}

/**
 * What going back after a finished run depends on, from the table as it is now, in the snapshot that is open. Of the
 * table that is to come back only the journal tells; everything of it that becomes SQL must be true of the present one.
 *
 * @throws {UsageError} for a run that has not come to its end, or whose table is gone
 */
export async function readRollback(
  session: Session,
  server: ServerModel,
  found: Run,
  options: PlanOptions,
): Promise<RollbackOf> {
  const run = known(found)
  if (run.status !== 'done') throw notDone(run)
  if (run.command !== 'partition' && !isCopy(run)) throw irreversible(run)
  const current = await readTable(session, run.table, server.version)
  if (current === undefined) throw tableGone(run)
  return run.command === 'partition'
    ? readConversionRollback(session, run, current, server, options)
    : readRebuildRollback(session, run, current, server, options)
}

async function readConversionRollback(
  session: Session,
  run: Run<PartitionPlan>,
  current: TableModel,
  server: ServerModel,
  options: PlanOptions,
): Promise<RollbackOf> {
  const conversion = conversionOf(run)
  const { after } = run.plan.steps.find(({ key }) => key === 'swap') as SwapStep
  const children = await readChildren(session, run.table)
  const others: OtherPartition[] = []
  for (const name of children.filter((child) => !sameName(child, conversion.history)))
    others.push({ name, empty: await isEmpty(session, name) })
  const situation = {
    runId: run.id,
    conversion,
    converted: factsToday(conversion.former, after),
    current,
    historyAttached: others.length < children.length,
    others,
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    role: server.role,
  }
  return { back: 'conversion', situation }
}

async function readRebuildRollback(
  session: Session,
  run: CopyRun,
  current: TableModel,
  server: ServerModel,
  options: PlanOptions,
): Promise<RollbackOf> {
  const split = run.command === 'split' ? splitAgain(rebuildOf(run), run.plan.split) : null
  const rebuild = rebuildAgain(rebuildOf(run), split)
  const situation = {
    runId: run.id,
    rebuild,
    current,
    gaps: await readGaps(session, options.journalSchema, rebuild.back),
    retiredExists: await isThere(session, { oid: rebuild.sourceOid, name: rebuild.retired }),
    partitions: await readChildren(session, run.table),
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    role: server.role,
  }
  return { back: 'copy', situation, split, silent: await readSilentStandbys(session) }
}

/** What must be true of the table today, said by the former one. A primary key may have got a column, and is not brought back by its text. */
function factsToday(former: TableModel, outcome: Facts): Facts {
  const keys = former.constraints.filter(({ type }) => type === 'primary key').map(({ name }) => `constraint ${name}`)
  return { ...factsOf(former), ...Object.fromEntries(keys.map((key) => [key, outcome[key] ?? ''])) }
}

/** With conditions and lists of columns that are made again instead of those that were stored. */
function rebuildAgain(rebuild: RebuildSummary, split: SplitSummary | null): RebuildSummary {
  const { former, back, outcome } = rebuild
  return {
    ...rebuild,
    outcome: factsToday(former, outcome),
    back: { ...back, columns: writtenColumns(former).text, keep: split === null ? null : split.bound },
  }
}

function splitAgain({ former }: RebuildSummary, split: SplitSummary | null): SplitSummary | null {
  if (split === null) return null
  const { column, kind } = split.key
  const [from, to] = [split.from, split.to].map((bound) =>
    bound.startsWith("'") ? fromText(kind, bound.slice(1, -1)) : null,
  )
  const range = { from: from ?? null, to: to ?? null }
  return {
    ...split,
    from: boundLiteral(kind, range.from, 'from').text,
    to: boundLiteral(kind, range.to, 'to').text,
    bound: rangeCondition({ column, kind }, range, former).text,
  }
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
