import { text as readText } from 'node:stream/consumers'
import { reasonOf } from '../db/sqlstate.ts'
import { NOTHING_CHANGED } from '../errors.ts'
import { folderOfArchive, RECEIPT, REMOVAL } from '../plan/archive/names.ts'
import type { ArchivedTable, Encoding, Receipt } from '../plan/archive/receipt.ts'
import type { StoredRemoval, TableRemoval } from '../plan/archive/removal.ts'
import { display } from '../sql/names.ts'
import { whileReading } from './archive-error.ts'
import { differenceText } from './content/difference.ts'
import { parseReceipt, receiptDigest } from './receipt-text.ts'
import { readRemoval, removalDifferences } from './removal-document.ts'
import { openStore } from './stores/open.ts'
import type { Store, StoredObject } from './store.ts'
import type { FoundDifference } from './verify-receipt.ts'

/** What a store holds. */
export interface ArchiveList {
  readonly uri: string
  /** By table and time. */
  readonly archives: readonly ListedArchive[]
  /** Folders without a receipt: interrupted, or still being written. They are no archives. */
  readonly leftovers: readonly Leftover[]
  /** Names of what has been begun and is no object yet. */
  readonly unfinished: readonly string[]
}

export interface ListedArchive {
  readonly receipt: string
  readonly folder: string
  /** Null where the receipt cannot be read; `problems` says why. */
  readonly summary: ArchiveSummary | null
  /** Objects beside the receipt, and their size as stored. */
  readonly objects: number
  readonly bytes: number
  /** What the removal document says; null where there is none, or it cannot be read. */
  readonly removal: ListedRemoval | null
  /** What can be seen without reading objects: missing ones, other sizes, a removal document about something else. */
  readonly problems: readonly string[]
}

export interface ArchiveSummary extends Pick<Receipt, 'createdAt' | 'run' | 'database'> {
  readonly rows: number
  readonly tables: readonly Pick<
    ArchivedTable,
    'schema' | 'name' | 'partitionOf' | 'where' | 'horizon' | 'key' | 'rows'
  >[]
  readonly encoding: Pick<Encoding, 'format' | 'compression' | 'encryption'>
}

/** What has been removed because of a receipt. */
export interface ListedRemoval {
  readonly how: StoredRemoval['how']
  /** Without the keys of the rows that were kept. */
  readonly tables: readonly TableRemoval[]
}

export interface Leftover {
  readonly folder: string
  readonly objects: number
  readonly bytes: number
}

/** Lists the archives of a store, or of a folder in it; objects are not read. */
export function listArchives(uri: string, signal: AbortSignal): Promise<ArchiveList> {
  return whileReading(NOTHING_CHANGED, () => list(uri, signal))
}

async function list(uri: string, signal: AbortSignal): Promise<ArchiveList> {
  const store = await openStore(uri, signal)
  try {
    const archives: ListedArchive[] = []
    const leftovers: Leftover[] = []
    const found = inOrder(folders(store), AT_ONCE, async ([folder, objects]) => {
      signal.throwIfAborted()
      if (objects.some(({ name }) => name === `${folder}/${RECEIPT}`)) return listed(store, folder, objects)
      return { folder, objects: objects.length, bytes: sizeOf(objects) }
    })
    for await (const one of found)
      if ('receipt' in one) archives.push(one)
      else leftovers.push(one)
    return { uri, archives, leftovers, unfinished: await namesOf(store.unfinished('')) }
  } finally {
    await store.close()
  }
}

/** Receipts are small, and a bucket takes some tenths of a second for each. */
const AT_ONCE = 8

/** Works on a few items at once; the results come in the order of the items. */
async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const begun: Promise<Result>[] = []
  for await (const item of items) {
    const result = work(item)
    // Whoever waits for it hears of its failure.
    result.catch(() => {})
    begun.push(result)
    const first = begun.length < atOnce ? undefined : begun.shift()
    if (first !== undefined) yield await first
  }
  for (const result of begun) yield await result
}

/** The objects of each folder; what is in no folder of an archive is somebody else's. */
async function* folders(store: Store): AsyncGenerator<[folder: string, objects: StoredObject[]]> {
  let current: [string, StoredObject[]] | null = null
  for await (const object of store.list('')) {
    const folder = folderOfArchive(object.name)
    if (folder === null) continue
    if (current !== null && current[0] !== folder) yield current
    if (current?.[0] === folder) current[1].push(object)
    else current = [folder, [object]]
  }
  if (current !== null) yield current
}

async function listed(store: Store, folder: string, all: readonly StoredObject[]): Promise<ListedArchive> {
  const documents = [RECEIPT, REMOVAL].map((name) => `${folder}/${name}`)
  const stored = all.filter(({ name }) => !documents.includes(name))
  const receipt = store.uriOf(`${folder}/${RECEIPT}`)
  const problems: string[] = []
  const orProblem = <T>(reading: Promise<T>) =>
    reading.catch((error: unknown) => {
      problems.push(reasonOf(error))
      return null
    })
  const read = await orProblem(readReceipt(store, `${folder}/${RECEIPT}`))
  if (read !== null) problems.push(...problemsOf(read.receipt, folder, stored))
  const removal = await orProblem(readRemoval(store, `${folder}/`))
  if (read !== null && removal !== null)
    problems.push(...removalDifferences(removal, read.receipt, read.digest).map(removalProblem))
  return {
    ...{ receipt, folder, objects: stored.length, bytes: sizeOf(stored) },
    summary: read === null ? null : summaryOf(read.receipt),
    removal: removal === null ? null : listedRemoval(removal),
    problems,
  }
}

async function readReceipt(store: Store, name: string) {
  const text = await readText(await store.get(name))
  return { receipt: await parseReceipt(text, store.uriOf(name)), digest: receiptDigest(text) }
}

function removalProblem(found: FoundDifference): string {
  return `${REMOVAL} differs from the receipt in ${differenceText(found)} (${display(found.table)})`
}

function listedRemoval({ how, tables }: StoredRemoval): ListedRemoval {
  return { how, tables: tables.map(({ keptKeys: _, ...table }) => table) }
}

function summaryOf({ createdAt, run, database, tables, encoding }: Receipt): ArchiveSummary {
  const { format, compression, encryption } = encoding
  return {
    createdAt,
    run,
    database,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    tables: tables.map(({ schema, name, partitionOf, where, horizon, key, rows }) => ({
      ...{ schema, name, partitionOf, where, horizon, key, rows },
    })),
    encoding: { format, compression, encryption },
  }
}

/** Objects that are missing or have another size than the receipt says. */
export function problemsOf(
  { tables }: Pick<Receipt, 'tables'>,
  folder: string,
  stored: readonly StoredObject[],
): string[] {
  const sizes = new Map(stored.map(({ name, bytes }) => [name, bytes]))
  return tables.flatMap(({ objects }) =>
    objects.flatMap(({ name, bytes }) => {
      const found = sizes.get(`${folder}/${name}`)
      if (found === undefined) return [`${name} is missing`]
      return found === bytes ? [] : [`${name} has ${found} bytes instead of ${bytes}`]
    }),
  )
}

function sizeOf(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function namesOf(objects: AsyncIterable<{ readonly name: string }>): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of objects) names.push(name)
  return names
}
