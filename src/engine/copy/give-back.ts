import { inOneGo } from '../../db/in-one-go.ts'
import { inTransaction } from '../../db/transaction.ts'
import { codeOf, reasonOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { forgetProgress } from '../../journal/journal.ts'
import { assertLease } from '../../journal/lease.ts'
import type { ShortLockStep, OnlineStep } from '../../plan/language/step.ts'
import { LOCK_LIMITS, underShortLocks } from '../locks/short-locks.ts'
import { sessionsOf, type RunContext, type TableContext } from '../table-context.ts'

// A full disk stops the application first, because it writes continuously and lacks the space we have used. So
// everything a run has created is dropped before the error is reported, largest first, by an existing session: there
// may be no space for a new one. Dropping needs no space. The run is then as if it had not started; if killed in
// between, it detects that when resumed.

/** How long to retry locks: writers may be waiting for us. */
const DEADLINE_MS = 30_000

/** Undoes everything a run has done, including its journal entries. Each step may find nothing to undo. */
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

/** What a run has created. */
export interface Taken {
  /** Whether it still exists. */
  readonly holds: () => Promise<boolean>
  readonly giveBack: () => Promise<void>
}

/**
 * The outcome of `work`; if it has filled the disk, what it has created is dropped before the error is thrown.
 *
 * @throws {EbbError} the error of `work`, with the current state
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

/** The server itself has freed temporary files, and what else the failed statement had written. */
function hasFilledDisk(error: unknown): error is EbbError {
  if (!(error instanceof EbbError) || codeOf(error.cause) !== SQLSTATE.diskFull) return false
  return !error.message.includes('pgsql_tmp')
}

function givenBack({ message, kind, cause }: EbbError): EbbError {
  return new EbbError(
    message,
    {
      state: 'The space the run had used has been freed; the table is as it was before.',
      next: 'Free disk space on the server and run the same command again: it starts over. Or end the run: ebb abandon.',
    },
    kind,
    cause,
  )
}

function notGivenBack({ message, kind, cause }: EbbError, failure: unknown): EbbError {
  return new EbbError(
    message,
    {
      state: `The space the run had used could not all be freed: ${reasonOf(failure)}.`,
      next: 'Free disk space on the server. Then run the same command again: it frees the rest, and starts over. Or end the run: ebb abandon.',
    },
    kind,
    cause,
  )
}
