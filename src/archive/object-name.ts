import { StoreError } from './store-error.ts'

const LONGEST_PART = 255

/** What names of unfinished files begin with, in a directory; no object can be called so. */
export const UNFINISHED = '.ebb-unfinished-'

/**
 * Checks that a name stays within its store and is possible in each of them. A name may come from a receipt that
 * somebody else has written.
 *
 * @throws {StoreError}
 */
export function checkName(name: string): string {
  const parts = name.split('/')
  if (parts.every(isPlain)) return name
  throw new StoreError(
    'refused',
    `${JSON.stringify(name)} is not a name that an object of an archive can have`,
    'If it comes from a receipt, the receipt has been changed or damaged: compare it with its digest in the journal.',
  )
}

function isPlain(part: string): boolean {
  return (
    part !== '' &&
    part !== '.' &&
    part !== '..' &&
    !part.startsWith(UNFINISHED) &&
    // eslint-disable-next-line no-control-regex -- exactly these cannot be in a name
    !/[\\\u0000-\u001f\u007f]/.test(part) &&
    Buffer.byteLength(part) <= LONGEST_PART
  )
}
