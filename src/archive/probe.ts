import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { UNFINISHED } from './object-name.ts'
import { isStoreError, StoreError } from './store-error.ts'
import type { Store } from './store.ts'

const PROBE = 'ebb-probe-'
const FORGOTTEN_MS = 24 * 60 * 60 * 1000

/**
 * Whether archives can be kept in a store: an object is written, listed, read back, compared and removed. Whoever may not
 * list a bucket is not told that an object is missing, so an interrupted run could not be resumed. A store that denies
 * removals is a good place for archives, so that is no error; the object of 36 bytes stays.
 *
 * @throws {StoreError}
 */
export async function probe(store: Store, signal: AbortSignal): Promise<void> {
  const content = randomUUID()
  const name = `${probesAt(Date.now())}-${content}`
  await store.put(name, Readable.from([Buffer.from(content)]), { atMost: content.length, signal })
  for await (const found of store.list(name)) if (found.name === name) break
  const stored = await buffer(await store.get(name))
  await unlessDenied(async () => {
    await store.remove(name)
    await removeForgotten(store, Date.now() - FORGOTTEN_MS)
  })
  if (stored.toString() !== content)
    throw new StoreError(
      'damaged',
      `what was written to ${store.uri} was read back as something else`,
      'Use another store: archives would be damaged in this one.',
    )
}

/** How names of that moment begin: they sort by time. */
function probesAt(ms: number): string {
  return PROBE + new Date(ms).toISOString().replace(/[-:.]/g, '')
}

/** What processes have left that were killed in here so long ago that none is at work on it. */
async function removeForgotten(store: Store, before: number): Promise<void> {
  for await (const { name } of store.list(PROBE)) {
    if (name >= probesAt(before)) break
    await store.remove(name)
  }
  for await (const begun of store.unfinished(UNFINISHED))
    if (begun.begunAt.getTime() < before) await store.discard(begun)
}

async function unlessDenied(work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => {
    if (!isStoreError(error, 'denied')) throw error
  })
}
