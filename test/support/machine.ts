import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Skip } from './programs.ts'
import { until } from './until.ts'

// What promises a time is judged where the machine lets it be judged. Twenty statements of a session that waits for
// nobody take 3 to 10 ms on a machine that is free, up to 30 beside another test, and 60 to 140 beside two endless loops
// on each core: from there on, what the application waits for is the machine.

const TOO_BUSY_MS = 50
/** A verdict of "not met" wants so many looks at the machine: a few seconds. */
const ENOUGH = 60

/** Watches how busy the machine is while a time is measured. */
export class Machine {
  private readonly took: number[] = []
  private readonly probe: Worker
  private failure: unknown = null

  constructor(url: string, compiled: string) {
    this.probe = new Worker(join(compiled, 'machine-probe.js'), { workerData: url })
    this.probe.on('message', (ms: number) => void this.took.push(ms))
    this.probe.on('error', (error) => (this.failure = error))
  }

  /** Skips the test, and says why, where its times are not as they should be on a machine too busy to judge them. */
  async judge(times: () => void, skip: Skip): Promise<void> {
    try {
      times()
    } catch (error) {
      await this.look()
      const excuse = tooBusy(this.took)
      if (excuse === null) throw error
      const note = `${excuse}: ${firstLine(error)}`
      console.log(note)
      skip(note)
    }
  }

  async end(): Promise<void> {
    await this.probe.terminate()
  }

  /** Until the look that was under way has ended, too. */
  private async look(): Promise<void> {
    const wanted = Math.max(this.took.length + 2, ENOUGH)
    await until(() => this.failure !== null || this.took.length >= wanted, { what: 'looks at the machine' })
    if (this.failure !== null) throw this.failure as Error
  }
}

/** Why times cannot be judged, from what twenty statements that wait for nobody took; null where they can. */
export function tooBusy(took: readonly number[]): string | null {
  const longest = Math.max(...took)
  if (longest < TOO_BUSY_MS) return null
  return `the machine is too busy to judge times (twenty statements that wait for nobody took up to ${Math.round(longest)} ms)`
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? ''
}
