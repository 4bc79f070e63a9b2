import { addAbortSignal, type Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { readStored } from '../../archive/content/read-object.ts'
import type { Store } from '../../archive/store.ts'
import type { ArchivedObject } from '../../plan/archive/receipt.ts'
import { reportRows } from './progress.ts'
import type { TableContext } from '../table-context.ts'

type Watched = Pick<TableContext, 'observer' | 'signal'>

/** Whose objects are read back. */
interface Place {
  readonly store: Store
  readonly id: string
}

/** For who writes them. */
export interface ReadBack {
  /** Aborted if an object is not what was sent. */
  readonly signal: AbortSignal
  readonly onStored: (object: ArchivedObject) => void
}

/**
 * Reads objects back from where they are stored while `write` goes on with the next ones, one at a time, and compares
 * their bytes with those that were sent there, which have been proven to hold the rows. Returns what `write` does when all
 * have been compared.
 *
 * @throws {EbbError} at the first difference, and if an object cannot be read or written; nothing is under way then
 */
export async function whileReadingBack<T>(
  context: Watched,
  { store, id }: Place,
  write: (readBack: ReadBack) => Promise<T>,
): Promise<T> {
  const failed = new AbortController()
  const signal = AbortSignal.any([context.signal, failed.signal])
  const rows = { stored: 0, read: 0 }
  let report: ReturnType<typeof reportRows> = () => {}
  let reading = Promise.resolve()
  const read = async (object: ArchivedObject) => {
    await drain(await readStored(store, `${id}/${object.name}`, object), signal)
    report((rows.read += object.rows), 0)
  }
  const onStored = (object: ArchivedObject) => {
    rows.stored += object.rows
    reading = reading.then(() => read(object))
    reading.catch((reason: unknown) => failed.abort(reason))
  }
  try {
    const written = await write({ signal, onStored })
    report = reportRest(context, rows)
    await reading
    return written
  } catch (error) {
    failed.abort(error)
    await reading.catch(() => {})
    throw failed.signal.reason
  }
}

/** Those that are left when all has been written: until then, its progress is told. */
function reportRest(context: Watched, rows: { readonly stored: number; readonly read: number }) {
  const before = rows.read
  const report = reportRows(context, 'read the archive back', rows.stored - before)
  return (read: number) => report(read - before, 0)
}

async function drain(content: Readable, signal: AbortSignal): Promise<void> {
  addAbortSignal(signal, content)
  content.resume()
  await finished(content)
}
