import { readHead } from '../../catalog/table/key-head.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { isNear, type Bound } from '../../plan/partition/history-bound.ts'
import { displayPosition } from '../../grid/key.ts'
import type { Emit } from '../../events.ts'
import { display, type TableName } from '../../sql/names.ts'
import { cancelUntil, pause, type RunContext, type TableContext } from '../table-context.ts'

// From the moment of the CHECK until the swap, rows beyond the bound are refused.
// It lies far ahead, but a plan may be old when its run goes on, ids may be used
// up faster than before, a clock may jump. So what is written is kept an eye on
// until the swap begins: from there on it ends the matter sooner than anything else would.

/** What is written has come near the bound of a conversion. */
export class BoundNear extends EbbError {
  constructor(table: TableName, { kind, at, timezone }: Bound) {
    super(
      `what is written to ${display(table)} has come near ${displayPosition(kind, at, timezone)}, from which on it would be refused`,
      {
        state: 'The preparations have been taken back, the CHECK among them: nothing is refused.',
        next: 'Run ebb partition again: the new plan takes a later bound.',
      },
      'try later',
    )
  }
}

const LOOK_EVERY_MS = 1_000

/**
 * Stops `work` when what is written to the table comes near the bound.
 *
 * @throws {BoundNear} then; the CHECK is still there
 */
export async function underBound<T>(
  table: TableName,
  bound: Bound,
  context: RunContext,
  work: (context: RunContext) => Promise<T>,
): Promise<T> {
  const near = new AbortController()
  const ended = new AbortController()
  const observer: Emit = (event) => {
    if (event.type === 'step started' && event.step.key === 'swap') ended.abort()
    context.observer(event)
  }
  const watching = watch(table, bound, context, near, ended.signal)
  try {
    return await work({ ...context, observer, signal: AbortSignal.any([context.signal, near.signal]) })
  } catch (error) {
    if (near.signal.aborted && !context.signal.aborted) throw near.signal.reason
    throw error
  } finally {
    ended.abort()
    await watching
  }
}

/** @throws {BoundNear} where the bound would be refusing rows before long */
export async function assertFar(session: Session, table: TableName, bound: Bound): Promise<void> {
  if (isNear(bound, await readHead(session, table, bound.column))) throw new BoundNear(table, bound)
}

async function watch(
  table: TableName,
  bound: Bound,
  { control, pid }: TableContext,
  near: AbortController,
  ended: AbortSignal,
): Promise<void> {
  while (await pause(LOOK_EVERY_MS, ended)) {
    // When it cannot be asked, somebody holds the table alone for a moment, or the connection is lost and the work finds out by itself.
    const found = await assertFar(control, table, bound).catch((error: unknown) => error)
    if (!(found instanceof BoundNear)) continue
    near.abort(found)
    return cancelUntil(ended, control, pid)
  }
}
