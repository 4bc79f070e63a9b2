import { addAbortSignal, type Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { readObject, readStored } from '../../archive/content/read-object.ts'
import type { Store } from '../../archive/store.ts'
import type { ArchivedObject, ArchivedTable, Encoding } from '../../plan/archive/receipt.ts'
import { reportRows } from './progress.ts'
import type { TableContext } from '../table-context.ts'

/**
 * Reads all objects back from where they are stored, and compares sizes, digests and records with what was sent. Of
 * encrypted ones the ciphertext is compared: whoever archives need not be able to read.
 *
 * @throws {EbbError} at the first difference, and if an object cannot be read
 */
export async function readBack(
  context: TableContext,
  store: Store,
  archive: string,
  tables: readonly ArchivedTable[],
  encoding: Encoding,
): Promise<void> {
  const objects = tables.flatMap((table) => table.objects)
  const report = reportRows(
    context,
    'read the archive back',
    objects.reduce((sum, { rows }) => sum + rows, 0),
  )
  let rows = 0
  for (const object of objects) {
    await drain(await open(store, `${archive}/${object.name}`, object, encoding), context.signal)
    report((rows += object.rows), 0)
  }
}

function open(store: Store, name: string, object: ArchivedObject, encoding: Encoding): Promise<Readable> {
  return encoding.encryption === null ? readObject(store, name, object, encoding, []) : readStored(store, name, object)
}

async function drain(content: Readable, signal: AbortSignal): Promise<void> {
  addAbortSignal(signal, content)
  content.resume()
  await finished(content)
}
