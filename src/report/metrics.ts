// The text format of Prometheus, and every metric there is. Names are a promise: alerts are written with them.

const HELP = {
  ebb_last_run_timestamp_seconds: 'When the command last ended.',
  ebb_last_run_duration_seconds: 'How long it took.',
  ebb_last_run_exit_code: 'How it ended: 0 is done, 75 and 4 are to be continued.',
  ebb_last_run_batches: 'Batches, chunks or partitions that were begun.',
  ebb_last_run_paused_seconds: 'How long it paused, by reason.',
  ebb_last_run_lock_waits: 'Waits of other sessions for its locks, as far as it has seen them.',
  ebb_last_run_longest_lock_wait_seconds: 'The longest of these waits.',
  ebb_last_run_longest_blocking_seconds: 'The longest time for which its short locks could make others wait.',
  ebb_last_run_replica_lag_bytes: 'The greatest replica lag it has seen.',
  ebb_last_run_rows: 'Rows that were deleted or marked.',
  ebb_last_run_locked_rows: 'Rows that stayed locked, and were left to the next run.',
  ebb_last_run_partitions: 'Partitions that were created, dropped, detached or truncated.',
  ebb_last_run_dropped_tables: 'Retired tables of copies that were dropped.',
  ebb_last_run_failures: 'What failed, or was refused by a blocking issue.',
  ebb_run_start_timestamp_seconds: 'When the command that is running began.',
  ebb_run_step: 'The step it is at, counted from one.',
  ebb_run_steps: 'Of how many steps.',
  ebb_run_progress_ratio: 'How far the step has come, from 0 to 1.',
  ebb_run_rows: 'Rows that the step has deleted, copied or stored so far.',
  ebb_run_waiting: 'Whether it is pausing or waiting for others.',
  ebb_run_batches: 'Batches, chunks or partitions that were begun so far.',
  ebb_run_paused_seconds: 'How long it has paused so far, by reason.',
  ebb_run_lock_waits: 'Waits of other sessions for its locks so far, as far as it has seen them.',
  ebb_run_longest_lock_wait_seconds: 'The longest of these waits.',
  ebb_run_longest_blocking_seconds: 'The longest time for which its short locks could make others wait so far.',
  ebb_run_replica_lag_bytes: 'The greatest replica lag it has seen so far.',
  ebb_findings: 'What ebb check has found, by level.',
  ebb_finding: 'Each kind of finding of a table.',
} as const

export type MetricName = keyof typeof HELP

export type Labels = Readonly<Record<string, string>>

/** A figure of a metric. All metrics are gauges: they are of one run, the last or the one at work. */
export interface Sample {
  readonly metric: MetricName
  readonly labels: Labels
  readonly value: number
}

export const METRIC_NAMES = Object.keys(HELP) as readonly MetricName[]

/** The samples metric by metric, with their labels and those of all; what has the same labels is added up, for a series may occur once only. */
export function prometheusText(samples: readonly Sample[], ofAll: Labels): string {
  return METRIC_NAMES.map((metric) => {
    const series = seriesOf(
      samples.filter((one) => one.metric === metric),
      ofAll,
    )
    return series.length === 0
      ? ''
      : [`# HELP ${metric} ${HELP[metric]}`, `# TYPE ${metric} gauge`, ...series, ''].join('\n')
  }).join('')
}

function seriesOf(samples: readonly Sample[], ofAll: Labels): string[] {
  const sums = new Map<string, number>()
  for (const { metric, labels, value } of samples) {
    const series = `${metric}{${labelsText({ ...ofAll, ...labels })}}`
    sums.set(series, (sums.get(series) ?? 0) + value)
  }
  return [...sums].map(([series, value]) => `${series} ${value}`)
}

function labelsText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')
}

/** Names may hold anything but a NUL. */
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
