import type { PurgeResult } from '../engine/commands/purge.ts'
import { describeAhead } from '../engine/purge/progress.ts'
import type { Drift } from '../engine/purge/candidates/slices.ts'
import type { ArchivedLeft, Remaining } from '../engine/purge/check.ts'
import type { ReceiptEntry } from '../journal/archives.ts'
import type { PurgeFigures } from '../journal/purges.ts'
import { showBytes, showCount, showRows } from '../text/units.ts'
import { columns } from '../text/columns.ts'
import { display } from '../sql/names.ts'
import { showElapsed } from '../text/elapsed.ts'
import { indented } from './partitioned.ts'
import { paceFigures } from './pauses.ts'

/** The result of a purge: what was deleted, what it cost, what is left and why. */
export function describePurged({
  runId,
  plan,
  steps,
  figures,
  remaining,
  archive,
  milliseconds,
  batchesBefore,
  walBytes,
}: PurgeResult): string[] {
  const name = display(plan.table)
  if (runId === null || figures === null) return [`${name}: no row matches, nothing to do.`]
  // The first that waited: those after it only wait for their turn.
  const pace = steps.find((step) => step.pace !== null)?.pace
  const marked = plan.purge?.action.kind === 'mark'
  // What is not in the journal is known for this call only.
  const since = batchesBefore > 0 ? ', since it was resumed' : ''
  const known: [string, string][] = [
    ...(pace === undefined || pace === null ? [] : paceFigures(pace)),
    ['WAL written by the server', showBytes(walBytes)],
  ]
  return [
    marked
      ? `${showRows(figures.rows)} of ${name} ${figures.rows === 1 ? 'is' : 'are'} marked (run ${runId}).`
      : `${name} is purged of ${showRows(figures.rows)} (run ${runId}).`,
    ...indented(
      columns([
        ...(archive === null ? [] : describeArchive(archive)),
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
    ...describeAhead(figures.ahead),
  ]
}

function describeArchive({ uri, rows, bytes }: ReceiptEntry): [string, string][] {
  return [
    ['receipt of the archive', uri],
    ['rows archived', `${showCount(rows)}, in ${showBytes(bytes)}`],
  ]
}

function leftOver(figures: PurgeFigures, remaining: PurgeResult['remaining']): string[] {
  if (remaining === null) return []
  const { matching, held, drift, left } = remaining
  if (left !== undefined) return ofArchived(figures, remaining, left)
  if (drift !== undefined) return ofCandidates(figures, remaining, drift)
  if (matching === 0) return ['', 'No matching rows are left.']
  const kept = figures.refused.reduce((sum, { rows }) => sum + rows, 0)
  const others = Math.max(0, matching - held - figures.locked - kept)
  return [
    '',
    `Matching rows left: ${showRows(matching)}`,
    ...indented([
      ...reasonsToStay(figures, remaining),
      ...(others === 0
        ? []
        : [`came to match, or were moved, during the run: ${showRows(others)}; the same command deletes them`]),
    ]),
  ]
}

/** Of a candidate set, only unchanged rows are deleted. */
function ofCandidates(figures: PurgeFigures, remaining: Remaining, { changed, gone }: Drift): string[] {
  const others = Math.max(0, gone - figures.rows)
  const allGone = remaining.matching + changed + others === 0
  return [
    '',
    allGone ? 'All candidates are deleted.' : 'Of the candidates',
    ...indented([...driftLines(changed, others), ...reasonsToStay(figures, remaining)]),
  ]
}

/** Only rows that still hold what was archived are deleted. */
function ofArchived(figures: PurgeFigures, { matching, drift }: Remaining, left: ArchivedLeft): string[] {
  const { rows, changed, gone, dependents } = left
  const unmatched = rows - changed - gone - left.matching
  const late = drift === undefined ? Math.max(0, matching - left.matching) : 0
  return [
    '',
    rows === 0 && dependents.length === 0
      ? 'All archived rows are deleted.'
      : `Archived, and not deleted: ${showRows(rows)}${dependents.map(andDependents).join('')}, listed in removal.json`,
    ...indented([
      ...(changed === 0 ? [] : [`changed since, and kept: ${showRows(changed)}`]),
      ...(gone === 0 ? [] : [`deleted by others, or moved to another partition: ${showRows(gone)}`]),
      ...(unmatched === 0 ? [] : [`unchanged, but match no more: ${showRows(unmatched)}`]),
      ...reasonsToStay(figures, left),
    ]),
    ...(drift === undefined ? [] : notArchived(figures, left, drift)),
    ...(late === 0
      ? []
      : [
          `Came to match during the run, or changed, and match: ${showRows(late)}; the same command archives and deletes them`,
        ]),
  ]
}

/** The candidates that were not archived, because they were no longer what had been recorded. */
function notArchived({ rows }: PurgeFigures, left: ArchivedLeft, drift: Drift): string[] {
  const changed = Math.max(0, drift.changed - left.changed)
  const gone = Math.max(0, drift.gone - rows - left.gone)
  if (changed + gone === 0) return []
  return ['Of the candidates, not archived', ...indented(driftLines(changed, gone))]
}

function driftLines(changed: number, gone: number): string[] {
  return [
    ...(changed === 0 ? [] : [`changed since they were recorded, and kept: ${showRows(changed)}`]),
    ...(gone === 0 ? [] : [`deleted by others, or by an earlier run: ${showRows(gone)}`]),
  ]
}

function andDependents({ table, rows }: ArchivedLeft['dependents'][number]): string {
  return `, ${showCount(rows)} of ${display(table)}`
}

function reasonsToStay({ locked, refused }: PurgeFigures, { reasons }: Pick<Remaining, 'reasons'>): string[] {
  return [
    ...(locked === 0 ? [] : [`locked by others at every attempt: ${showRows(locked)}; the same command tries again`]),
    ...reasons.map(({ what, rows }) => `skipped, ${what}: ${showRows(rows)}`),
    ...refused.map(({ why, rows }) => `refused: ${showRows(rows)}, ${why}`),
  ]
}
