import { prometheusText, type Sample } from '../report/metrics.ts'
import type { OfRun } from './notes.ts'
import type { End } from './exit-codes.ts'
import { fileURLToPath } from 'node:url'
import { PACKAGE } from '../package.ts'
import { runBounded } from './bounded-program.ts'

/** A file that is not written by then is given up: a mount may not answer. */
const TIMEOUT_MS = 10_000

const PROGRAM = fileURLToPath(new URL('dist/replace-file.js', PACKAGE))

/** Writes the metrics of a run that has ended. Returns what went wrong, null if nothing did. */
export async function writeMetrics(
  file: string,
  { command, database }: OfRun,
  samples: readonly Sample[],
  end: End,
  timeoutMs = TIMEOUT_MS,
): Promise<string | null> {
  const all = [...lastRun(end), ...samples]
  const text = prometheusText(all.map(ofCommand(command)), { database })
  return runBounded(process.execPath, [PROGRAM, file, FOR_ALL], text, timeoutMs)
}

/** What a check has found belongs to the database. */
function ofCommand(command: string): (sample: Sample) => Sample {
  return (one) => (one.metric.startsWith('ebb_last_run') ? { ...one, labels: { command, ...one.labels } } : one)
}

function lastRun({ exitCode, milliseconds }: End): Sample[] {
  return [
    { metric: 'ebb_last_run_timestamp_seconds', labels: {}, value: Math.floor(Date.now() / 1000) },
    { metric: 'ebb_last_run_duration_seconds', labels: {}, value: Math.round(milliseconds) / 1000 },
    { metric: 'ebb_last_run_exit_code', labels: {}, value: exitCode },
  ]
}

/** Whoever collects metrics is another user, and they are no secret. */
const FOR_ALL = '644'
