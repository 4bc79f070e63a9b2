import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { NotExactError } from '../../archive/content/not-exact.ts'
import { writeObjects, type Written } from '../../archive/content/write-objects.ts'
import { loadBeforehand, receiptDigest, receiptText } from '../../archive/receipt-text.ts'
import type { Store } from '../../archive/store.ts'
import { readClock } from '../../db/clock.ts'
import { readSystemIdentifier } from '../../catalog/server-model.ts'
import { inOneGo } from '../../db/in-one-go.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { putOnAllNodes } from '../../catalog/partitions/stored-leaves.ts'
import { putSession, putSessionBack } from '../../db/settings.ts'
import { EbbError } from '../../errors.ts'
import { beginArchive, recordReceipt, type ReceiptEntry } from '../../journal/archives.ts'
import { sentColumns } from '../../plan/archive/formats.ts'
import { archiveId, RECEIPT, tableFolder } from '../../plan/archive/names.ts'
import { RECEIPT_FORMAT, type ArchivedTable, type Encoding, type Receipt } from '../../plan/archive/receipt.ts'
import type { ArchiveRequest } from '../../plan/archive/request.ts'
import { copyStatement, countRows, type Relation, type RowsToArchive } from '../../plan/archive/rows.ts'
import { writtenUnder } from '../../plan/archive/settings.ts'
import { type Shape } from '../../plan/archive/shape.ts'
import { canonicalJson } from '../../plan/language/stored.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { VERSION } from '../../package.ts'
import type { TableContext } from '../table-context.ts'
import { copyRows } from './copy-rows.ts'
import { reportRows } from './progress.ts'
import { whileReadingBack, type ReadBack } from './read-back.ts'
import { removeLeftovers } from './leftovers.ts'
import { readSections, withGroups } from './sections.ts'
import { sumOf } from './sum-of.ts'
import { archivedAs, readRange, readRelation } from './read-relation.ts'

// Archives rows. Invariants:
//
//   - The intention is in the journal before the first object, so that objects without a receipt are found.
//   - All rows are from one snapshot, or, on several nodes, of a table that nobody has written to; they are counted three times: by PostgreSQL, in what it sent, and, where that is
//     cheap, by a count(*) in the same snapshot.
//   - All objects are read back from the store and compared with what was sent, while further ones are written. Only then
//     is there a receipt.
//   - Nothing is removed here, and nothing in the database is changed: whatever fails, it can be done again.

/** What is archived, and where. */
export interface ArchiveOrder {
  readonly store: Store
  readonly to: ArchiveRequest
  readonly command: string
  /** The run in the journal; null without one. */
  readonly runId: string | null
  readonly approvedBy: string | null
  readonly ticket: string | null
  /** The table whose rows were selected first, then those of the tables whose rows depend on them. */
  readonly rows: readonly [RowsToArchive, ...RowsToArchive[]]
  /** Those of the condition that selects the rows; they also shape the text of values. */
  readonly settings: ConditionSettings
  /** Of the relation, from before the snapshot; null where nobody asks. */
  readonly seal: string | null
  /** Where Citus stores the rows: what proves that they belong together (stored-rows.ts). */
  readonly stored?: StoredRows
  /** In the transaction of the snapshot, before the first row is read. */
  readonly prepare?: (session: Session) => Promise<void>
}

/** Rows of which no snapshot is the same on all nodes. */
export interface StoredRows {
  /** Of the relation, from before the first row was read; null where the rows have been listed (plan/purge/stored-list.ts). */
  readonly fingerprint: string | null
  /** @throws {EbbError} if anything was written since, or another number of rows was there */
  readonly assertUnchanged: (archived: number) => Promise<void>
}

/** An archive with a receipt: its rows may be removed. */
export interface Archived {
  readonly id: string
  readonly entry: ReceiptEntry
  readonly receipt: Receipt
}

/**
 * Archives rows, and returns when the receipt is stored and recorded.
 *
 * @throws {EbbError} if any of it fails: objects that have been stored are left over, and known to the journal
 */
export async function archiveRows(context: TableContext, order: ArchiveOrder): Promise<Archived> {
  const asText: AsText = new Map()
  for (;;)
    try {
      return await archiveOnce(context, order, asText)
    } catch (error) {
      if (!(error instanceof NotExactError)) throw error
      context.observer({ type: 'note', text: `${error.message}: the archive begins again, and has them as text` })
      await removeLeftovers(context, order.command)
    }
}

/** By relation, the columns in which a value was found that the format does not hold otherwise. */
type AsText = Map<string, readonly string[]>

async function archiveOnce(context: TableContext, order: ArchiveOrder, asText: AsText): Promise<Archived> {
  const begun = await begin(context, order)
  const tables = await whileReadingBack(context, { ...begun, store: order.store }, (readBack) =>
    inSnapshotOf(context, order, (rows) => archiveTable(context, order, { ...begun, readBack }, rows, asText)),
  )
  await order.stored?.assertUnchanged(tables[0]?.rows ?? 0)
  return complete(context, order, begun, tables)
}

interface Begun {
  readonly id: string
  readonly createdAt: Date
  readonly encoding: Encoding
}

async function begin(context: TableContext, order: ArchiveOrder): Promise<Begun> {
  const { session, journalSchema } = context
  const [first] = order.rows
  const createdAt = new Date(Number((await readClock(session)) / 1000n))
  const id = archiveId(first.folder ?? tableFolder(archivedAs(first)), createdAt, randomBytes(4).toString('hex'))
  await beginArchive(session, journalSchema, {
    id,
    runId: order.runId,
    command: order.command,
    table: context.lease.table,
    relation: { oid: first.oid, name: first.table },
    store: order.store.uri,
    seal: order.seal,
  })
  return { id, createdAt, encoding: encodingOf(order) }
}

function encodingOf({ to, settings }: ArchiveOrder): Encoding {
  const { format, compression, encryptTo } = to
  return {
    format,
    settings: writtenUnder(settings),
    compression,
    encryption: encryptTo.length === 0 ? null : { kind: 'age', recipients: encryptTo },
  }
}

/**
 * One snapshot for all tables. While a slow store is waited for, the session is idle in its transaction, or PostgreSQL
 * waits for it to read: neither may end it.
 */
async function inSnapshotOf<T>(
  context: TableContext,
  { rows, prepare, settings, stored }: ArchiveOrder,
  archive: (rows: RowsToArchive) => Promise<T>,
): Promise<T[]> {
  const { session, lockLimits } = context
  return inTransaction(session, { isolation: 'repeatable read' }, async () => {
    if (stored !== undefined) await putOnAllNodes(session, settings)
    // One by one: Citus sends on the whole message.
    await inOneGo(session, () =>
      ['idle_in_transaction_session_timeout = 0', `lock_timeout = ${Math.ceil(lockLimits.deadlineMs)}`].map((setting) =>
        session.query(`set local ${setting}`),
      ),
    )
    // Before the snapshot, which the first query takes: nothing is altered between that and the COPY.
    for (const { table } of rows) await session.query(sql`lock table ${quoted(table)} in access share mode`)
    const preparing = prepare?.(session)
    loadBeforehand()
    await preparing
    const archived: T[] = []
    for (const one of rows) archived.push(await archive(one))
    return archived
  })
}

async function archiveTable(
  context: TableContext,
  order: ArchiveOrder,
  { id, encoding, readBack }: Begun & { readonly readBack: ReadBack },
  rows: RowsToArchive,
  texts: AsText,
): Promise<ArchivedTable> {
  const { session } = context
  const { relation, shape, key, bytes } = await readRelation(context, rows)
  await putSession(session, order.settings)
  const onProgress = reportRows(context, `archive ${display(rows.table)}`, rows.estimatedRows)
  const { oid } = rows
  const { columns } = shape
  const asText = texts.get(oid) ?? []
  const { partBytes } = order.to
  const table = archivedAs(rows)
  const writing = { archive: id, table, columns, asText, encoding, partBytes, ...readBack, onProgress }
  const sections = await readSections(session, rows, { ofTable: bytes, ofObject: partBytes })
  const sending = sentColumns(columns, encoding)
  const statements = sections.map(({ chosen }, i) => copyStatement(relation, sending, chosen, i === 0))
  const { written, sent } = await copyRows(context, statements, (source) =>
    writeObjects(order.store, source, writing),
  ).catch((error: unknown) => {
    if (error instanceof NotExactError) texts.set(oid, [...asText, ...error.columns])
    throw error
  })
  // The files here are empty where others have the rows.
  const cheap = order.stored === undefined && bytes <= CHEAP_BYTES
  assertCounted(rows, written, sent, cheap ? await count(context, relation, rows) : null)
  const range = await readRange(context, relation, rows, { columns, key, cheap })
  await putSessionBack(session, order.settings)
  const objects = withGroups(written.objects, sections, sent, encoding)
  const groupedBy = objects.some(({ group }) => group != null) ? (rows.groups?.column ?? null) : null
  return { ...describe(rows), ...shape, fingerprint: fingerprintOf(shape), key: range, groupedBy, ...written, objects }
}

/** So much is read in some tenths of a second. */
const CHEAP_BYTES = 128 * 1024 * 1024

async function count({ session }: TableContext, relation: Relation, { chosen }: RowsToArchive): Promise<number> {
  return (await readOne<{ rows: number }>(session, countRows(relation, chosen))).rows
}

/** @throws {EbbError} if the numbers of rows differ: something is wrong with the server, the network or Ebb */
function assertCounted(
  { table }: RowsToArchive,
  { rows }: Written,
  each: readonly (number | null)[],
  counted: number | null,
): void {
  const sent = each.includes(null) ? null : each.reduce<number>((sum, one) => sum + (one ?? 0), 0)
  if (rows === sent && (counted === null || counted === rows)) return
  throw new EbbError(
    `${display(table)}: ${rows} rows were archived; PostgreSQL says it sent ${sent ?? 'none'}${counted === null ? '' : `, and counts ${counted}`}`,
    {
      state: 'The archive has no receipt, and nothing has been removed.',
      next: 'Run the same command again. If it happens again, check the table for corruption (amcheck) before anything is removed.',
    },
  )
}

function describe(rows: RowsToArchive) {
  const { oid, partitionOf, where, horizon } = rows
  return { ...archivedAs(rows), oid, partitionOf, where, horizon }
}

function fingerprintOf({ columns, ddl }: Shape): string {
  return createHash('sha256').update(canonicalJson({ columns, ddl })).digest('hex')
}

async function complete(
  context: TableContext,
  order: ArchiveOrder,
  { id, createdAt, encoding }: Begun,
  tables: readonly ArchivedTable[],
): Promise<Archived> {
  const { session, journalSchema, signal } = context
  const receipt: Receipt = {
    format: RECEIPT_FORMAT,
    id,
    createdAt: createdAt.toISOString(),
    tool: `pg-ebb ${VERSION}`,
    run: await describeRun(context, order),
    database: await describeDatabase(context),
    tables,
    encoding,
  }
  const text = await receiptText(receipt)
  const name = `${id}/${RECEIPT}`
  await order.store.put(name, Readable.from([text]), { atMost: Buffer.byteLength(text), signal })
  const entry = { uri: order.store.uriOf(name), sha256: receiptDigest(text), ...sumOf(tables) }
  await recordReceipt(session, journalSchema, id, entry)
  return { id, entry, receipt }
}

async function describeRun({ session }: TableContext, order: ArchiveOrder): Promise<Receipt['run']> {
  const { role } = await readOne<{ role: string }>(session, sql`select current_user::text as role`)
  const { command, runId, approvedBy, ticket } = order
  return { command, id: runId, startedBy: role, approvedBy, ticket }
}

async function describeDatabase({ session, server }: TableContext): Promise<Receipt['database']> {
  const systemIdentifier = await readSystemIdentifier(session)
  return { name: server.database, systemIdentifier, serverVersion: server.versionText }
}
