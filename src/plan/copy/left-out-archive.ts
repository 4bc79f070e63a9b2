import { display, type TableName } from '../../sql/names.ts'
import { archiveStep, describeArchive } from '../archive/step.ts'
import type { ArchiveStep } from '../language/step.ts'
import type { RebuildSummary } from './summary.ts'

// The rows that a copy leaves out are archived from the retired table, after the swap. Only a rollback writes to it,
// and that waits for the run to end: so it holds exactly the rows that the table had at the swap, whatever becomes of
// the new one, and those for which the condition of the copy is not true are those that were left out.
// docs/decisions.md has what else was considered.

/** Archives the rows left out, from the retired table as it is called now; nothing where none are, or without an archive. */
export function archiveLeftOut(
  { forward: { keep, settings }, archive = null }: Pick<RebuildSummary, 'forward' | 'archive'>,
  retired: { readonly name: TableName; readonly oid: string },
): ArchiveStep[] {
  if (keep === null || archive === null) return []
  const { command, to, table, partitionOf, horizon, estimatedRows } = archive
  const where = notTrue(keep)
  const rows = { table: retired.name, oid: retired.oid, as: table, partitionOf, chosen: leftOutBy(keep), where }
  const step = archiveStep({ command, kind: 'table', rows: { ...rows, horizon, estimatedRows }, settings, to })
  return [{ ...step, key: 'archive', title: `archive the rows left out, of ${display(retired.name)}, in ${to.uri}` }]
}

/** What follows `from … t` and selects the rows that a condition leaves out. */
export function leftOutBy(keep: string): string {
  return `where ${notTrue(keep)}`
}

/** On a line of its own only where a comment may stand at its end: receipts and lists show it. */
function notTrue(condition: string): string {
  return `(${condition}${condition.includes('--') ? '\n' : ''}) is not true`
}

/** How, for a plan; nothing without an archive. */
export function describeLeftOutArchive({ archive = null }: Pick<RebuildSummary, 'archive'>): string[] {
  if (archive === null) return []
  const [how, ...verified] = describeArchive(archive.to)
  return [`the rows left out are ${how} after the swap, from the retired table`, ...verified]
}

/** The rows left out, where both are estimated. */
export function estimateLeftOut(all: number | null, kept: number | null): number | null {
  return all === null || kept === null ? null : Math.max(0, all - kept)
}
