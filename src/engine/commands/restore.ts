import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readPartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import { inSnapshot, readAll, readOne, type Session } from '../../db/session.ts'
import { holdRows } from '../../journal/holds.ts'
import { endRun } from '../../journal/journal.ts'
import { readRestored, type Restored } from '../../journal/restores.ts'
import type { ArchivedTable, Receipt } from '../../plan/archive/receipt.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import type { ColumnNumbers } from '../../plan/restore/columns.ts'
import {
  planAbandonRestore,
  planRestore,
  type RestorePlan,
  type RestoreRequest,
  type RestoreRights,
  type RestoreSituation,
} from '../../plan/restore/restore.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import { UsageError } from '../../errors.ts'
import type { Command, Planning } from '../command.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'
import type { TableContext } from '../table-context.ts'
import { readReceiptAt } from '../restore/open-receipt.ts'

/** The outcome of a restore. */
export interface RestoreResult {
  readonly runId: string
  readonly plan: RestorePlan
  readonly steps: readonly StepResult[]
  /** Over all calls of the run. */
  readonly restored: Restored
}

/** Puts archived rows back into an existing table. */
export const restore: Command<RestoreRequest, RestorePlan, RestoreSituation, RestoreResult> = {
  name: 'restore',
  refused: (plan) => ({ ...plan, restore: null }),
  ofAnyStorage: true,
  read: readSituation,
  plan: planRestore,
  async verify(planning, name, situation, request) {
    const now = { ...planning.server, now: situation.server.now }
    const again = await readSituation({ ...planning, server: now }, name, request)
    await assertHarmless(planning.session, name, again.predicate)
    assertFoundAgain(name, situation, again)
  },
  async carryOut(run, plan) {
    const { session, journalSchema, runId } = run
    const steps = await executeRun(run, plan.steps, holding(plan, runId))
    const restored = await readRestored(session, journalSchema, runId)
    await endRun(session, journalSchema, runId, 'done', restored)
    return { runId, plan, steps, restored }
  },
  abandon: (run) => planAbandonRestore(run.id, run.table),
}

/** Rows are on hold from the transaction on that makes them, or a partition for them. */
function holding({ table, steps, restore }: RestorePlan, runId: string): Alongside {
  const { bounds = null, hold = null } = restore ?? {}
  if (hold === null) return {}
  const holdThem = ({ session, journalSchema }: TableContext) => [
    holdRows(session, journalSchema, runId, { table, bounds, keep: hold }),
  ]
  return Object.fromEntries(steps.map(({ key }) => [key, holdThem]))
}

/** The receipt is read before the snapshot: a store may be slow. */
async function readSituation(
  { session, server, options }: Planning,
  name: TableName,
  request: RestoreRequest,
): Promise<RestoreSituation> {
  const { receipt, keptBy } = await readReceiptAt(request.receipt)
  const archived = tableOf(receipt, request)
  const predicate = request.where === null ? null : await parsePredicate(request.where, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const table = await readPresentTable(session, name, server.version)
    const condition = await readCondition(session, name, predicate)
    if (predicate !== null) await readRowEstimate(session, name, predicate, condition.settings)
    return {
      server,
      journalSchema: options.journalSchema,
      table,
      set: archived.partitionOf === null ? null : ((await readPartitionedTable(session, name)) ?? null),
      numbers: await readNumbers(session, name),
      rights: await readRights(session, name),
      empty: await isEmpty(session, name),
      archived,
      encoding: receipt.encoding,
      keptBy: keptBy(archived),
      predicate,
      condition,
    }
  })
}

/**
 * The table of a receipt that is asked for.
 *
 * @throws {UsageError} if it has none of this name
 */
export function tableOf(
  { tables }: Receipt,
  { receipt, archived }: Pick<RestoreRequest, 'receipt' | 'archived'>,
): ArchivedTable {
  const found = tables.find((one) => sameName(one, archived))
  if (found !== undefined) return found
  throw new UsageError(
    `${receipt} has no rows of ${display(archived)}`,
    `It has rows of ${tables.map(display).join(', ')}.`,
  )
}

async function readNumbers(session: Session, name: TableName): Promise<ColumnNumbers> {
  const rows = await readAll<{ name: string; number: number }>(
    session,
    sql`select attname as name, attnum::int as number from pg_attribute
    where attrelid = to_regclass(${quoted(name).text}) and attnum > 0 and not attisdropped`,
  )
  return Object.fromEntries(rows.map((row) => [row.name, row.number]))
}

async function readRights(session: Session, name: TableName): Promise<RestoreRights> {
  const table = quoted(name).text
  return readOne(
    session,
    sql`select has_table_privilege(${table}, 'insert') and has_table_privilege(${table}, 'select') as insert,
      has_database_privilege(current_database(), 'temporary') as "createTemporary",
      row_security_active(to_regclass(${table})) as "rowsHidden"`,
  )
}

async function isEmpty(session: Session, name: TableName): Promise<boolean> {
  const { empty } = await readOne<{ empty: boolean }>(
    session,
    sql`select not exists (select from ${quoted(name)}) as empty`,
  )
  return empty
}
