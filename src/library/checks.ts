import { UsageError } from '../errors.ts'

/** @throws {UsageError} unless the number can count something */
export function assertWhole(name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 1))
    throw new UsageError(`${name} is ${value}, which is no whole number from 1 on`, 'Give a number such as 3.')
}

/** @throws {UsageError} for a condition of blanks: it would be read as all rows */
export function nonEmpty(where: string): string {
  if (where.trim() === '') throw new UsageError('where is empty', 'Give a condition: which rows are meant.')
  return where
}
