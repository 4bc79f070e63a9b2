import { randomBytes } from 'node:crypto'

/** Part of the names of a run's objects, so that they are unique. */
export function newNameSuffix(): string {
  return randomBytes(4).toString('hex')
}
