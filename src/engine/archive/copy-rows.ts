import { CopyOut } from '../../db/copy-out.ts'
import { cancelUntil, type TableContext } from '../table-context.ts'

/**
 * Sends the output of a COPY to `write`, and returns with its result the number of rows that PostgreSQL says it has
 * sent. After a failure of `write` the statement is cancelled: the rest of a large table is not read for nothing.
 */
export async function copyRows<T>(
  context: TableContext,
  statement: string,
  write: (rows: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<{ readonly written: T; readonly sent: number | null }> {
  const copy = context.session.query(new CopyOut(statement))
  // The reader gets it; but it may have stopped reading by then.
  copy.on('error', () => {})
  try {
    const written = await write(copy)
    return { written, sent: copy.rowCount }
  } catch (error) {
    copy.destroy()
    await cancelled(context, copy)
    throw error
  }
}

/** A backend that waits for its output to be read does not notice a cancel, so the output is read, and discarded. */
async function cancelled({ control, pid }: TableContext, { over }: CopyOut): Promise<void> {
  const ended = new AbortController()
  const cancelling = cancelUntil(ended.signal, control, pid)
  await over
  ended.abort()
  await cancelling
}
