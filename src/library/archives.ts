import * as listing from '../archive/list-archives.ts'
import * as verifying from '../archive/verify-archive.ts'
import { parseIdentities } from '../plan/archive/identity.ts'
import { LIST_ARCHIVES, VERIFY_ARCHIVE } from '../requests/archives.ts'
import { readOptions } from './call.ts'

export interface ArchiveAccess {
  readonly signal?: AbortSignal
}

export interface VerifyArchiveOptions extends ArchiveAccess {
  /** Texts of key files of age; without them the stored bytes of an encrypted archive are compared. */
  readonly identities?: readonly string[]
  /** Is called often, with the rows and stored bytes so far. It must not throw. */
  readonly onProgress?: (rows: number, bytes: number) => void
}

/** Compares an archive with its receipt, without a database. The differences are in the result: they are no error. */
export async function verifyArchive(
  receipt: string,
  { identities = [], signal = new AbortController().signal, onProgress }: VerifyArchiveOptions = {},
): Promise<verifying.ArchiveVerification> {
  return verifying.verifyArchive(readOptions(VERIFY_ARCHIVE, { receipt }), {
    identities: identities.flatMap((text, i) => parseIdentities(text, `identities[${i}]`)),
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
  })
}

/** The archives of a directory or a bucket, and what interrupted ones have left. */
export async function listArchives(
  uri: string,
  { signal = new AbortController().signal }: ArchiveAccess = {},
): Promise<listing.ArchiveList> {
  return listing.listArchives(readOptions(LIST_ARCHIVES, { uri }), signal)
}
