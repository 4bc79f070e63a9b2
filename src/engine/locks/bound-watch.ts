import { readHead } from '../../catalog/table/key-head.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { isNear, type Bound } from '../../plan/partition/history-bound.ts'
import { displayPosition } from '../../grid/key.ts'
import type { Emit } from '../../events.ts'
import { display, type TableName } from '../../sql/names.ts'
import { cancelUntil, pause, type RunContext, type TableContext } from '../table-context.ts'

// From the CHECK until the swap, rows beyond the bound are rejected. It is far ahead, but a plan may be old when its
// run is resumed, ids may be used up faster than before, a clock may jump. So the written keys are monitored until
// the swap starts, which then is the fastest way out.

/** The written keys are close to the bound of a conversion. */
export class BoundNear extends EbbError {
  constructor(table: TableName, { kind, at, timezone }: Bound) {
    super(
      `keys written to ${display(table)} are close to ${displayPosition(kind, at, timezone)}, the bound from which the CHECK rejects rows`,
      {
        state: 'The preparations have been undone, including the CHECK: no row is rejected.',
        next: 'Run ebb partition again: the new plan uses a later bound.',
      },
      'try later',
    )
  }
}

const LOOK_EVERY_MS = 1_000

/**
 * Stops `work` when the written keys come close to the bound.
 *
 * @throws {BoundNear} then; the CHECK still exists
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

/** @throws {BoundNear} if the CHECK would soon reject rows */
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
    // If the query fails, the table is locked for a moment, or the connection is lost, which the work detects itself.
    const found = await assertFar(control, table, bound).catch((error: unknown) => error)
    if (!(found instanceof BoundNear)) continue
    near.abort(found)
    return cancelUntil(ended, control, pid)
  }
}
