import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { oneLine } from '../../text/comment.ts'
import { hostsOnly } from '../../text/redact.ts'

/**
 * Runs a command in the shell, with JSON on its standard input. Returns what went wrong, null if nothing did: how it ended, and
 * the last line of its standard error. What it starts in the background is not waited for.
 */
export async function tellCommand(command: string, content: string, timeoutMs: number): Promise<string | null> {
  // A process group of its own, so that all of it can be ended.
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'ignore', 'pipe'], detached: true })
  const said = lastOf(child)
  // It need not read.
  child.stdin.on('error', () => {})
  child.stdin.end(content)
  const kill = () => killGroup(child)
  process.once('exit', kill)
  let late = false
  const timer = setTimeout(() => {
    late = true
    kill()
  }, timeoutMs)
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (late) return `it was not done within ${timeoutMs / 1000} s, and was killed`
    return code === 0 ? null : `it ended with ${code ?? signal}${said()}`
  } catch (error) {
    return `it could not be started (${(error as NodeJS.ErrnoException).code})`
  } finally {
    clearTimeout(timer)
    process.off('exit', kill)
    // Others may hold the other ends.
    child.stdin.destroy()
    child.stderr.destroy()
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
