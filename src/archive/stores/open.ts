import { parseDestination } from '../../plan/archive/destination.ts'
import { optional } from '../optional.ts'
import type { Store } from '../store.ts'
import { DirectoryStore } from './directory.ts'

/**
 * The store of a URI, which is absolute. Nothing is asked of it yet. A bucket is waited for until the signal.
 *
 * @throws {EbbError} if the URI is wrong, or the package for buckets is not installed
 */
export async function openStore(uri: string, signal: AbortSignal = new AbortController().signal): Promise<Store> {
  const destination = parseDestination(uri, '/')
  if (destination.scheme === 'file') return new DirectoryStore(destination)
  const { S3Store } = await optional(() => import('./s3.ts'), '@aws-sdk/client-s3')
  return new S3Store(destination, signal)
}
