import { Readable } from 'node:stream'
import { isStoreError } from '../../../archive/store-error.ts'
import { inSnapshot, readAll, readOne, type Session } from '../../../db/session.ts'
import { putSession } from '../../../db/settings.ts'
import { recordRemoval, recordRemovalWritten, type ArchiveEntry } from '../../../journal/archives.ts'
import { at } from '../../../journal/journal.ts'
import { readFigures } from '../../../journal/purges.ts'
import { REMOVAL } from '../../../plan/archive/names.ts'
import { REMOVAL_FORMAT, type RowsRemoval } from '../../../plan/archive/removal.ts'
import type { RemovalStep } from '../../../plan/language/step.ts'
import { quoted } from '../../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../../sql/sql.ts'
import { withStore } from '../../archive/with-store.ts'
import type { RunContext } from '../../table-context.ts'
import { archiveOf, COMMAND, countRows } from './archive-set.ts'

/**
 * Writes removal.json, with the keys that are left in the set. If there is one, this run has written it, and was killed
 * before that was recorded; nothing has been deleted since.
 */
export async function writeRemoval(step: RemovalStep, context: RunContext): Promise<void> {
  const { session, journalSchema, signal } = context
  const { archive, removal } = await readRemoval(step, context)
  await inSnapshot(session, async () => {
    await session.query('set local idle_in_transaction_session_timeout = 0')
    await putSession(session, step.settings)
    const atMost = JSON.stringify(removal).length + (await sizeOfKeys(session, step))
    await withStore(archive.store, (store) =>
      store.put(`${archive.id}/${REMOVAL}`, Readable.from(document(session, step, removal)), { atMost, signal }),
    ).catch(unlessExists)
  })
  await recordRemoval(session, journalSchema, archive.id, removal)
  await recordRemovalWritten(session, journalSchema, archive.id)
}

function unlessExists(error: unknown): void {
  if (!isStoreError(error, 'exists')) throw error
}

async function readRemoval({ table, set, columns }: RemovalStep, context: RunContext): Promise<Found> {
  const { session, journalSchema, runId } = context
  const archive = await archiveOf(context)
  if (archive?.receipt == null) throw new Error(`run ${runId} has deleted rows, and has no receipt`)
  const { uri, sha256, rows: archived } = archive.receipt
  const { batches, rows: deleted } = await readFigures(session, journalSchema, runId)
  const run = { command: COMMAND, id: runId, ...(await readTimes(context)) }
  const kept = await countRows(session, set)
  const base = { format: REMOVAL_FORMAT, receipt: { uri, sha256 }, run, table } as const
  return { archive, removal: { ...base, archived, deleted, batches, kept, key: columns } }
}

interface Found {
  readonly archive: ArchiveEntry
  readonly removal: RowsRemoval
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
async function sizeOfKeys(session: Session, { set, columns }: RemovalStep): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`select pg_catalog.count(*)::pg_catalog.float8 * 2 + coalesce(pg_catalog.sum(pg_catalog.octet_length(${keyAsJson(columns)})), 0)::pg_catalog.float8 + 100 as bytes from ${quoted(set)}`,
  )
  return bytes
}

const KEYS_AT_ONCE = 10_000

/** The keys page by page: there may be many. */
async function* document(
  session: Session,
  { set, columns }: RemovalStep,
  removal: RowsRemoval,
): AsyncGenerator<string> {
  yield `${JSON.stringify(removal).slice(0, -1)},"keptKeys":[`
  await session.query(
    sql`declare ebb_kept no scroll cursor for select ${keyAsJson(columns)} as key from ${quoted(set)}`.text,
  )
  for (let separator = '\n'; ; separator = ',\n') {
    const page = await readAll<{ key: string }>(session, raw(`fetch ${KEYS_AT_ONCE} from ebb_kept`))
    if (page.length === 0) break
    yield `${separator}${page.map(({ key }) => key).join(',\n')}`
  }
  yield ']}\n'
}

function keyAsJson(columns: readonly string[]): Sql {
  const texts = join(columns.map((name) => sql`${ident(name)}::pg_catalog.text`))
  return sql`pg_catalog.json_build_array(${texts})::pg_catalog.text`
}
