import { EbbError } from '../../errors.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { TableContext } from '../table-context.ts'

/** A partition has been written to or altered since its copy began. */
export class WrittenError extends EbbError {
  override readonly name = 'WrittenError'

  constructor(partition: TableName) {
    super(
      `${display(partition)} was written to, or altered, while it was copied`,
      {
        state: 'It is attached, with all its rows.',
        next: 'Find out who writes to it; the next rotation copies it again.',
      },
      'try later',
    )
  }
}

/** How often one partition is copied in a rotation while others write to it. */
const MOST_COPIES = 3

/** Does it again where the partition was written to meanwhile. */
export async function copyingAgain<T>({ observer }: TableContext, copyOnce: () => Promise<T>): Promise<T> {
  for (let left = MOST_COPIES; ; left--) {
    try {
      return await copyOnce()
    } catch (error) {
      if (!(error instanceof WrittenError) || left === 1) throw error
      observer({ type: 'note', text: `${error.message}: it is copied again` })
    }
  }
}
