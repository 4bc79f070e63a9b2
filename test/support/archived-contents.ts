import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gunzipSync } from 'node:zlib'
import { from } from 'pg-copy-streams'
import type { Session } from '../../src/db/session.ts'
import type { StoredRemoval } from '../../src/plan/archive/removal.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, join as joined, raw, sql } from '../../src/sql/sql.ts'

/** An archive in a folder: its receipt, and what was deleted because of it; null where that is not finished. */
export interface FoundArchive {
  readonly receipt: Receipt
  readonly removal: StoredRemoval | null
}

/** All archives of a table that have a receipt; and the names of files without one. */
export async function archivesIn(folder: string): Promise<{ archives: FoundArchive[]; leftovers: string[] }> {
  const archives: FoundArchive[] = []
  const leftovers: string[] = []
  for (const table of await readdir(folder))
    for (const id of await readdir(join(folder, table))) {
      const place = join(folder, table, id)
      const names = await readdir(place)
      if (!names.includes('receipt.json')) leftovers.push(...names)
      else archives.push({ receipt: await json(place, 'receipt.json'), removal: await removalIn(place, names) })
    }
  return { archives, leftovers }
}

async function removalIn(place: string, names: readonly string[]): Promise<StoredRemoval | null> {
  return names.includes('removal.json') ? json(place, 'removal.json') : null
}

async function json<T>(...path: string[]): Promise<T> {
  return JSON.parse(await readFile(join(...path), 'utf8')) as T
}

/** Loads the rows that were archived and deleted into a table of the same columns. */
export async function restoreDeleted(
  session: Session,
  folder: string,
  { receipt, removal }: FoundArchive,
  into: TableName,
  name = receipt.tables[0]?.name,
): Promise<void> {
  const table = receipt.tables.find((one) => one.name === name)
  const removed = removal?.tables.find((one) => one.name === name)
  const columns = joined(table!.columns.map(({ name }) => ident(name)))
  await session.query(sql`create temporary table loaded (like ${quoted(into)})`.text)
  for (const { name } of table!.objects) {
    const content = gunzipSync(await readFile(join(folder, receipt.id, name)))
    const copy = session.query(from(sql`copy loaded (${columns}) from stdin (format csv, header)`.text))
    await pipeline(Readable.from([content]), copy)
  }
  const key = joined((removed?.key ?? []).map((name) => sql`${ident(name)}::text`))
  for (const kept of removed?.keptKeys ?? [])
    await session.query(sql`delete from loaded where row(${key}) = row(${joined(kept.map((text) => sql`${text}`))})`)
  await session.query(sql`insert into ${quoted(into)} select * from loaded; drop table loaded`.text)
}

/** Rows of one that are not in the other, either way, each as often as it is there. */
export async function differences(session: Session, one: TableName, other: TableName): Promise<string[]> {
  const side = (a: TableName, b: TableName, sign: string) =>
    sql`select ${raw(`'${sign} '`)} || t::text as row from (select * from ${quoted(a)} except all select * from ${quoted(b)}) t`
  const { rows } = await session.query<{ row: string }>(
    sql`${side(one, other, '-')} union all ${side(other, one, '+')}`,
  )
  return rows.map(({ row }) => row)
}
