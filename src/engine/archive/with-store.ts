import { FORMATS } from '../../archive/content/formats.ts'
import { probe } from '../../archive/probe.ts'
import { openStore } from '../../archive/stores/open.ts'
import type { Store } from '../../archive/store.ts'
import type { ArchiveRequest } from '../../plan/archive/request.ts'

/** Opens the store of a URI for the duration of `work`. @throws {StoreError} */
export async function withStore<T>(uri: string, signal: AbortSignal, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(uri, signal)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/**
 * The same for archiving, after the store has been tried, and what the format needs has been loaded: what is wrong shows
 * before rows are read.
 */
export function withTriedStore<T>(
  { uri, format }: Pick<ArchiveRequest, 'uri' | 'format'>,
  signal: AbortSignal,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  return withStore(uri, signal, async (store) => {
    await FORMATS[format].load()
    await probe(store, signal)
    return work(store)
  })
}
