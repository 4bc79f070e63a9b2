import type { PurgeResult } from '../engine/purge.ts'
import type { Drift } from '../engine/purge/candidate-slices.ts'
import type { PurgeFigures } from '../journal/purges.ts'
import { showBytes, showCount, showRows } from '../plan/units.ts'
import { columns } from '../sql/columns.ts'
import { display } from '../sql/names.ts'
import { showElapsed } from './elapsed.ts'
import { indented } from './partitioned.ts'
import { paceFigures } from './pauses.ts'

/** What a purge has come to: what went, what it cost, what is left and why. */
export function describePurged({
  runId,
  plan,
  steps,
  figures,
  remaining,
  milliseconds,
  walBytes,
}: PurgeResult): string[] {
  const name = display(plan.table)
  if (runId === null || figures === null) return [`${name}: no row matches, so there was nothing to do.`]
  const marked = plan.purge?.deed.kind === 'mark'
  return [
    marked
      ? `${showRows(figures.rows)} of ${name} ${figures.rows === 1 ? 'is' : 'are'} marked (run ${runId}).`
      : `${name} is purged of ${showRows(figures.rows)} (run ${runId}).`,
    ...indented(
      columns([
        ...(figures.tables.length <= 1
          ? []
          : figures.tables.map(({ table, rows }) => [`rows of ${table}`, showCount(rows)])),
        ...figures.changed.map(({ table, rows }) => [`rows of ${table} changed`, showCount(rows)]),
        ['batches', showCount(figures.batches)],
        ['time taken', showElapsed(milliseconds)],
        ['slowest batch', showElapsed(figures.slowestMs)],
        ...steps.flatMap(({ pace }) => (pace === null ? [] : paceFigures(pace))),
        ['WAL that the server wrote meanwhile', showBytes(walBytes)],
      ]),
    ),
    ...leftOver(figures, remaining),
  ]
}

/** Of a candidate set only those go that are what they were. */
function ofCandidates(rows: number, matching: number, { changed, gone }: Drift): string[] {
  const others = Math.max(0, gone - rows)
  return [
    '',
    ...(matching + changed + others === 0 ? ['All candidates are gone.'] : ['Of the candidates']),
    ...indented([
      ...(changed === 0
        ? []
        : [
            changed === 1
              ? '1 has changed since it was written down, and stays'
              : `${showCount(changed)} have changed since they were written down, and stay`,
          ]),
      ...(others === 0
        ? []
        : [`${showCount(others)} ${others === 1 ? 'was' : 'were'} deleted by others, or by an earlier run`]),
      ...(matching === 0
        ? []
        : [`${showCount(matching)} ${matching === 1 ? 'is' : 'are'} left: locked by others, or held back`]),
    ]),
  ]
}

function leftOver({ locked, refused, rows }: PurgeFigures, remaining: PurgeResult['remaining']): string[] {
  if (remaining === null) return []
  const { matching, held, reasons, drift } = remaining
  if (drift !== undefined) return ofCandidates(rows, matching, drift)
  if (matching === 0) return ['', 'No row is left that matches.']
  const kept = refused.reduce((sum, { rows }) => sum + rows, 0)
  const others = Math.max(0, matching - held - locked - kept)
  return [
    '',
    `Left that match: ${showRows(matching)}`,
    ...indented([
      ...(locked === 0
        ? []
        : [`locked by others each time, or kept by a trigger: ${showRows(locked)}; the same command tries again`]),
      ...reasons.map(({ what, rows }) => `set aside, ${what}: ${showRows(rows)}`),
      ...refused.map(({ why, rows }) => `could not go: ${showRows(rows)}, ${why}`),
      ...(others === 0
        ? []
        : [`came to match, or were moved, while it ran: ${showRows(others)}; the same command takes them`]),
    ]),
  ]
}
