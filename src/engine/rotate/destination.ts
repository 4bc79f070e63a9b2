import { openSession, streamOf, type Address, type Session } from '../../db/session.ts'
import { codeOf, isConnectionLost, isLockRefused, reasonOf } from '../../db/sqlstate.ts'
import { EbbError, messageOf } from '../../errors.ts'
import { cancelUntil, pause, type TableContext } from '../table-context.ts'

// The server that partitions are moved to, and a session there. Its errors are not ours: when it is away, what concerns
// it is left alone, and everything else goes on.

export interface Destination {
  /** The foreign server, by its name here. */
  readonly server: string
  readonly session: Session
  /** Aborted when it no longer answers. */
  readonly silence: AbortSignal
}

/** How often the other server is asked for an answer, and after how long without one it counts as down. */
const ASK_EVERY_MS = 10_000
const SILENT_MS = 30_000

/**
 * Opens a session on the other server for the duration of `work`; an abort ends it, and so it does when the server no longer answers, not
 * even with an error: within a minute.
 *
 * @throws {EbbError}
 */
export async function withDestination<T>(
  server: string,
  address: Address,
  signal: AbortSignal,
  work: (destination: Destination) => Promise<T>,
  { askEveryMs = ASK_EVERY_MS, silentMs = SILENT_MS } = {},
): Promise<T> {
  const session = await open(server, address)
  const end = () => streamOf(session).destroy()
  signal.addEventListener('abort', end)
  const silence = new AbortController()
  const ended = new AbortController()
  try {
    const control = await open(server, address)
    const listening = listen(control, { askEveryMs, silentMs }, ended.signal).then((isSilent) => {
      if (!isSilent) return
      silence.abort()
      end()
    })
    try {
      return await work({ server, session, silence: silence.signal })
    } finally {
      ended.abort()
      await listening
      await control.end().catch(() => {})
    }
  } finally {
    signal.removeEventListener('abort', end)
    await session.end().catch(() => {})
  }
}

const UNCHANGED = 'The partitions that were to be moved are attached, and unchanged.'

async function open(server: string, address: Address): Promise<Session> {
  try {
    return await openSession(address, 'rotate')
  } catch (error) {
    throw new EbbError(
      `${server}: ${messageOf(error)}`,
      { state: UNCHANGED, next: 'Check that it runs, and --to-url; the next rotation tries again.' },
      'try later',
    )
  }
}

/** True when it has not answered in time; false when it is no longer asked. An error is an answer. */
async function listen(
  control: Session,
  { askEveryMs, silentMs }: { readonly askEveryMs: number; readonly silentMs: number },
  ended: AbortSignal,
): Promise<boolean> {
  while (await pause(askEveryMs, ended)) if (!(await answers(control, silentMs, ended))) return true
  return false
}

async function answers(control: Session, withinMs: number, ended: AbortSignal): Promise<boolean> {
  const answered = new AbortController()
  const answer = () => answered.abort()
  control.query('select').then(answer, answer)
  return !(await pause(withinMs, AbortSignal.any([answered.signal, ended])))
}

/**
 * Does something that concerns the other server. When that no longer answers, what is read through it here is cancelled. Errors
 * have no cause: a lost connection is not one of ours.
 */
export async function onServer<T>(
  { server, silence }: Destination,
  { signal, control, pid }: Pick<TableContext, 'signal' | 'control' | 'pid'>,
  work: () => Promise<T>,
  state = UNCHANGED,
): Promise<T> {
  const over = new AbortController()
  let cancelling = Promise.resolve()
  const cancel = () => {
    cancelling = cancelUntil(over.signal, control, pid)
  }
  silence.addEventListener('abort', cancel)
  try {
    silence.throwIfAborted()
    return await work()
  } catch (error) {
    if (silence.aborted && !signal.aborted)
      throw new EbbError(`${server} no longer answers`, { state, next: LATER }, 'try later')
    if (error instanceof EbbError || signal.aborted || codeOf(error) === undefined) {
      if (!isConnectionLost(error)) throw error
    }
    const isPassing = isConnectionLost(error) || isLockRefused(error) || (codeOf(error) ?? '').startsWith('08')
    const next = isPassing ? LATER : 'Resolve the cause on that server, then rotate again.'
    throw new EbbError(`${server}: ${reasonOf(error)}`, { state, next }, isPassing ? 'try later' : 'failed')
  } finally {
    silence.removeEventListener('abort', cancel)
    over.abort()
    // What has been sent would cancel the next statement here.
    await cancelling
  }
}

const LATER = 'The next rotation tries again.'
