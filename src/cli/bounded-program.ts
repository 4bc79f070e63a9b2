import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { oneLine } from '../text/comment.ts'
import { hostsOnly } from '../text/redact.ts'

/**
 * Runs a program with a text on its standard input. Returns what went wrong, null if nothing did: how it ended, and the last
 * line of its standard error. What it starts in the background is not waited for. When its time is up it is killed with all it
 * has started, and not waited for either: what waits for a file system that does not answer cannot be killed.
 */
export async function runBounded(
  program: string,
  args: readonly string[],
  input: string,
  timeoutMs: number,
): Promise<string | null> {
  // A process group of its own, so that all of it can be ended.
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'], detached: true })
  const said = lastOf(child)
  // It need not read.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const kill = () => killGroup(child)
  process.once('exit', kill)
  const inTime = new AbortController()
  const end = once(child, 'exit', { signal: inTime.signal }) as Promise<[number | null, NodeJS.Signals | null]>
  try {
    const ended = await Promise.race([end, sleep(timeoutMs, null, { signal: inTime.signal })])
    if (ended === null) {
      kill()
      return `it was not done within ${timeoutMs / 1000} s, and was killed`
    }
    const [code, signal] = ended
    return code === 0 ? null : `it ended with ${code ?? signal}${said()}`
  } catch (error) {
    return `it could not be started (${(error as NodeJS.ErrnoException).code})`
  } finally {
    inTime.abort()
    process.off('exit', kill)
    // Others may hold the other ends.
    child.stdin.destroy()
    child.stderr.destroy()
    child.unref()
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const MOST_CHARACTERS = 200

/** The end of what it says on standard error, read whatever there is of it: `: curl: (6) Could not resolve host`. */
function lastOf({ stderr }: ChildProcess): () => string {
  let end = ''
  stderr?.setEncoding('utf8').on('data', (text: string) => (end = (end + text).slice(-2 * MOST_CHARACTERS)))
  return () => {
    const line = end.trimEnd().split('\n').at(-1) ?? ''
    return line === '' ? '' : `: ${oneLine(hostsOnly(line)).slice(-MOST_CHARACTERS)}`
  }
}
