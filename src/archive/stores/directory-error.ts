import { messageOf } from '../../errors.ts'
import { StoreError, type StoreProblem } from '../store-error.ts'

interface Meaning {
  readonly problem: StoreProblem
  /** After the directory. */
  readonly what: string
  readonly next: string
}

const RIGHTS: Meaning = {
  problem: 'denied',
  what: 'may not be read or written by this user',
  next: 'Give the user that runs Ebb the right to read and write the directory and what is in it.',
}

const FULL: Meaning = {
  problem: 'full',
  what: 'is on a file system that is full, or at the limit of a quota',
  next: 'Free space there, then run the same command again. For another place, end an unfinished run first (ebb abandon).',
}

const AWAY: Meaning = {
  problem: 'unreachable',
  what: 'is on a file system that does not answer',
  next: 'Check the volume and its server, then run the same command again.',
}

const NO_LINKS: Meaning = {
  problem: 'refused',
  what: 'is on a file system without hard links, by which files get their names without replacing others',
  next: 'Name a directory on another file system, or a bucket.',
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: {
    problem: 'no store',
    what: 'is not there',
    next: 'Check the path. If it is right, create it, or mount its volume: Ebb does not create it, for it may be the place of a volume that is not mounted.',
  },
  ENOTDIR: { problem: 'no store', what: 'is not a directory, or something in it is not', next: 'Name a directory.' },
  EACCES: RIGHTS,
  EPERM: RIGHTS,
  EROFS: { ...RIGHTS, what: 'is on a file system that is mounted read-only', next: 'Mount it for writing.' },
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: {
    ...FULL,
    what: 'is on a file system that cannot hold a file of this size',
    next: 'Pass a smaller --part-size.',
  },
  ELOOP: {
    problem: 'denied',
    what: 'contains a symbolic link, which is not followed',
    next: 'Remove the link, or name the directory it leads to.',
  },
  EIO: {
    problem: 'damaged',
    what: 'is on a file system that reports errors of its device',
    next: 'Check the device, and name another place.',
  },
  ESTALE: AWAY,
  ETIMEDOUT: AWAY,
  EHOSTDOWN: AWAY,
  EHOSTUNREACH: AWAY,
  ENOTCONN: AWAY,
}

const TAKEN_AWAY: Meaning = {
  problem: 'refused',
  what: 'has lost an unfinished file while it was written',
  next: 'See who else removes files there, then run the same command again.',
}

/** Where the link is made that gives a file its name. */
const OF_LINKS: Readonly<Record<string, Meaning>> = {
  ENOENT: TAKEN_AWAY,
  EPERM: NO_LINKS,
  ENOTSUP: NO_LINKS,
  EOPNOTSUPP: NO_LINKS,
  ENOSYS: NO_LINKS,
}

/** An error of the file system about a directory, or something in it. */
export function directoryError(error: unknown, directory: string): Error {
  if (error instanceof StoreError || !isOfFiles(error))
    return error instanceof Error ? error : new Error(messageOf(error))
  const { code } = error
  const known = (error.syscall === 'link' ? OF_LINKS[code] : undefined) ?? MEANINGS[code]
  if (known !== undefined)
    return new StoreError(known.problem, `the directory ${directory} ${known.what} (${code})`, known.next, error)
  return new StoreError(
    'refused',
    `the file system of ${directory} reports an error: ${error.message}`,
    'Resolve it, then run the same command again.',
    error,
  )
}

function isOfFiles(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code)
}
