import { createHash } from 'node:crypto'
import { defaultCompression } from '../../src/archive/content/compression.ts'
import { writeObjects, type Writing, type Written } from '../../src/archive/content/write-objects.ts'
import type { Store } from '../../src/archive/store.ts'
import type { Encoding } from '../../src/plan/archive/receipt.ts'
import { ARCHIVE } from './receipts.ts'

const COMPRESSIONS = ['none', 'gzip', ...(defaultCompression() === 'zstd' ? (['zstd'] as const) : [])] as const

/** Each compression, with and without encryption. */
export function encodings(recipient: string): readonly Encoding[] {
  return COMPRESSIONS.flatMap((compression) => [encoding(compression, null), encoding(compression, recipient)])
}

export function encoding(compression: Encoding['compression'], recipient: string | null): Encoding {
  const encryption = recipient === null ? null : ({ kind: 'age', recipients: [recipient] } as const)
  return { format: 'csv', settings: {}, compression, encryption }
}

/** Writes CSV into objects of `public.events`. */
export function archiveCsv(
  store: Store,
  csv: AsyncIterable<Uint8Array>,
  encoding: Encoding,
  partBytes: number,
  how: Partial<Writing> = {},
): Promise<Written> {
  const table = { schema: 'public', name: 'events' }
  return writeObjects(store, csv, {
    archive: ARCHIVE,
    table,
    columns: [],
    encoding,
    partBytes,
    signal: new AbortController().signal,
    ...how,
  })
}

/** Bytes cut into chunks. */
export async function* cut(bytes: Buffer | string, size: number): AsyncGenerator<Buffer> {
  const all = Buffer.from(bytes as string)
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
