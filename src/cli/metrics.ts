import { prometheusText, type Sample } from '../report/metrics.ts'
import type { OfRun } from './notes.ts'
import type { End } from './exit-codes.ts'
import { replaceFile } from './replace-file.ts'

/** Writes the metrics of a run that has ended. */
export async function writeMetrics(
  file: string,
  { command, database }: OfRun,
  samples: readonly Sample[],
  end: End,
): Promise<void> {
  const all = [...lastRun(end), ...samples]
  await replaceFile(file, prometheusText(all.map(ofCommand(command)), { database }), FOR_ALL)
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
const FOR_ALL = 0o644
