import { setTimeout as sleep } from 'node:timers/promises'
import { findTable } from '../catalog/table/read-table.ts'
import { withSession, type Session, type Target } from '../db/session.ts'
import { EbbError } from '../errors.ts'
import { journalExists } from '../journal/journal.ts'
import { describeRunning, readRunning, TableBusyError } from '../journal/lease.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import type { EngineOptions } from './options.ts'

// One run at a time works on a table. A second one is refused, or waits until the first has ended, and plans only then: what
// it would have planned before is no longer true. It polls without a transaction, so nothing waits for it.

const POLL_EVERY_MS = 500

/**
 * Does `work` when no other run is on the table any more, if waiting was asked for; otherwise at once. `work` may be begun
 * again as long as the table is taken by others, so it has to begin with its plan.
 *
 * @throws {TableBusyError} when another run is still on the table after that time
 */
export async function afterOthers<T>(
  target: Target,
  table: WrittenName,
  options: EngineOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { waitMs } = options
  if (waitMs === undefined) return work()
  const deadline = performance.now() + waitMs
  for (;;) {
    await othersGone(target, table, deadline, options)
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof TableBusyError) || performance.now() > deadline) throw error
      // It may be another of its tables that is taken.
      await pause(deadline, options.signal)
    }
  }
}

function othersGone(target: Target, written: WrittenName, deadline: number, options: EngineOptions): Promise<void> {
  return withSession(target, 'wait', async (session) => {
    const table = await findTable(session, written)
    if (table === undefined || !(await journalExists(session, options.journalSchema))) return
    await tableFree(session, table, deadline, options)
  })
}

async function tableFree(
  session: Session,
  table: TableName,
  deadline: number,
  { journalSchema, observer, signal, waitMs = 0 }: EngineOptions,
): Promise<void> {
  for (;;) {
    const running = await readRunning(session, journalSchema, table)
    if (running === null) return
    const who = describeRunning(running)
    if (performance.now() > deadline) throw stillThere(table, who, waitMs)
    observer({ table, runId: null, type: 'waiting', reason: `for ${who}, which is running on ${display(table)}` })
    await pause(deadline, signal)
  }
}

async function pause(deadline: number, signal: AbortSignal): Promise<void> {
  const left = Math.max(10, deadline - performance.now())
  await sleep(Math.min(left, POLL_EVERY_MS * (0.5 + Math.random())), undefined, { signal }).catch(stopped)
}

function stillThere(table: TableName, who: string, waitedMs: number): TableBusyError {
  return new TableBusyError(`${who} is still running on ${display(table)} after ${Math.round(waitedMs / 1000)} s`, {
    state: 'This command has changed nothing.',
    next: 'Run it again when the other one has ended, or with a longer --wait. See ebb status.',
  })
}

function stopped(cause: unknown): never {
  throw new EbbError(
    'stopped while waiting for another run',
    { state: 'This command has changed nothing.', next: 'Run it again.' },
    'stopped',
    cause,
  )
}
