import { openSession, type Session, type Target } from '../../db/session.ts'
import { reasonOf } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import type { CopyStep } from '../../plan/language/step.ts'
import type { RunContext, TableContext } from '../table-context.ts'
import { withPace } from '../pace.ts'
import { readSource } from './captured.ts'
import type { Range } from './chunk.ts'
import { withVacuumBehind } from './vacuum-behind.ts'
import { openWalk } from './walk.ts'
import type { Walk } from './chunk.ts'
import { carryChunks, type SharedCopy, type WorkerSessions } from './worker.ts'

// Copies the kept rows, chunk by chunk. Invariants:
//
//   - The number of blocks was read at the start of the capture, without writers, so a row in a later block was
//     written since, and is in the log.
//   - A row that has not changed since the start of the capture has one ctid and is copied by exactly one chunk. One
//     that has changed may be copied once, twice or never; it is in the log, and corrected after the last chunk.
//   - A chunk and its entry in the journal commit together: a kill costs one or two running chunks.
//   - No snapshot is held for longer than a chunk takes.

/** Copies all chunks that the journal does not have yet. */
export async function copyChunks(step: CopyStep, context: RunContext): Promise<void> {
  const state = await readSource(context.session, context.journalSchema, step.work)
  const walk = await openWalk(step.work, context.runId, state, context)
  const began = performance.now()
  const progress = { rows: 0, done: 0 }
  const done = (rows: number, { size }: Range) => {
    progress.rows += rows
    progress.done += walk.unit === 'rows' ? rows : size
    report(progress, walk, walk.total, (performance.now() - began) / 1000, context)
  }
  const rowsSoFar = () => progress.rows
  const copyAll = () => workTogether({ step, context, state, walk, done })
  await withVacuumBehind(context, step.work.target, rowsSoFar, copyAll)
  // The number of rows to read by index was an estimate.
  report(progress, walk, walk.begun + progress.done, (performance.now() - began) / 1000, context)
}

/** A failure ends the walk and all pauses. It is thrown when all workers have finished, so that none keeps running. */
async function workTogether(copy: Omit<SharedCopy, 'pace' | 'fail'>): Promise<void> {
  const { step, context, walk } = copy
  const failed = new AbortController()
  const fail = (error: unknown) => {
    walk.close()
    failed.abort(error)
  }
  const signal = AbortSignal.any([context.signal, failed.signal])
  await withPace({ ...context, signal }, [step.work.source], async (pace) => {
    const carry = (sessions: WorkerSessions) => carryChunks({ ...copy, pace, fail }, sessions)
    const workers = Array.from({ length: step.jobs }, (_, i) => withSessions(step, context, i, carry).catch(fail))
    await Promise.all(workers)
  })
  failed.signal.throwIfAborted()
}

/**
 * The first worker writes to the shadow in the session of the run, whose caches stay warm for later steps. A single
 * worker gets a second session, to read a chunk ahead; with several, others read meanwhile.
 */
async function withSessions(
  { jobs, transport }: CopyStep,
  { session, target, holder }: TableContext,
  worker: number,
  work: (sessions: WorkerSessions) => Promise<void>,
): Promise<void> {
  const opened: Session[] = []
  const open = async () => {
    const another = await openOne(target, holder)
    opened.push(another)
    return another
  }
  try {
    const source = await open()
    const first = worker === 0 ? session : await open()
    const ahead = jobs === 1 && transport !== 'server'
    await work({ source, targets: ahead ? [first, await open()] : [first] })
  } finally {
    await Promise.all(opened.map((another) => another.end()))
  }
}

/** The server was reachable a moment ago, so the address is right. */
async function openOne(target: Target, holder: string): Promise<Session> {
  try {
    return await openSession(target, holder)
  } catch (error) {
    throw new EbbError(
      `no additional session for the copy: ${reasonOf(error)}`,
      {
        state: 'The chunks copied so far are kept.',
        next: 'When the server has a free connection, run the same command again: it resumes from here.',
      },
      'try later',
      error,
    )
  }
}

function report(
  progress: { rows: number; done: number },
  { begun, unit }: Walk,
  expected: number,
  seconds: number,
  { observer }: TableContext,
): void {
  const perSecond = progress.done / Math.max(seconds, 0.001)
  const done = begun + progress.done
  const total = Math.max(expected, done)
  observer({
    type: 'progress',
    progress: {
      what: `copying, ${progress.rows.toLocaleString('en-US')} rows kept`,
      done,
      total,
      unit,
      perSecond,
      ...(unit === 'rows' ? {} : { rowsPerSecond: progress.rows / Math.max(seconds, 0.001) }),
      remainingSeconds: seconds < 1 ? null : (total - done) / perSecond,
    },
  })
}
