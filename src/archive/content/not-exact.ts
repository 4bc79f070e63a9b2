import { EbbError } from '../../errors.ts'

/** Columns have values that the type which the format has for them does not hold exactly. They can be stored as text. */
export class NotExactError extends EbbError {
  override readonly name = 'NotExactError'
  readonly columns: readonly string[]

  constructor(columns: readonly string[]) {
    super(`values of ${columns.join(', ')} are not held exactly by the type that the format has for them`, {
      state: 'The archive has no receipt, and nothing has been removed.',
      next: 'Archive the rows as CSV: --archive-format csv.',
    })
    this.columns = columns
  }
}
