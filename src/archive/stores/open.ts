import { parseDestination } from '../../plan/archive/destination.ts'
import type { Store } from '../store.ts'
import { DirectoryStore } from './directory.ts'

/** The store of a URI, which is absolute. Nothing is asked of it yet. @throws {UsageError} */
export async function openStore(uri: string): Promise<Store> {
  const destination = parseDestination(uri, '/')
  if (destination.scheme === 'file') return new DirectoryStore(destination)
  throw new Error('buckets are not supported yet')
}
