import type { PurgeResult } from '../engine/purge.ts'
import type { PurgeFigures } from '../journal/purges.ts'
import { showBytes, showCount } from '../plan/units.ts'
import { columns } from '../sql/columns.ts'
import { display } from '../sql/names.ts'
import { showElapsed } from './elapsed.ts'
import { indented } from './partitioned.ts'

/** What a purge has come to: what went, what it cost, what is left and why. */
export function describePurged({ runId, plan, figures, remaining, milliseconds, walBytes }: PurgeResult): string[] {
  const name = display(plan.table)
  if (runId === null || figures === null) return [`${name}: no row matches, so there was nothing to do.`]
  return [
    `${name} is purged of ${showCount(figures.rows)} rows (run ${runId}).`,
    ...indented(
      columns([
        ...(figures.tables.length <= 1
          ? []
          : figures.tables.map(({ table, rows }) => [`rows of ${table}`, showCount(rows)])),
        ...figures.changed.map(({ table, rows }) => [`rows of ${table} changed`, showCount(rows)]),
        ['batches', showCount(figures.batches)],
        ['time taken', showElapsed(milliseconds)],
        ['slowest batch', showElapsed(figures.slowestMs)],
        ['WAL that the server wrote meanwhile', showBytes(walBytes)],
      ]),
    ),
    ...leftOver(figures, remaining),
  ]
}

function leftOver({ locked, refused }: PurgeFigures, remaining: PurgeResult['remaining']): string[] {
  if (remaining === null) return []
  const { matching, held, reasons } = remaining
  if (matching === 0) return ['', 'No row is left that matches.']
  const kept = refused.reduce((sum, { rows }) => sum + rows, 0)
  const others = Math.max(0, matching - held - locked - kept)
  return [
    '',
    `${showCount(matching)} rows are left that match:`,
    ...indented([
      ...(locked === 0 ? [] : [`${showCount(locked)} were locked by others each time; the same command tries again`]),
      ...reasons.map(({ what, rows }) => `${showCount(rows)} stay, for they ${what}`),
      ...refused.map(({ why, rows }) => `${showCount(rows)} could not go: ${why}`),
      ...(others === 0
        ? []
        : [`${showCount(others)} came to match, or were moved, while it ran; the same command takes them`]),
    ]),
  ]
}
