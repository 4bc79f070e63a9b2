import { isEmpty, readChildren, readIdentities } from '../../catalog/partitions/children.ts'
import { readTakenNames } from '../../catalog/situation.ts'
import { readSilentStandbys } from '../../catalog/standbys.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { archivesOfRun } from '../../journal/archives.ts'
import { at, type Run } from '../../journal/journal.ts'
import { fromText } from '../../grid/key.ts'
import { factsOf } from '../../plan/table/facts.ts'
import { boundLiteral } from '../../plan/table/leaf.ts'
import type { PartitionPlan } from '../../plan/partition/partition.ts'
import type { RebuildPlan, RebuildSummary } from '../../plan/copy/summary.ts'
import type { OtherPartition } from '../../plan/partition/rollback.ts'
import type { RollbackOf } from '../../plan/rollback.ts'
import type { SplitPlan } from '../../plan/split/split.ts'
import { writtenColumns } from '../../plan/table/shadow.ts'
import { besideCondition, rangeCondition } from '../../plan/split/bound.ts'
import type { SplitSummary } from '../../plan/split/exchange.ts'
import type { Facts, SwapStep } from '../../plan/language/step.ts'
import { readForeignTable } from '../../catalog/foreign-table.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { readGaps } from '../copy/captured.ts'
import type { Planning } from '../command.ts'
import { conversionOf, rebuildOf } from './summary.ts'
import { readLeftBehind } from './left-behind.ts'

/** What a rollback to a plain table depends on. */
export async function readConversionRollback(
  { session, server, options }: Planning,
  run: Run<PartitionPlan>,
  current: TableModel,
): Promise<RollbackOf> {
  const conversion = conversionOf(run)
  const { after } = run.plan.steps.find(({ key }) => key === 'swap') as SwapStep
  const children = await readChildren(session, run.table)
  const others: OtherPartition[] = []
  for (const name of children.filter((child) => !sameName(child, conversion.history)))
    others.push({ name, empty: (await readForeignTable(session, name)) === null && (await isEmpty(session, name)) })
  const situation = {
    runId: run.id,
    conversion,
    converted: factsToday(conversion.original, after),
    current,
    historyAttached: others.length < children.length && (await isHeap(session, conversion.history)),
    others,
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    server,
  }
  return { back: 'conversion', situation }
}

/** Whether it is a table as the one that was converted: another may have its name, a foreign one or one in columns. */
async function isHeap(session: Session, { schema, name }: TableName): Promise<boolean> {
  const rows = await readAll(
    session,
    sql`
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_am m on m.oid = c.relam
    where n.nspname = ${schema} and c.relname = ${name} and c.relkind = 'r' and m.amname = 'heap'`,
  )
  return rows.length > 0
}

/** What a rollback to the retired table depends on. */
export async function readCopyRollback(
  { session, server, options }: Planning,
  run: Run<RebuildPlan & Partial<Pick<SplitPlan, 'split'>>>,
  current: TableModel,
): Promise<RollbackOf> {
  const split = splitAgain(rebuildOf(run), run.plan.split ?? null)
  const rebuild = rebuildAgain(rebuildOf(run), split)
  const [left] = await readLeftBehind(session, options.journalSchema, run.id)
  const situation = {
    runId: run.id,
    rebuild,
    current,
    gaps: await readGaps(session, options.journalSchema, rebuild.back),
    retired: left?.retired ?? null,
    partitions: await readIdentities(session, run.table),
    removed: await removedSince(session, options.journalSchema, run),
    taken: await readTakenNames(session, run.table.schema),
    server,
    receipt: (await archivesOfRun(session, options.journalSchema, run.id)).at(-1)?.receipt?.uri ?? null,
  }
  return { back: 'copy', situation, split, silent: await readSilentStandbys(session) }
}

/**
 * Facts of the original table that must hold for the current one. The primary key may have gained a column, and is
 * not restored from its text.
 */
function factsToday(original: TableModel, outcome: Facts): Facts {
  const keys = original.constraints.filter(({ type }) => type === 'primary key').map(({ name }) => `constraint ${name}`)
  return { ...factsOf(original), ...Object.fromEntries(keys.map((key) => [key, outcome[key] ?? ''])) }
}

/** With conditions and column lists generated again instead of the stored ones. */
function rebuildAgain(rebuild: RebuildSummary, split: SplitSummary | null): RebuildSummary {
  const { original, back, outcome } = rebuild
  return {
    ...rebuild,
    outcome: factsToday(original, outcome),
    back: { ...back, columns: writtenColumns(original).text, keep: split === null ? null : split.bound },
  }
}

function splitAgain({ original }: RebuildSummary, split: SplitSummary | null): SplitSummary | null {
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
    bound:
      split.beside === undefined
        ? rangeCondition({ column, kind }, range, original).text
        : besideCondition({ column, kind }, split.beside.ranges, original).text,
  }
}

async function removedSince(session: Session, schema: string, run: Run): Promise<string[]> {
  const rows = await readAll<{ name: string }>(
    session,
    sql`
    select partition_name as name from ${at(schema, 'rotation')}
    where schema_name = ${run.table.schema} and table_name = ${run.table.name} and at > ${run.startedAt}
      and action in ('detached', 'dropped', 'truncated', 'moved') order by id`,
  )
  return [...new Set(rows.map(({ name }) => name))]
}
