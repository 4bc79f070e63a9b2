import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { isStoreError, StoreError } from './store-error.ts'
import type { Store } from './store.ts'

/**
 * Whether archives can be kept in a store: an object is written, listed, read back, compared and removed. Whoever may not
 * list a bucket is not told that an object is missing, so an interrupted run could not be resumed. A store that denies
 * removals is a good place for archives, so that is no error; the object of 36 bytes stays.
 *
 * @throws {StoreError}
 */
export async function probe(store: Store, signal: AbortSignal): Promise<void> {
  const content = randomUUID()
  const name = `ebb-probe-${content}`
  await store.put(name, Readable.from([Buffer.from(content)]), { atMost: content.length, signal })
  for await (const found of store.list(name)) if (found.name === name) break
  const stored = await buffer(await store.get(name))
  await store.remove(name).catch((error: unknown) => {
    if (!isStoreError(error, 'denied')) throw error
  })
  if (stored.toString() !== content)
    throw new StoreError(
      'damaged',
      `what was written to ${store.uri} was read back as something else`,
      'Use another store: archives would be damaged in this one.',
    )
}
