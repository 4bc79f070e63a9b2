import type { PurgeResult } from '../engine/commands/purge.ts'
import type { Drift } from '../engine/purge/candidate-slices.ts'
import type { Remaining } from '../engine/purge/check.ts'
import type { PurgeFigures } from '../journal/purges.ts'
import { showBytes, showCount, showRows } from '../text/units.ts'
import { columns } from '../text/columns.ts'
import { display } from '../sql/names.ts'
import { showElapsed } from '../text/elapsed.ts'
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
  batchesBefore,
  walBytes,
}: PurgeResult): string[] {
  const name = display(plan.table)
  if (runId === null || figures === null) return [`${name}: no row matches, so there was nothing to do.`]
  // The first that had one: of those after it, each only waits for its turn.
  const pace = steps.find((step) => step.pace !== null)?.pace
  const marked = plan.purge?.action.kind === 'mark'
  // What is not in the journal is known of this call alone.
  const since = batchesBefore > 0 ? ', since it went on' : ''
  const known: [string, string][] = [
    ...(pace === undefined || pace === null ? [] : paceFigures(pace)),
    ['WAL that the server wrote meanwhile', showBytes(walBytes)],
  ]
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
        ...known.map(([word, figure]) => [`${word}${since}`, figure]),
      ]),
    ),
    ...leftOver(figures, remaining),
  ]
}

function leftOver(figures: PurgeFigures, remaining: PurgeResult['remaining']): string[] {
  if (remaining === null) return []
  const { matching, held, drift } = remaining
  if (drift !== undefined) return ofCandidates(figures, remaining, drift)
  if (matching === 0) return ['', 'No row is left that matches.']
  const kept = figures.refused.reduce((sum, { rows }) => sum + rows, 0)
  const others = Math.max(0, matching - held - figures.locked - kept)
  return [
    '',
    `Left that match: ${showRows(matching)}`,
    ...indented([
      ...reasonsToStay(figures, remaining),
      ...(others === 0
        ? []
        : [`came to match, or were moved, while it ran: ${showRows(others)}; the same command takes them`]),
    ]),
  ]
}

/** Of a candidate set only those go that are what they were. */
function ofCandidates(figures: PurgeFigures, remaining: Remaining, { changed, gone }: Drift): string[] {
  const others = Math.max(0, gone - figures.rows)
  const allGone = remaining.matching + changed + others === 0
  return [
    '',
    allGone ? 'All candidates are gone.' : 'Of the candidates',
    ...indented([
      ...(changed === 0 ? [] : [`changed since they were written down, and kept: ${showRows(changed)}`]),
      ...(others === 0 ? [] : [`deleted by others, or by an earlier run: ${showRows(others)}`]),
      ...reasonsToStay(figures, remaining),
    ]),
  ]
}

function reasonsToStay({ locked, refused }: PurgeFigures, { reasons }: Remaining): string[] {
  return [
    ...(locked === 0 ? [] : [`locked by others each time: ${showRows(locked)}; the same command tries again`]),
    ...reasons.map(({ what, rows }) => `set aside, ${what}: ${showRows(rows)}`),
    ...refused.map(({ why, rows }) => `could not go: ${showRows(rows)}, ${why}`),
  ]
}
