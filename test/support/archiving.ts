import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { readServer } from '../../src/catalog/server-model.ts'
import { openStore } from '../../src/archive/stores/open.ts'
import type { Store } from '../../src/archive/store.ts'
import { withSession } from '../../src/db/session.ts'
import { withTable, type TableContext } from '../../src/engine/table-context.ts'
import type { Happening } from '../../src/events.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import type { ArchiveRequest } from '../../src/plan/archive/request.ts'
import type { TableName } from '../../src/sql/names.ts'
import type { Database } from './database.ts'

/** A folder for archives, removed by `close`. */
export async function archiveFolder() {
  const path = await mkdtemp(join(tmpdir(), 'ebb-archive-'))
  return { path, uri: pathToFileURL(path).href, close: () => rm(path, { recursive: true, force: true }) }
}

export function archiveTo(uri: string, changes: Partial<ArchiveRequest> = {}): ArchiveRequest {
  return { uri, format: 'csv', compression: 'gzip', partBytes: 1e6, encryptTo: [], ...changes }
}

/** Does something as the command `archive` does, with the lease of a table. */
export async function working<T>(
  database: Database,
  table: TableName,
  work: (context: TableContext) => Promise<T>,
  { events = [], signal = new AbortController().signal }: { events?: Happening[]; signal?: AbortSignal } = {},
): Promise<T> {
  const server = await withSession(database.url, 'test', (session) => readServer(session, 'ebb'))
  const observer = (event: Happening) => void events.push(event)
  const options = { target: database.url, server, journalSchema: 'ebb', command: 'archive', observer, signal }
  return withTable(options, table, work)
}

/** A store of which some operations do something else. */
export async function storeWith(uri: string, changes: (store: Store) => Partial<Store>): Promise<Store> {
  return Object.assign(await openStore(uri), changes(await openStore(uri)))
}

/** The rows of an archive, as CSV without the header, read from its files. */
export async function archivedRows(
  folder: string,
  receipt: Pick<Receipt, 'id' | 'tables'>,
  table = 0,
): Promise<string[]> {
  const rows: string[] = []
  for (const { name } of receipt.tables[table]!.objects) {
    const bytes = await readFile(join(folder, receipt.id, name))
    rows.push(...gunzipSync(bytes).toString().split('\n').slice(1, -1))
  }
  return rows
}
