import { randomBytes } from 'node:crypto'

/** Part of the names of a run's helpers, so that they are unlike those of any other. */
export function newNameSuffix(): string {
  return randomBytes(4).toString('hex')
}
