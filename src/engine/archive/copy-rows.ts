import { CopyOut } from '../../db/copy-out.ts'
import { cancelUntil, type TableContext } from '../table-context.ts'

/**
 * Sends the output of several COPYs to `write`, one after the other, with an empty chunk after each, and returns with its
 * result the numbers of rows that PostgreSQL says it has sent. After a failure of `write` the statement is cancelled: the
 * rest of a large table is not read for nothing.
 */
export async function copyRows<T>(
  context: TableContext,
  statements: readonly string[],
  write: (rows: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<{ readonly written: T; readonly sent: readonly (number | null)[] }> {
  const copies: CopyOut[] = []
  try {
    const written = await write(outputOf(context, statements, copies))
    return { written, sent: copies.map(({ rowCount }) => rowCount) }
  } catch (error) {
    const copy = copies.at(-1)
    copy?.destroy()
    if (copy !== undefined) await cancelled(context, copy)
    throw error
  }
}

async function* outputOf(
  { session }: TableContext,
  statements: readonly string[],
  copies: CopyOut[],
): AsyncGenerator<Uint8Array> {
  for (const statement of statements) {
    const copy = session.query(new CopyOut(statement))
    // The reader gets it; but it may have stopped reading by then.
    copy.on('error', () => {})
    copies.push(copy)
    yield* copy as AsyncIterable<Uint8Array>
    yield new Uint8Array()
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
