import { dropTable } from '../../sql/drop-table.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { Plan } from '../language/step.ts'
import { online } from '../table/shadow.ts'
import { dropHelpers } from './capture.ts'
import type { RebuildSummary } from './summary.ts'
import { plan, release } from './undo.ts'

/** What is still there of a finished copy. */
export interface KeptForRollback {
  /** The retired table as it is called now; null where it has been dropped. */
  readonly retired: TableName | null
  readonly retiredOid: string | null
  /** The table whose changes are captured; null where they no longer are. */
  readonly captured: TableName | null
  /** Another table has the name that was recorded. */
  readonly nameTaken: boolean
  /** The database has been restored from a dump since. */
  readonly restored: boolean
}

/** Drops the retired table of a finished copy, and ends its change capture; from then on there is no rollback. */
export function planRetire(
  runId: string,
  { original, retired: recorded, back }: RebuildSummary,
  kept: KeptForRollback,
): Plan {
  const { retired, retiredOid, captured } = kept
  return plan(
    `drop the retired table of run ${runId} on ${display(original.name)}`,
    original.name,
    retirementEvidence(recorded, kept),
    [],
    [
      // First: killed after it, what is left is found by the capture; the other way round, a retired table that was
      // renamed or restored would no longer be found.
      ...(retired === null || retiredOid === null
        ? []
        : [
            online('retire:drop', `drop ${display(retired)}`, 'its disk space is freed', 'milliseconds', [
              dropTable({ name: retired, oid: retiredOid }),
            ]),
          ]),
      captured === null
        ? online('retire:log', 'drop the log of captured changes', 'nothing writes to it', 'milliseconds', [
            ...dropHelpers(back.capture),
          ])
        : release('retire:capture', { ...back.capture, table: captured }),
    ],
  )
}

function retirementEvidence(recorded: TableName, { retired, nameTaken, restored }: KeptForRollback): string[] {
  const name = display(recorded)
  if (nameTaken) return [`the table ${name} is not the one that this run has retired: it is left alone`]
  if (retired === null) return [`${name} has been dropped already; changes are still captured for it`]
  return [
    ...(restored ? [`the database has been restored from a dump; ${name} is found by its name and columns`] : []),
    `${display(retired)} holds the rows as they were, including those left out; after this there is no rollback`,
  ]
}
