import { Readable } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { parseReceipt } from '../../../archive/receipt-text.ts'
import { isStoreError, StoreError } from '../../../archive/store-error.ts'
import type { Store } from '../../../archive/store.ts'
import { putOnAllNodes } from '../../../catalog/partitions/stored-leaves.ts'
import { readAll, readOne } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { inSnapshot } from '../../../db/transaction.ts'
import { putSession } from '../../../db/settings.ts'
import { reasonOf } from '../../../db/sqlstate.ts'
import { recordRemoval, recordRemovalWritten, type ArchiveEntry } from '../../../journal/archives.ts'
import { at } from '../../../journal/journal.ts'
import { readFigures } from '../../../journal/purges.ts'
import { RECEIPT, REMOVAL } from '../../../plan/archive/names.ts'
import type { Receipt } from '../../../plan/archive/receipt.ts'
import { REMOVAL_FORMAT, type Removal, type TableRemoval } from '../../../plan/archive/removal.ts'
import type { RemovalStep } from '../../../plan/language/step.ts'
import type { ArchivedKeys } from '../../../plan/purge/archive/work.ts'
import { keysIn } from '../../../plan/purge/archive/listing.ts'
import { display, sameName } from '../../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../../sql/sql.ts'
import { discardBesideReceipt } from '../../archive/leftovers.ts'
import { withStore } from '../../archive/with-store.ts'
import type { RunContext } from '../../table-context.ts'
import { countEntries } from '../check.ts'
import { assertAllEnded } from '../stored/ended.ts'
import { archiveOf, COMMAND } from './archive-set.ts'

/**
 * Writes removal.json, with the keys that are left in the sets. If there is one, this run has written it, and was killed
 * before that was recorded; nothing has been deleted since.
 */
export async function writeRemoval(step: RemovalStep, context: RunContext): Promise<void> {
  const archive = await archiveOf(context)
  if (step.abandoned === true) return archive === undefined ? undefined : writeOfAbandoned(step, context, archive)
  if (archive === undefined) throw new Error(`run ${context.runId} has deleted rows, and has no receipt`)
  return writeBeside(archive, step, context)
}

/** A store that is gone for good must not keep a run from being abandoned. A document without deleted rows would say that there are some. */
async function writeOfAbandoned(step: RemovalStep, context: RunContext, archive: ArchiveEntry): Promise<void> {
  const { rows, tables } = await readFigures(context.session, context.journalSchema, context.runId)
  if (archive.removalWritten || (rows === 0 && tables.length === 0)) return
  try {
    await writeBeside(archive, step, context)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const text = `removal.json of archive ${archive.id} is not written: ${reasonOf(error)}. A restore of it cannot tell which rows were not deleted`
    context.observer({ type: 'note', text })
  }
}

async function writeBeside(archive: ArchiveEntry, step: RemovalStep, context: RunContext): Promise<void> {
  const { session, journalSchema, signal } = context
  await assertAllEnded(context, step.sets)
  const removal = await withStore(archive.store, signal, async (store) => {
    const removal = await readRemoval(step, context, archive, await receiptOf(store, archive))
    await discardBesideReceipt(store, archive.id)
    await inSnapshot(session, async () => {
      await session.query('set local idle_in_transaction_session_timeout = 0')
      if (step.sets.some(({ stored }) => stored === true)) await putOnAllNodes(session, step.settings)
      await putSession(session, step.settings)
      const atMost = JSON.stringify(removal).length + (await sizeOfKeys(session, step))
      const content = Readable.from(document(session, step, removal))
      await store.put(`${archive.id}/${REMOVAL}`, content, { atMost, signal }).catch(unlessExists)
    })
    return removal
  })
  await recordRemoval(session, journalSchema, archive.id, removal)
  await recordRemovalWritten(session, journalSchema, archive.id)
}

function unlessExists(error: unknown): void {
  if (!isStoreError(error, 'exists')) throw error
}

async function receiptOf(store: Store, { id }: ArchiveEntry): Promise<Receipt> {
  const name = `${id}/${RECEIPT}`
  return parseReceipt(await readText(await store.get(name)), store.uriOf(name))
}

async function readRemoval(
  { sets }: RemovalStep,
  context: RunContext,
  { receipt }: ArchiveEntry,
  { tables: archived }: Receipt,
): Promise<Removal> {
  const { session, journalSchema, runId } = context
  const { uri = '', sha256 = '' } = receipt ?? {}
  const { batches, rows, tables: gone } = await readFigures(session, journalSchema, runId)
  const tables: TableRemoval[] = []
  for (const [i, keys] of sets.entries()) {
    const { table, columns } = keys
    tables.push({
      schema: table.schema,
      name: table.name,
      archived: archived.find((one) => sameName(one, table))?.rows ?? 0,
      deleted: i === 0 ? rows : (gone.find((one) => one.table === display(table))?.rows ?? 0),
      kept: await countEntries(session, keys),
      key: columns,
    })
  }
  const run = { command: COMMAND, id: runId, ...(await readTimes(context)) }
  return { format: REMOVAL_FORMAT, receipt: { uri, sha256 }, run, how: 'deleted', batches, tables }
}

async function readTimes({
  session,
  journalSchema,
  runId,
}: RunContext): Promise<{ startedAt: string; endedAt: string }> {
  const { began, ended } = await readOne<{ began: Date; ended: Date }>(
    session,
    sql`select started_at as began, clock_timestamp() as ended from ${at(journalSchema, 'run')} where id = ${runId}`,
  )
  return { startedAt: began.toISOString(), endedAt: ended.toISOString() }
}

/** With the separators. */
async function sizeOfKeys(session: Session, { sets }: RemovalStep): Promise<number> {
  let bytes = 0
  for (const keys of sets) bytes += await sizeOfKeysIn(session, keys)
  return bytes
}

async function sizeOfKeysIn(session: Session, keys: ArchivedKeys): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`select pg_catalog.count(*)::pg_catalog.float8 * 2 + coalesce(pg_catalog.sum(pg_catalog.octet_length(key)), 0)::pg_catalog.float8 + 100 as bytes from (${keysAsJson(keys)}) k`,
  )
  return bytes
}

async function* document(
  session: Session,
  { sets }: RemovalStep,
  { tables, ...removal }: Removal,
): AsyncGenerator<string> {
  yield opened(removal, 'tables')
  for (const [i, keys] of sets.entries()) {
    yield i === 0 ? '\n' : ',\n'
    yield opened(tables[i] ?? {}, 'keptKeys')
    yield* pagesOf(session, keys)
    yield ']}'
  }
  yield '\n]}\n'
}

/** The beginning of a JSON object whose last member is a list. */
function opened(members: object, list: string): string {
  return `${JSON.stringify(members).slice(0, -1)},"${list}":[`
}

const KEYS_AT_ONCE = 10_000

/** The keys page by page: there may be many. */
async function* pagesOf(session: Session, keys: ArchivedKeys): AsyncGenerator<string> {
  await session.query(sql`declare ebb_kept no scroll cursor for ${keysAsJson(keys)}`.text)
  for (let separator = '\n'; ; separator = ',\n') {
    const page = await readAll<{ key: string }>(session, raw(`fetch ${KEYS_AT_ONCE} from ebb_kept`))
    if (page.length === 0) break
    yield `${separator}${page.map(({ key }) => key).join(',\n')}`
  }
  await session.query('close ebb_kept')
}

/** Each key as `key`. */
function keysAsJson(keys: ArchivedKeys): Sql {
  const { columns, from } = keysIn(keys)
  const texts = join(columns.map((name) => sql`${ident(name)}::pg_catalog.text`))
  return sql`select pg_catalog.json_build_array(${texts})::pg_catalog.text as key from ${from}`
}
