import { inOneGo } from '../../db/in-one-go.ts'
import type { Session } from '../../db/session.ts'
import { workClock } from '../../db/work-clock.ts'
import { assertLease } from '../../journal/lease.ts'
import type { Batch } from '../../pacing/batch-size.ts'
import type { Gain } from '../../pacing/gain.ts'
import type { Pace } from '../../pacing/throttle.ts'
import type { CopyStep } from '../../plan/language/step.ts'
import type { RunContext } from '../table-context.ts'
import type { SourceState } from './captured.ts'
import { recordChunk, type Range } from './chunk.ts'
import { nextSize } from './sizes.ts'
import type { TransportChoice } from './transport-choice.ts'
import { copyCarrier, serverCarrier, type Carrier } from './transports.ts'
import type { Walk } from './chunk.ts'

// One worker of a copy: copies range after range, until the walk has none left.
//
// With COPY, rows are still in flight when the source has sent the last of a chunk. A worker with two sessions on the
// shadow reads the next one meanwhile, so that neither end is idle. A pause starts when a chunk has been read: rows
// in flight are still written and committed.

/** Shared by all workers of a copy. */
export interface SharedCopy {
  readonly step: CopyStep
  readonly context: RunContext
  readonly state: SourceState
  readonly walk: Walk
  readonly pace: Pace
  readonly gain: Gain
  /** Called for each committed chunk. */
  readonly done: (rows: number, range: Range) => void
  /** Called for a failed chunk; ends the copy. */
  readonly fail: (error: unknown) => void
}

/** Specific to a worker. */
export interface WorkerSessions {
  readonly source: Session
  /** One per concurrent chunk. */
  readonly targets: readonly [Session, ...Session[]]
}

/**
 * Returns when no ranges are left, or `goesOn` is false before the next one; no chunk is running then, whether it has
 * failed or not.
 */
export async function carryChunks(
  copy: SharedCopy,
  sessions: WorkerSessions,
  choice: TransportChoice,
  goesOn: () => boolean = () => true,
): Promise<void> {
  /** Chunks still being written, oldest first. */
  const writing: Promise<unknown>[] = []
  try {
    await carryAll(copy, sessions, choice, goesOn, writing)
    await Promise.all(writing)
  } finally {
    await Promise.allSettled(writing)
  }
}

async function carryAll(
  copy: SharedCopy,
  sessions: WorkerSessions,
  choice: TransportChoice,
  goesOn: () => boolean,
  writing: Promise<unknown>[],
): Promise<void> {
  const { walk, pace, context, gain } = copy
  const nextCarrier = carriersInTurn(copy, sessions)
  let size = pace.isShared ? walk.leastSize : walk.firstSize
  let last: Batch | null = null
  for (;;) {
    await pace.turn(last, last?.rows)
    if (!goesOn()) return
    const range = await walk.next(pace.fitDisk(pace.fit(size), walk.leastSize), sessions.source)
    if (range === undefined) return
    const clock = workClock(sessions.source, ...sessions.targets)
    const taken = choice.made ? gain.piece() : null
    const waits = pace.isShared
    const chunk = carryOne(copy, range, nextCarrier(choice.next), waits)
    writing.push(chunk.written)
    await chunk.read
    // While others are at work, or transports are compared, chunks are copied one at a time.
    const inFlight = waits || !choice.made ? 1 : sessions.targets.length
    while (writing.length >= inFlight) await writing.shift()
    const milliseconds = clock()
    taken?.(range.size, milliseconds)
    const chosen = choice.measured(range.size, milliseconds)
    if (chosen !== null) context.observer({ type: 'note', text: chosen })
    last = { rows: range.size, milliseconds, ...(waits ? { commitMs: await chunk.written } : {}) }
    if (choice.made) size = Math.min(walk.maxSize, nextSize(range.size, milliseconds))
  }
}

function carriersInTurn({ step, state }: SharedCopy, { source, targets }: WorkerSessions) {
  const server = serverCarrier(targets[0], step.work, state)
  const copies = targets.map((target) => copyCarrier(source, target, step.work, state))
  let turn = 0
  return (transport: Carrier['transport']) =>
    transport === 'server' ? server : (copies[turn++ % copies.length] as Carrier)
}

interface Chunk {
  /** The next chunk may be read. */
  readonly read: Promise<void>
  /** The chunk is committed, which took so many milliseconds. */
  readonly written: Promise<number>
}

/**
 * Its commit need not wait for the disk: when the server crashes, chunk and entry are lost together, and the chunk is
 * copied again. A later commit of the run makes everything before it durable. While others are at work it `waits`, so
 * that the run does not get ahead of the disk, for which their commits would wait.
 */
function carryOne({ context, done, fail }: SharedCopy, range: Range, carrier: Carrier, waits: boolean): Chunk {
  const began = performance.now()
  let commit = () => 0
  let hasRead = () => {}
  const read = new Promise<void>((resolve) => (hasRead = resolve))
  const written = carrier
    .carry(range, hasRead, async (target, rows) => {
      const { journalSchema, runId, lease } = context
      const milliseconds = performance.now() - began
      await inOneGo(target, () => [
        assertLease(target, journalSchema, lease),
        target.query(`set local synchronous_commit = ${waits ? 'local' : 'off'}`),
        recordChunk(target, journalSchema, runId, range, rows, milliseconds, carrier.transport),
      ])
      commit = workClock(target)
    })
    .then((rows) => {
      done(rows, range)
      return commit()
    })
  written.catch(fail) // Nothing waits for it while the worker pauses.
  return { read: Promise.race([read, written.then(() => {})]), written }
}
