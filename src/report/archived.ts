import type { ArchiveResult } from '../engine/commands/archive.ts'
import { display } from '../sql/names.ts'
import { showBytes, showRows } from '../text/units.ts'

/** The result of an archive. */
export function describeArchived({ runId, plan, receipt }: ArchiveResult): string[] {
  const { uri, sha256, rows, bytes } = receipt
  return [
    `Archived ${showRows(rows)} of ${display(plan.table)}, ${showBytes(bytes)} as stored (run ${runId}). Nothing was removed.`,
    `receipt: ${uri}`,
    `SHA-256: ${sha256}`,
  ]
}
