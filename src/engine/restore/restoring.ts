import { findTable } from '../../catalog/table/read-table.ts'
import { assertTypeName } from '../../catalog/table/type-name.ts'
import { readServer } from '../../catalog/server-model.ts'
import { readAll } from '../../db/query.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { inSnapshot, inTransaction } from '../../db/transaction.ts'
import { codeOf, reasonOf } from '../../db/sqlstate.ts'
import { EbbError, NOTHING_CHANGED, ObjectionsError, UsageError } from '../../errors.ts'
import { recordedDigest } from '../../journal/archives.ts'
import { journalExists, latestRun } from '../../journal/journal.ts'
import type { ArchivedTable, Receipt } from '../../plan/archive/receipt.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { newTableStep, planNewTable, type Lacking } from '../../plan/restore/new-table.ts'
import type { SavedPlan } from '../../plan/language/saved.ts'
import type { RestorePlan } from '../../plan/restore/restore.ts'
import type { RestoreRequest } from '../../plan/restore/situation.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import { restore, type RestoreResult } from '../commands/restore.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { planCommand } from '../plan-command.ts'
import { carryOut } from '../run.ts'
import { planToSave } from '../saved-plan.ts'
import { readTypesOf, tablesOf, whereItWas } from './destinations.ts'
import { readReceiptAt, withArchive, type ReadReceipt } from './open-receipt.ts'

/** What to restore, and where. */
export interface RestoreOrder extends Omit<RestoreRequest, 'archived'> {
  /** Which of its tables; null: all. */
  readonly table: WrittenName | null
  /** Null for the table that the rows are of, or the one that it was a partition of. */
  readonly into: WrittenName | null
}

/** Plans a restore, into tables that there are or a new one. */
export async function planRestoring(target: Target, order: RestoreOrder, options: EngineOptions): Promise<RestorePlan> {
  return planInto(target, await findPlace(target, order, options), order, options)
}

/** The same, and what to save of the plan: null if it has objections, or nothing is to be done. */
export async function planRestoringToSave(
  target: Target,
  order: RestoreOrder,
  options: EngineOptions,
): Promise<{ readonly plan: RestorePlan; readonly saved: SavedPlan | null }> {
  const place = await findPlace(target, order, options)
  assertExists(place)
  return planToSave(target, place.into, restore, requestOf(order, place), options)
}

/** A plan is saved with the identity of its table. @throws {UsageError} */
function assertExists({ exists, archived, into }: Place): void {
  if (exists) return
  throw new UsageError(
    `${display(into)} does not exist, and a plan that is saved is of a table that does`,
    `Create it first, as the plan without --plan-out shows: a table with the columns of ${display(archived)}.`,
  )
}

async function planInto(
  target: Target,
  place: Place,
  order: RestoreOrder,
  options: EngineOptions,
): Promise<RestorePlan> {
  const { archived, into, exists, found } = place
  const request = requestOf(order, place)
  if (exists) return planCommand(target, into, restore, request, options)
  const { journalSchema } = options
  return readPatiently(target, 'plan restore', options, async (session) => {
    const server = await inSnapshot(session, () => readServer(session, journalSchema))
    const predicate = order.where === null ? null : await parsePredicate(order.where, momentLiteral(server.now))
    const recorded = await recordedDigest(session, journalSchema, found.receipt.id)
    const receipt = { encoding: found.receipt.encoding, sha256: found.sha256, recorded, unremoved: found.unremoved }
    const keptBy = found.keptBy(archived)
    const lacking = await findLacking(session, archived)
    const types = await inSnapshot(session, () => readTypesOf(session, archived))
    const to = { archived, keptBy, predicate, types }
    return planNewTable({ server, journalSchema, receipt, to, into, lacking }, request)
  })
}

/**
 * Restores rows. A new table is created first, in a transaction of its own: if the restore is interrupted after that,
 * it continues into the empty table.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function restoreRows(target: Target, order: RestoreOrder, options: EngineOptions): Promise<RestoreResult> {
  const place = await findPlace(target, order, options)
  if (options.saved !== undefined) assertExists(place)
  await assertDecipherable(place, order, options)
  if (!place.exists) {
    const plan = await planInto(target, place, order, options)
    if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
    await createTable(target, place)
  }
  return carryOut(target, place.into, restore, requestOf(order, place), options)
}

/**
 * Before a table is created, or a run recorded, for nothing.
 *
 * @throws {UsageError} without an identity that fits
 */
async function assertDecipherable(
  { found: { receipt }, archived }: Place,
  order: RestoreOrder,
  { identities = [], signal }: EngineOptions,
): Promise<void> {
  const [object] = archived.objects
  const { encoding } = receipt
  if (encoding.encryption === null || object === undefined) return
  await withArchive(order.receipt, signal, async (archive) => {
    const content = await archive.content(object, encoding, identities)
    // The first piece shows whether an identity fits.
    await content[Symbol.asyncIterator]().next()
    content.destroy()
  })
}

/** @throws {EbbError} if another session has been faster */
async function createTable(target: Target, { archived, into }: Place): Promise<void> {
  const { statements } = newTableStep(archived, into)
  try {
    await withSession(target, 'restore', (session) =>
      inTransaction(session, {}, () => session.query(statements.join(';\n'))),
    )
  } catch (error) {
    if (!MADE_MEANWHILE.includes(codeOf(error) ?? '')) throw error
    throw new EbbError(
      `another session has just created ${display(into)}: ${reasonOf(error)}`,
      {
        state: NOTHING_CHANGED,
        next: 'If that was a restore of the same receipt, leave it to it. Else choose another name, or run the same command again to restore into that table.',
      },
      'try later',
      error,
    )
  }
}

/** There is a table of the name, or its type; or, at the same moment, entries of the catalogue for them. */
const MADE_MEANWHILE = ['42P07', '42710', '23505']

/** Where the rows of the first table go. */
interface Place {
  readonly found: ReadReceipt
  readonly archived: ArchivedTable
  readonly into: TableName
  readonly exists: boolean
}

async function findPlace(target: Target, order: RestoreOrder, options: EngineOptions): Promise<Place> {
  const found = await readReceiptAt(order.receipt, options.signal)
  const archived = firstOf(found.receipt, order)
  const { into } = order
  return readPatiently(target, 'plan restore', options, (session) =>
    inSnapshot(session, async () => {
      if (into === null) {
        const begun = await begunThroughTable(session, options.journalSchema, archived, order.receipt)
        return { found, archived, into: begun ?? (await whereItWas(session, archived, order.receipt)), exists: true }
      }
      const there = await findTable(session, into)
      const named = there ?? { schema: into.schema ?? archived.schema, name: into.name }
      return { found, archived, into: named, exists: there !== undefined }
    }),
  )
}

/** An interrupted restore may have created the partition again: it goes on through the table, as it began. */
async function begunThroughTable(
  session: Session,
  journalSchema: string,
  { partitionOf }: ArchivedTable,
  receipt: string,
): Promise<TableName | null> {
  if (partitionOf === null || !(await journalExists(session, journalSchema))) return null
  const run = await latestRun(session, journalSchema, partitionOf, ['restore'])
  const request = run?.request as Partial<RestoreRequest> | undefined
  return run?.status === 'running' && request?.receipt === receipt ? run.table : null
}

/** @throws {UsageError} for what can be said of one table only */
function firstOf(receipt: Receipt, { receipt: uri, table, into, where }: RestoreOrder): ArchivedTable {
  const [first, ...others] =
    table === null ? receipt.tables : tablesOf(receipt, { receipt: uri, archived: chosen(receipt, table) })
  if (first === undefined) throw new Error('a receipt has a table')
  if (others.length > 0 && (into !== null || where !== null))
    throw new UsageError(
      `${uri} has rows of several tables: ${[first, ...others].map(display).join(', ')}`,
      `Say which of them ${into === null ? '--where' : '--into'} is for: --table <table>.`,
    )
  return first
}

function chosen({ tables }: Receipt, { schema, name }: WrittenName): TableName {
  return (
    tables.find((one) => one.name === name && (schema === null || one.schema === schema)) ?? {
      schema: schema ?? '',
      name,
    }
  )
}

/**
 * Types and collations that there are not, or not any more.
 *
 * @throws {EbbError} if what the receipt calls a type is more than that
 */
function findLacking(session: Session, { columns }: ArchivedTable): Promise<Lacking[]> {
  const wanted = columns.map(({ name, type, collation }) => ({
    name,
    type,
    collated: collation == null ? null : quoted(collation).text,
  }))
  return inSnapshot(session, async () => {
    for (const type of new Set(columns.map((one) => one.type))) await assertTypeName(session, type)
    return readAll<Lacking>(
      session,
      sql`
      select w.name as column, case when to_regtype(w.type) is null then 'type ' || w.type else 'collation ' || w.collated end as what
      from json_to_recordset(${JSON.stringify(wanted)}::json) w (name text, type text, collated text)
      where to_regtype(w.type) is null or w.collated is not null and to_regcollation(w.collated) is null`,
    )
  })
}

function requestOf({ table, into: _, ...order }: RestoreOrder, { found, archived }: Place): RestoreRequest {
  const all = table === null && found.receipt.tables.length > 1
  return { ...order, archived: all ? null : { schema: archived.schema, name: archived.name } }
}
