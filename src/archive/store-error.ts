import type { ErrorKind } from '../errors.ts'
import { ArchiveError } from './archive-error.ts'

/**
 * What is wrong with a store or one of its objects. `exists`: there is an object of this name; `missing`: there is
 * none; `no store`: the directory or bucket itself is not there; `denied`: no right to do this, or no credentials;
 * `unreachable`: no answer, or none in time; `full`; `damaged`: what arrived or is stored is not what was sent;
 * `refused`: anything else that the store says.
 */
export type StoreProblem = 'exists' | 'missing' | 'no store' | 'denied' | 'unreachable' | 'full' | 'damaged' | 'refused'

/** A store does not do what it was asked. Its text holds no credentials. */
export class StoreError extends ArchiveError {
  override readonly name = 'StoreError'
  readonly problem: StoreProblem

  constructor(problem: StoreProblem, message: string, next: string, cause?: unknown) {
    super(message, next, KINDS[problem], cause)
    this.problem = problem
  }
}

const KINDS: Readonly<Record<StoreProblem, ErrorKind>> = {
  exists: 'failed',
  missing: 'failed',
  'no store': 'failed',
  denied: 'failed',
  unreachable: 'try later',
  full: 'failed',
  damaged: 'failed',
  refused: 'failed',
}

/** Whether an error is one of a store, about this. */
export function isStoreError(error: unknown, problem: StoreProblem): boolean {
  return error instanceof StoreError && error.problem === problem
}

export function existsAlready(uri: string, cause?: unknown): StoreError {
  return new StoreError(
    'exists',
    `there is an object ${uri} already, and objects are never replaced`,
    'Run the same command again: it writes an archive under a new name.',
    cause,
  )
}

export function notThere(uri: string, cause?: unknown): StoreError {
  return new StoreError(
    'missing',
    `there is no object ${uri}`,
    'Check the URI, and whether a lifecycle rule, a cleanup job or somebody has removed the object.',
    cause,
  )
}

export function isFolder(uri: string, cause?: unknown): StoreError {
  return new StoreError(
    'refused',
    `${uri} is a directory, and an object was expected, such as a receipt.json`,
    'Name the object. ebb archive list <archive> shows the receipts of a store.',
    cause,
  )
}
