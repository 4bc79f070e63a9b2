import type { PurgeResult } from '../engine/commands/purge.ts'
import type { RotationReport, SetReport } from '../engine/commands/rotate.ts'
import { display, type TableName } from '../sql/names.ts'
import type { Sample } from './metrics.ts'

// Results as metrics. Pure.

/** What a rotation has done and not done, set by set. */
export function samplesOfRotation({ sets, retired }: RotationReport): Sample[] {
  return [
    ...sets.flatMap(samplesOfSet),
    ...retired.dropped.flatMap(({ table }) => samplesOfDropped(table)),
    failure(null, retired.failed.length),
  ]
}

function samplesOfSet({ table, plan, created, retired, failed }: SetReport): Sample[] {
  return [
    partitions(table, 'created', created.length),
    ...(['dropped', 'detached', 'truncated', 'moved', 'rewritten'] as const).map((outcome) =>
      partitions(table, outcome, retired.filter((one) => one.outcome === outcome).length),
    ),
    failure(table, failed.length + (plan?.objections.length ?? 0)),
  ]
}

function partitions(table: TableName, action: string, value: number): Sample {
  return { metric: 'ebb_last_run_partitions', labels: { table: display(table), action }, value }
}

/** Rows by the table that they were in: a partition, or a table that refers to it. */
export function samplesOfPurge({ plan, figures }: Pick<PurgeResult, 'plan' | 'figures'>): Sample[] {
  const table = display(plan.table)
  const action = plan.purge?.action.kind === 'mark' ? 'marked' : 'deleted'
  const others = (figures?.tables ?? []).map((one): Sample => {
    return { metric: 'ebb_last_run_rows', labels: { table, action, relation: one.table }, value: one.rows }
  })
  return [...others, { metric: 'ebb_last_run_locked_rows', labels: { table }, value: figures?.locked ?? 0 }]
}

/** The retired table of a copy. */
export function samplesOfDropped(table: TableName): Sample[] {
  return [{ metric: 'ebb_last_run_dropped_tables', labels: { table: display(table) }, value: 1 }]
}

/** As many things that were not done for a table, or for those that are no longer known. */
export function failure(table: TableName | null, value: number): Sample {
  return { metric: 'ebb_last_run_failures', labels: { table: table === null ? '' : display(table) }, value }
}
