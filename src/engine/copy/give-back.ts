import { inOneGo } from '../../db/in-one-go.ts'
import { inTransaction } from '../../db/session.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, reasonOf } from '../../errors.ts'
import { forgetProgress } from '../../journal/journal.ts'
import { assertLease } from '../../journal/lease.ts'
import type { ShortLockStep, OnlineStep } from '../../plan/language/step.ts'
import { LOCK_LIMITS, underShortLocks } from '../locks/short-locks.ts'
import { sessionsOf, type RunContext, type TableContext } from '../table-context.ts'

// A full disk stops the application first: it writes all the time, and what we
// have taken is what it lacks. So what a run has put beside the table goes before
// anything is said, largest first, by a session that is there already: there may
// be no room for another. Dropping takes no room. The run is as if it had not
// begun: killed in between, it finds that out when it goes on.

/** How long to try for locks: who waits for us cannot write. */
const DEADLINE_MS = 30_000

/** Takes back all that a run has done, and has its journal forget it. Each step may find nothing to undo. */
export async function undoAll(context: RunContext, steps: readonly (ShortLockStep | OnlineStep)[]): Promise<void> {
  const { session, journalSchema } = context
  const last = steps.at(-1)
  for (const step of steps) {
    const statements = () => [
      assertLease(session, journalSchema, context.lease),
      session.query(step.statements.join(';\n')),
      ...(step === last ? [forgetProgress(session, journalSchema, context.runId)] : []),
    ]
    if (step.kind === 'short lock') await underLocks(step, context, statements)
    else await inTransaction(session, {}, () => inOneGo(session, statements))
  }
}

async function underLocks(
  step: ShortLockStep,
  context: TableContext,
  statements: () => Promise<unknown>[],
): Promise<void> {
  const lockLimits = { ...LOCK_LIMITS, deadlineMs: DEADLINE_MS }
  await underShortLocks(sessionsOf(context), step, lockLimits, context.observer, context.signal, async () => {
    await inOneGo(context.session, statements)
  })
}

/** What a run has taken. */
export interface Taken {
  /** Whether it still holds it. */
  readonly holds: () => Promise<boolean>
  readonly giveBack: () => Promise<void>
}

/**
 * The outcome of `work`; where it has filled the disk, what it has taken is given back before that is told.
 *
 * @throws {EbbError} what `work` throws, with how things stand now
 */
export function orGivingBack<T>(work: Promise<T>, { holds, giveBack }: Taken): Promise<T> {
  return work.catch(async (error: unknown) => {
    if (!hasFilledDisk(error) || !(await holds())) throw error
    const failure: unknown = await giveBack().then(
      () => null,
      (reason: unknown) => reason,
    )
    throw failure === null ? givenBack(error) : notGivenBack(error, failure)
  })
}

/** The room of temporary files has been given back by the server itself, with what else the failed statement had taken. */
function hasFilledDisk(error: unknown): error is EbbError {
  if (!(error instanceof EbbError) || codeOf(error.cause) !== SQLSTATE.diskFull) return false
  return !error.message.includes('pgsql_tmp')
}

function givenBack({ message, kind, cause }: EbbError): EbbError {
  return new EbbError(
    message,
    {
      state: 'All that the run had taken has been given back; the table is as it was.',
      next: 'Make room on the server’s disk and run the same command again: it begins anew. Or leave it at that: ebb abandon.',
    },
    kind,
    cause,
  )
}

function notGivenBack({ message, kind, cause }: EbbError, failure: unknown): EbbError {
  return new EbbError(
    message,
    {
      state: `What the run has taken could not all be given back: ${reasonOf(failure)}.`,
      next: 'Make room on the server’s disk. Then run the same command again: it gives back the rest, and begins anew. Or ebb abandon.',
    },
    kind,
    cause,
  )
}
