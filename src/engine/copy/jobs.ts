import type { Gain } from '../../pacing/gain.ts'
import { readRoom } from '../../pacing/readings/room.ts'
import { hasRoom } from '../../pacing/room.ts'
import { openSession, type Session, type Target } from '../../db/session.ts'
import { reasonOf } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { pause, type TableContext } from '../table-context.ts'
import type { Jobs } from '../../plan/copy/work.ts'

// Work in pieces that several sessions may share: the chunks of a copy, the ranges of a comparison. As many jobs as
// asked for; by default one, and a second while the database has room for it. Invariants:
//
//   - The second job ends with its piece, at most half a second after others have been seen at work, which is looked
//     for every fifth of a second: within a second the application has the second processor to itself.
//   - It ends for good where the pieces show that nothing is gained by it.
//   - It is best effort: where it gets no session, the first does everything.
//   - A failure of any job ends all, and is thrown when none is working any more.

const LOOK_EVERY_MS = 200
/** How soon it is noticed that the first job has shown how fast it is by itself. */
const NOTICE_EVERY_MS = 20

/** What the jobs share. */
export interface SharedWork {
  readonly jobs: Jobs
  /** Sessions that each further job needs. */
  readonly sessions: number
  /** Both jobs tell it what their pieces take. */
  readonly gain: Gain
  /** Returns when nothing is left to do. */
  readonly first: () => Promise<void>
  /** Returns when nothing is left to do, or before its next piece if `goesOn` is false. */
  readonly further: (sessions: readonly Session[], goesOn: () => boolean) => Promise<void>
  /** Called once for the first failure: no job is to begin another piece. */
  readonly fail: (error: unknown) => void
}

/** Returns when all jobs have ended, whether they have failed or not. */
export async function workTogether(work: SharedWork, context: TableContext): Promise<void> {
  const ended = new AbortController()
  const first = work
    .first()
    .catch(work.fail)
    .finally(() => ended.abort())
  const others =
    work.jobs === 'auto'
      ? [whileThereIsRoom(work, context, ended.signal)]
      : Array.from({ length: work.jobs - 1 }, () => anotherJob(work, context))
  await Promise.all([first, ...others.map((other) => other.catch(work.fail))])
}

async function anotherJob({ sessions, further }: SharedWork, { target, holder }: TableContext): Promise<void> {
  await withSessions(target, holder, sessions, (opened) => further(opened, () => true))
}

async function whileThereIsRoom(work: SharedWork, context: TableContext, ended: AbortSignal): Promise<void> {
  const { target, holder, observer } = context
  const { gain } = work
  const room = new Room(context)
  // A short piece of work has ended before it is known whether a second job would gain anything.
  if (!(await room.appears(ended, () => gain.isComparable))) return
  const sessions = await openAll(target, holder, work.sessions).catch(() => null)
  if (sessions === null) return
  const over = new AbortController()
  const looking = room.keepLooking(over.signal)
  try {
    do {
      if (!room.is) continue
      gain.joined = true
      await work.further(sessions, () => room.is && gain.isWorthIt && !ended.aborted)
      gain.joined = false
    } while (gain.isWorthIt && (await pause(LOOK_EVERY_MS, ended)))
    if (!gain.isWorthIt) observer({ type: 'note', text: 'a second job would gain nothing here: one goes on' })
  } finally {
    over.abort()
    await Promise.all([looking, ...sessions.map((session) => session.end())])
  }
}

/** Whether there is room, as of the last look. */
class Room {
  is = false
  private readonly context: TableContext

  constructor(context: TableContext) {
    this.context = context
  }

  /** Waits until there is, looking for it once it is `wanted`; false if the work has ended before. */
  async appears(ended: AbortSignal, wanted: () => boolean): Promise<boolean> {
    while (!wanted()) if (!(await pause(NOTICE_EVERY_MS, ended))) return false
    do await this.look()
    while (!this.is && (await pause(LOOK_EVERY_MS, ended)))
    return this.is && !ended.aborted
  }

  async keepLooking(ended: AbortSignal): Promise<void> {
    while (await pause(LOOK_EVERY_MS, ended)) await this.look()
  }

  private async look(): Promise<void> {
    const { control, holder } = this.context
    const reading = await readRoom(control, `ebb ${holder}`).catch(() => null)
    this.is = reading !== null && hasRoom(reading)
  }
}

/** Runs `work` with further sessions, and closes them. */
export async function withSessions<T>(
  target: Target,
  holder: string,
  count: number,
  work: (sessions: readonly Session[]) => Promise<T>,
): Promise<T> {
  const sessions = await openAll(target, holder, count)
  try {
    return await work(sessions)
  } finally {
    await Promise.all(sessions.map((session) => session.end()))
  }
}

async function openAll(target: Target, holder: string, count: number): Promise<Session[]> {
  const opened: Session[] = []
  try {
    while (opened.length < count) opened.push(await openOne(target, holder))
    return opened
  } catch (error) {
    await Promise.all(opened.map((session) => session.end()))
    throw error
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
