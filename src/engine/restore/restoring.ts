import { findTable } from '../../catalog/table/read-table.ts'
import { readServer } from '../../catalog/server-model.ts'
import { inSnapshot, inTransaction, withSession, type Session, type Target } from '../../db/session.ts'
import { ObjectionsError, UsageError } from '../../errors.ts'
import type { Interval } from '../../grid/interval.ts'
import type { ArchivedTable, Receipt } from '../../plan/archive/receipt.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { newTableStep } from '../../plan/restore/new-table.ts'
import { planNewTable, type RestorePlan, type RestoreRequest } from '../../plan/restore/restore.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { assertPlainType } from '../../sql/plain.ts'
import { readPatiently } from '../locks/patiently.ts'
import { restore, tableOf, type RestoreResult } from '../commands/restore.ts'
import type { EngineOptions } from '../options.ts'
import { planCommand } from '../plan-command.ts'
import { carryOut } from '../run.ts'
import { readReceiptAt } from './open-receipt.ts'

/** What to restore, and where. */
export interface RestoreOrder {
  /** The address of a receipt. */
  readonly receipt: string
  /** Which of its tables; null: the only one. */
  readonly table: WrittenName | null
  /** Null for the table that the rows are of, or the one that it was a partition of. */
  readonly into: WrittenName | null
  readonly where: string | null
  /** A partition that is gone is created again. */
  readonly attach: boolean
  /** How long no command removes the rows again; null: it may at once. */
  readonly hold: Interval | null
  readonly accept: readonly string[]
}

/** Plans a restore, into a table that there is or a new one. */
export async function planRestoring(target: Target, order: RestoreOrder, options: EngineOptions): Promise<RestorePlan> {
  const { archived, receipt, keptBy, into, exists } = await findDestination(target, order, options)
  const request = requestOf(order, archived)
  if (exists) return planCommand(target, into, restore, request, options)
  return readPatiently(target, 'plan restore', options, async (session) => {
    const server = await inSnapshot(session, () => readServer(session, options.journalSchema))
    const predicate = order.where === null ? null : await parsePredicate(order.where, momentLiteral(server.now))
    const { journalSchema } = options
    return planNewTable(
      { server, journalSchema, archived, encoding: receipt.encoding, keptBy, into, predicate },
      request,
    )
  })
}

/**
 * Restores rows. A new table is created first, in a transaction of its own: if the restore is interrupted after that,
 * it continues into the empty table.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function restoreRows(target: Target, order: RestoreOrder, options: EngineOptions): Promise<RestoreResult> {
  const { archived, into, exists } = await findDestination(target, order, options)
  if (!exists) {
    const plan = await planRestoring(target, order, options)
    if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
    const { statements } = newTableStep(archived, into)
    await withSession(target, 'restore', (session) =>
      inTransaction(session, {}, () => session.query(statements.join(';\n'))),
    )
  }
  return carryOut(target, into, restore, requestOf(order, archived), options)
}

interface Destination {
  readonly receipt: Receipt
  readonly keptBy: readonly string[] | null
  readonly archived: ArchivedTable
  readonly into: TableName
  readonly exists: boolean
}

async function findDestination(target: Target, order: RestoreOrder, options: EngineOptions): Promise<Destination> {
  const { receipt, keptBy: keptOf } = await readReceiptAt(order.receipt)
  const archived = chosen(receipt, order)
  const keptBy = keptOf(archived)
  return readPatiently(target, 'plan restore', options, (session) =>
    inSnapshot(session, async () => {
      if (order.into !== null) {
        const there = await findTable(session, order.into)
        if (there === undefined) await assertTypes(archived)
        const { schema, name } = order.into
        const into = there ?? { schema: schema ?? archived.schema, name }
        return { receipt, keptBy, archived, into, exists: there !== undefined }
      }
      return { receipt, keptBy, archived, into: await whereItWas(session, archived, order), exists: true }
    }),
  )
}

/** A partition that is gone has been dropped by rotate: its rows go through the table, which may have another for them. */
async function whereItWas(session: Session, archived: ArchivedTable, { receipt }: RestoreOrder): Promise<TableName> {
  const places = archived.partitionOf === null ? [archived] : [archived, archived.partitionOf]
  for (const place of places) {
    const found = await findTable(session, place)
    if (found !== undefined) return found
  }
  throw new UsageError(
    `there is no table ${places.map(display).join(' or ')}, of which ${receipt} has rows`,
    'Restore them into a new table: --into <table>.',
  )
}

function chosen(receipt: Receipt, { receipt: uri, table }: RestoreOrder): ArchivedTable {
  const [first, ...others] = receipt.tables
  if (table === null && first !== undefined && others.length === 0) return first
  const names = receipt.tables.map(display).join(', ')
  if (table === null)
    throw new UsageError(`${uri} has rows of several tables: ${names}`, 'Pass one of them: --table <table>.')
  const { schema, name } = table
  const found = receipt.tables.find((one) => one.name === name && (schema === null || one.schema === schema))
  return found ?? tableOf(receipt, { receipt: uri, archived: { schema: schema ?? '', name } })
}

async function assertTypes({ columns }: ArchivedTable): Promise<void> {
  for (const { type } of columns) await assertPlainType(type)
}

function requestOf(
  { receipt, where, attach, hold, accept }: RestoreOrder,
  { schema, name }: ArchivedTable,
): RestoreRequest {
  return { receipt, archived: { schema, name }, where, attach, hold, accept }
}
