import { randomBytes } from 'node:crypto'
import type { PlanOptions } from './options.ts'

/** Part of the names of a run's objects, so that they are unique: chosen before where a plan is saved or was. */
export function nameSuffix({ suffix = newNameSuffix() }: Pick<PlanOptions, 'suffix'>): string {
  return suffix
}

export function newNameSuffix(): string {
  return randomBytes(4).toString('hex')
}
