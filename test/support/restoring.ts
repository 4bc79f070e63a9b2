import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { receiptText } from '../../src/archive/receipt-text.ts'
import type { Store } from '../../src/archive/store.ts'
import { writeObjects, type Writing } from '../../src/archive/content/write-objects.ts'
import { openStore } from '../../src/archive/stores/open.ts'
import { Readable } from 'node:stream'
import { CopyOut } from '../../src/db/copy-out.ts'
import { readAll } from '../../src/db/query.ts'
import type { Session } from '../../src/db/session.ts'
import { planRestoring, restoreRows, type RestoreOrder } from '../../src/engine/restore/restoring.ts'
import type { ArchivedColumn, ArchivedTable } from '../../src/plan/archive/receipt.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { ARCHIVE, receiptOf } from './receipts.ts'
import { quietly } from './tool.ts'

// Archives of a table as it is, and restores from them.

export interface StoredArchive {
  readonly directory: string
  /** The address of its receipt. */
  readonly receipt: string
  readonly table: ArchivedTable
}

interface HowStored extends Partial<ArchivedTable> {
  readonly partBytes?: number
}

/** Archives rows of a table into a directory, in objects of about `partBytes`. */
export function storeRows(session: Session, name: TableName, how: HowStored = {}): Promise<StoredArchive> {
  return storeTables(session, [name], how)
}

/** The same of several tables; `table` is the last. */
export async function storeTables(
  session: Session,
  names: readonly TableName[],
  how: HowStored = {},
): Promise<StoredArchive> {
  const directory = await mkdtemp(join(tmpdir(), 'ebb-archive-'))
  const store = await openStore(pathToFileURL(directory).href)
  const encoding = { format: 'csv', settings: {}, compression: 'gzip', encryption: null } as const
  const { signal } = new AbortController()
  const tables: ArchivedTable[] = []
  for (const name of names) tables.push(await storeTable(session, store, name, { encoding, signal }, how))
  const text = await receiptText(receiptOf(tables, { encoding }))
  await store.put(`${ARCHIVE}/receipt.json`, Readable.from([text]), { atMost: 1e6, signal })
  return { directory, receipt: pathToFileURL(join(directory, ARCHIVE, 'receipt.json')).href, table: tables.at(-1)! }
}

async function storeTable(
  session: Session,
  store: Store,
  name: TableName,
  writing: Pick<Writing, 'encoding' | 'signal'>,
  { where = 'true', partBytes = 1e6, ...given }: HowStored,
): Promise<ArchivedTable> {
  const rows = sql`copy (select * from ${quoted(name)} where ${raw(where ?? 'true')} order by 1) to stdout (format csv, header)`
  const csv: Readable = session.query(new CopyOut(rows.text))
  const { columns, oid } = await describe(session, name)
  const written = await writeObjects(store, csv, { archive: ARCHIVE, table: name, columns, partBytes, ...writing })
  const key = { columns: ['id'], first: ['1'], last: ['1'] }
  const rest = { partitionOf: null, horizon: null, ddl: [], fingerprint: 'f'.repeat(64), where, key, columns, oid }
  return { ...name, ...rest, ...written, ...given }
}

async function describe(session: Session, name: TableName) {
  const columns = await readAll<ArchivedColumn & { readonly oid: string }>(
    session,
    sql`
    select attrelid::text as oid, attname::text as name, attnum::int as number, format_type(atttypid, atttypmod) as type,
      attnotnull as "notNull", attgenerated <> '' as generated
    from pg_attribute where attrelid = ${quoted(name).text}::regclass and attnum > 0 and not attisdropped order by attnum`,
  )
  return { oid: columns[0]?.oid ?? '', columns: columns.map(({ oid: _, ...column }) => column) }
}

export const ORDER: Omit<RestoreOrder, 'receipt'> = {
  table: null,
  into: null,
  where: null,
  onConflict: 'keep',
  attach: false,
  hold: null,
  accept: [],
}

export function restoreFrom(
  { receipt }: Pick<StoredArchive, 'receipt'>,
  url: string,
  order: Partial<RestoreOrder> = {},
) {
  return restoreRows(url, { ...ORDER, receipt, ...order }, quietly())
}

export function planRestoreFrom(
  { receipt }: Pick<StoredArchive, 'receipt'>,
  url: string,
  order: Partial<RestoreOrder> = {},
) {
  return planRestoring(url, { ...ORDER, receipt, ...order }, quietly())
}
