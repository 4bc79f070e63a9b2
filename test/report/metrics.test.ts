import { execFileSync } from 'node:child_process'
import { expect, test as pure } from 'vitest'
import { METRIC_NAMES, prometheusText, type Sample } from '../../src/report/metrics.ts'
import { EventMetrics } from '../../src/report/event-metrics.ts'
import type { PaceSummary } from '../../src/pacing/summary.ts'
import { test } from '../support/database.ts'
import { readPage } from '../docs/pages.ts'

const AWFUL = 'public."a\\"\n{x="y"} 1 # é\u202e\r"'

pure('samples are listed metric by metric, and a series occurs once', () => {
  const samples: Sample[] = [
    { metric: 'ebb_finding', labels: { level: 'due' }, value: 1 },
    { metric: 'ebb_findings', labels: { level: 'due' }, value: 2 },
    { metric: 'ebb_finding', labels: { level: 'due' }, value: 1 },
  ]
  expect(prometheusText(samples, { database: 'd' })).toBe(`# HELP ebb_findings What ebb check has found, by level.
# TYPE ebb_findings gauge
ebb_findings{database="d",level="due"} 2
# HELP ebb_finding Each kind of finding of a table.
# TYPE ebb_finding gauge
ebb_finding{database="d",level="due"} 2
`)
})

pure('of the events of several steps, times are added up and the worst is kept', () => {
  const metrics = new EventMetrics()
  const table = { schema: 'public', name: 'events' }
  const pace = {
    turns: 3,
    waitsSeen: 1,
    longestWaitSeenMs: 40,
    maxReplicaLagBytes: 7,
    pausedMsBy: { 'replica lag': 500 },
  }
  for (const longestWaitSeenMs of [40, 20])
    metrics.observe({
      type: 'paced',
      table,
      runId: '1',
      pace: { ...pace, longestWaitSeenMs } as unknown as PaceSummary,
    })
  const text = prometheusText(metrics.samples(), {})
  expect(text).toContain('ebb_last_run_batches{table="public.events"} 6\n')
  expect(text).toContain('ebb_last_run_longest_lock_wait_seconds{table="public.events"} 0.04\n')
  expect(text).toContain('ebb_last_run_paused_seconds{table="public.events",reason="replica lag"} 1\n')
  expect(text).toContain('ebb_last_run_replica_lag_bytes{table="public.events"} 7\n')
})

test('Prometheus reads every metric, and has nothing to say about its name', ({ needs }) => {
  const samples = METRIC_NAMES.map((metric): Sample => ({ metric, labels: { table: AWFUL }, value: 1.5 }))
  const input = prometheusText(samples, { database: 'h:1/x' })
  expect(execFileSync(needs('promtool'), ['check', 'metrics'], { input, encoding: 'utf8' })).toBe('')
  expect(input.split('\n')).toHaveLength(METRIC_NAMES.length * 3 + 1)
})

pure('the page lists each of them', () => {
  const page = readPage('docs/what-it-tells.md')
  expect(METRIC_NAMES.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})
