import type { Terms } from './terms.ts'

/** `none`, `s3://audit/events`. */
export function describeArchive(archive: NonNullable<Terms['archive']>): string {
  if (archive === 'none') return 'none'
  return archive.encrypted ? `${archive.uri}, encrypted` : archive.uri
}
