import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { parseDestination } from '../../plan/archive/destination.ts'
import type { Store } from '../store.ts'
import { DirectoryStore } from './directory.ts'

/**
 * The store of a URI, which is absolute. Nothing is asked of it yet.
 *
 * @throws {EbbError} if the URI is wrong, or the package for buckets is not installed
 */
export async function openStore(uri: string): Promise<Store> {
  const destination = parseDestination(uri, '/')
  if (destination.scheme === 'file') return new DirectoryStore(destination)
  const { S3Store } = await optional(() => import('./s3.ts'), '@aws-sdk/client-s3')
  return new S3Store(destination)
}

/** Loads a module that needs a package which is installed only by those who use it. */
export async function optional<Module>(load: () => Promise<Module>, name: string): Promise<Module> {
  try {
    return await load()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    throw new EbbError(
      `the package ${name} is needed for this, and it is not installed`,
      { state: NOTHING_CHANGED, next: `Install it beside Ebb: npm install ${name} (with --global if Ebb is).` },
      'failed',
      error,
    )
  }
}
