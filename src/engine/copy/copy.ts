import type { CopyStep } from '../../plan/language/step.ts'
import type { RunContext, TableContext } from '../table-context.ts'
import { Gain } from '../../pacing/gain.ts'
import { withPace } from '../pace.ts'
import { readSource } from './captured.ts'
import type { Range } from './chunk.ts'
import { withSessions, workTogether, type SharedWork } from './jobs.ts'
import { TransportChoice } from './transport-choice.ts'
import { withVacuumBehind } from './vacuum-behind.ts'
import { openWalk } from './walk.ts'
import type { Walk } from './chunk.ts'
import { carryChunks, type SharedCopy } from './worker.ts'

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
  const copying = () => copyAll({ step, context, state, walk, done })
  await withVacuumBehind(context, step.work.target, rowsSoFar, copying)
  // The number of rows to read by index was an estimate.
  report(progress, walk, walk.begun + progress.done, (performance.now() - began) / 1000, context)
}

/** A failure ends the walk and all pauses. It is thrown when all jobs have finished, so that none keeps running. */
async function copyAll(copy: Omit<SharedCopy, 'pace' | 'gain' | 'fail'>): Promise<void> {
  const { step, context, walk } = copy
  const failed = new AbortController()
  const fail = (error: unknown) => {
    walk.close()
    failed.abort(error)
  }
  const signal = AbortSignal.any([context.signal, failed.signal])
  await withPace({ ...context, signal }, [step.work.source], (pace) =>
    workTogether(copyingJobs({ ...copy, pace, gain: new Gain(), fail }), context),
  )
  failed.signal.throwIfAborted()
}

/**
 * The first job writes to the shadow in the session of the run, whose caches stay warm for later steps. Where it is the
 * only one that was asked for, it gets another session to read a chunk ahead; with several, others read meanwhile.
 */
function copyingJobs(copy: SharedCopy): SharedWork {
  const { step, context, walk, fail } = copy
  const { session, target, holder } = context
  const { jobs, transport } = step
  const choose = () => new TransportChoice(transport, walk.total - walk.begun)
  const choice = choose()
  const ahead = typeof jobs !== 'number' || jobs === 1
  return {
    jobs: jobs === 'auto' && transport === 'server' ? 1 : jobs,
    sessions: 2,
    gain: copy.gain,
    fail,
    first: async () => {
      // Rows that stay in the server need no other session.
      await carryChunks(copy, { source: session, targets: [session] }, choice, () => choice.next === 'server')
      if (choice.next === 'copy')
        await withSessions(target, holder, ahead ? 2 : 1, ([source, second]) =>
          carryChunks(copy, { source: source!, targets: second === undefined ? [session] : [session, second] }, choice),
        )
    },
    // What `auto` measures is to be measured alone; and `insert … select` of two sessions into one table gains nothing.
    further: async ([source, into], goesOn) => {
      const joins = choice.made && choice.next === 'copy'
      const own = jobs !== 'auto' ? choose() : joins ? new TransportChoice('copy', 0) : null
      if (own !== null) await carryChunks(copy, { source: source!, targets: [into!] }, own, goesOn)
    },
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
      ...(unit === 'rows' ? {} : { rows: progress.rows, rowsPerSecond: progress.rows / Math.max(seconds, 0.001) }),
      remainingSeconds: seconds < 1 ? null : (total - done) / perSecond,
    },
  })
}
