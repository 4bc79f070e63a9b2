import {
  applySettings,
  isSource,
  openSession,
  streamOf,
  isSound,
  type Address,
  type FollowedSockets,
  type Session,
  type SessionSource,
  type Target,
} from './session.ts'
import { Sockets } from './sockets.ts'

// A new session costs more than to open it: its backend has to read the catalogue anew, which makes its first questions
// ten times as slow as later ones. So work on many tables, one after the other, hands its sessions on. Whoever ends a
// session gives it back; the next one finds it as a new one would be: reset, then our settings again.
//
// A session in which anything has failed is not handed on, whatever the failure was: it ends.

/** The application_name of sessions that nobody uses at the moment. */
export const UNUSED = 'ebb'

/** What `discard all` does, except for prepared statements: they are the same for every table. */
const RESET = [
  'close all',
  'set session authorization default',
  // To the one that `alter role … set role` says: in older minor versions (16.4) the line above has set it to none.
  'reset role',
  'reset all',
  // That has reset it to what it was at first: the name of a run, by which others see that it is alive.
  `set application_name = '${UNUSED}'`,
  'unlisten *',
  'select pg_catalog.pg_advisory_unlock_all()',
  'discard sequences',
  'discard temp',
].join('; ')

/** As many as a copy with one job uses at once, and one: with fewer, three were opened anew for each table. */
const MOST_IDLE = 8

interface Idle {
  readonly session: Session
  /** Whether it could be cleaned up. */
  readonly clean: Promise<boolean>
}

/** Sessions of one database that are handed on. */
class SharedSessions implements SessionSource {
  private readonly target: Address
  private readonly idle: Idle[] = []
  private closed = false

  constructor(target: Address) {
    this.target = target
  }

  /** One that was given back, or a new one; its socket is among `sockets` as long as it is in use. */
  async open(purpose: string, sockets: FollowedSockets = new Sockets()): Promise<Session> {
    for (let next = this.idle.pop(); next !== undefined; next = this.idle.pop()) {
      const { session, clean } = next
      const stream = streamOf(session)
      sockets.add(stream)
      if ((await clean) && (await isAsNew(session, purpose))) return this.lend(session, sockets)
      await session.end()
    }
    return this.lend(await openSession(sockets.through(this.target), purpose), sockets)
  }

  /** Ends those that are not in use; those that are, end when they are given back. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.all(this.idle.splice(0).map(({ session }) => session.end()))
  }

  private lend(session: Session, sockets: FollowedSockets): Session {
    const end: () => Promise<void> = session.end.bind(session)
    session.end = () => {
      session.end = end
      return this.takeBack(session, sockets)
    }
    return session
  }

  private async takeBack(session: Session, sockets: FollowedSockets): Promise<void> {
    if (this.closed || !isSound(session) || this.idle.length >= MOST_IDLE) return session.end()
    sockets.remove(streamOf(session))
    session.removeAllListeners('notice')
    // At once: it also takes the name of the run away.
    const clean = session.query(RESET).then(
      () => true,
      () => false,
    )
    this.idle.push({ session, clean })
  }
}

/** False if the server, or something on the way, has ended it meanwhile. */
function isAsNew(session: Session, purpose: string): Promise<boolean> {
  return applySettings(session, purpose).then(
    () => true,
    () => false,
  )
}

/** Shares sessions for the duration of `work`. */
export async function withSharedSessions<T>(target: Target, work: (target: Target) => Promise<T>): Promise<T> {
  if (isSource(target)) return work(target)
  const shared = new SharedSessions(target)
  try {
    return await work(shared)
  } finally {
    await shared.close()
  }
}
