import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import type { Event } from '../events.ts'
import { reasonOf } from '../db/sqlstate.ts'
import { EventMetrics } from '../report/event-metrics.ts'
import { prometheusText, type Labels, type Sample } from '../report/metrics.ts'
import type { Ending, ExitCode } from './exit-codes.ts'
import { commandOf, type Log } from './log.ts'

/** What a command was like. */
export interface Metrics {
  observe(event: Event): void
  note(samples: readonly Sample[]): void
}

/**
 * Metrics, and what writes them once the command has ended. A file that cannot be written is told, and changes nothing
 * about how the command ended.
 */
export function metricsFor(
  file: string,
  ofAll: Labels,
  { args, log }: Invoked,
): { readonly metrics: Metrics; readonly write: Ending } {
  const events = new EventMetrics()
  const results: Sample[] = []
  return {
    metrics: { observe: (event) => events.observe(event), note: (samples) => void results.push(...samples) },
    write: async (exitCode, milliseconds) => {
      const samples = [...lastRun(exitCode, milliseconds), ...events.samples(), ...results]
      const text = prometheusText(samples.map(ofCommand(commandOf(args) ?? '')), ofAll)
      await replaceFile(file, text).catch((error: unknown) => {
        log.warn(`the metrics were not written to ${file}: ${reasonOf(error)}; what it had before stays there`)
      })
    },
  }
}

interface Invoked {
  readonly args: readonly string[]
  readonly log: Log
}

/** What a check has found belongs to the database. */
function ofCommand(command: string): (sample: Sample) => Sample {
  return (one) => (one.metric.startsWith('ebb_last_run') ? { ...one, labels: { command, ...one.labels } } : one)
}

function lastRun(exitCode: ExitCode, milliseconds: number): Sample[] {
  return [
    { metric: 'ebb_last_run_timestamp_seconds', labels: {}, value: Math.floor(Date.now() / 1000) },
    { metric: 'ebb_last_run_duration_seconds', labels: {}, value: Math.round(milliseconds) / 1000 },
    { metric: 'ebb_last_run_exit_code', labels: {}, value: exitCode },
  ]
}

/** Whoever collects metrics is another user, and they are no secret. */
const FOR_ALL = 0o644

/** Whole or not at all: who reads it meanwhile, or after a crash, finds the old content or the new one. */
async function replaceFile(file: string, content: string): Promise<void> {
  // Not *.prom: a collector would read it.
  const temporary = `${file}.${randomUUID()}.tmp`
  try {
    const handle = await open(temporary, 'wx', FOR_ALL)
    try {
      await handle.chmod(FOR_ALL)
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}
