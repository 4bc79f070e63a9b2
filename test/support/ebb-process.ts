import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { until } from './until.ts'

/** A command line at work in a process of its own. */
export interface EbbProcess {
  /** What it has printed so far. */
  readonly said: { out: string; err: string }
  /** Comes back when it has said something like this on standard error. */
  says(pattern: RegExp): Promise<void>
  kill(signal: 'SIGKILL'): void
  /** Its exit code; null where it was killed. */
  readonly ended: Promise<number | null>
}

/** Starts `ebb` with these words; it is killed when the test ends. */
export function startEbb(words: readonly string[]): EbbProcess {
  const child = spawn(process.execPath, [join(inject('compiled'), 'ebb-main.js'), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => void (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => void (said.err += chunk.toString()))
  return {
    said,
    says: async (pattern) => {
      await until(() => pattern.test(said.err), { what: `ebb to say ${String(pattern)}` })
    },
    kill: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code]) => code as number | null),
  }
}
