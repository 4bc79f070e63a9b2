import { dropTable } from '../../sql/drop-table.ts'
import { display, type TableName } from '../../sql/names.ts'
import { objection } from '../language/objection.ts'
import type { ArchiveStep, Objection, Plan } from '../language/step.ts'
import { online } from '../table/shadow.ts'
import { dropHelpers } from './capture.ts'
import { archiveLeftOut } from './left-out-archive.ts'
import type { RebuildSummary } from './summary.ts'
import { plan, release } from './release.ts'

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

/** What has become of the rows left out, where they are to be archived. */
export interface LeftOutRows {
  /** They are dropped without an archive, by the user's word. */
  readonly noArchive: boolean
  /** The address of their receipt; null without one. */
  readonly receipt: string | null
  /** A rollback that was abandoned may have written to the retired table. */
  readonly changed: boolean
}

const NOT_ARCHIVED: LeftOutRows = { noArchive: false, receipt: null, changed: false }

/**
 * Drops the retired table of a finished copy, and ends its change capture; from then on there is no rollback. Rows that
 * are to be archived have a receipt before that.
 */
export function planRetire(
  runId: string,
  rebuild: RebuildSummary,
  kept: KeptForRollback,
  leftOut: LeftOutRows = NOT_ARCHIVED,
): Plan {
  const { original, retired: recorded, back } = rebuild
  const { retired, retiredOid, captured } = kept
  const archive = archiveFirst(rebuild, kept, leftOut)
  const objections = archive.length > 0 && leftOut.changed ? [leftOutChanged(runId, recorded)] : []
  return plan(
    `drop the retired table of run ${runId} on ${display(original.name)}`,
    original.name,
    [...retirementEvidence(recorded, kept), ...describeLeftOut(rebuild, leftOut)],
    objections,
    objections.length > 0
      ? []
      : [
          ...archive,
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

/** A removal document that could not be stored when the table was dropped. */
export function planRemovalDocument(runId: string, table: TableName): Plan {
  const evidence = ['the retired table has been dropped; the removal document of its archive is not stored yet']
  return plan(`store the removal document of run ${runId} on ${display(table)}`, table, evidence, [], [])
}

function archiveFirst(
  rebuild: RebuildSummary,
  { retired, retiredOid }: KeptForRollback,
  { noArchive, receipt }: LeftOutRows,
): ArchiveStep[] {
  if (retired === null || retiredOid === null || noArchive || receipt !== null) return []
  return archiveLeftOut(rebuild, { name: retired, oid: retiredOid }).map((step) => ({ ...step, key: 'retire:archive' }))
}

function describeLeftOut({ forward, archive = null }: RebuildSummary, { noArchive, receipt }: LeftOutRows): string[] {
  if (forward.keep === null || archive === null) return []
  if (receipt !== null) return [`the rows left out are archived: ${receipt}`]
  return [noArchive ? 'the rows left out are not archived' : 'the rows left out are not archived yet: that comes first']
}

function leftOutChanged(runId: string, retired: TableName): Objection {
  return objection(
    'left-out-changed',
    `a rollback of run ${runId} was abandoned, which may have written to ${display(retired)}: it no longer tells which rows were left out`,
    `Archive all of it, then drop it: ebb archive ${display(retired)} --archive <uri> --execute; ebb retire ${runId} --no-archive --execute`,
  )
}

const NOT_FOUND =
  'is not in this database, which has been restored from a dump: it has been dropped, or renamed before the dump, and then it stays, for nothing tells it from a table of yours'

function retirementEvidence(recorded: TableName, { retired, nameTaken, restored }: KeptForRollback): string[] {
  const name = display(recorded)
  if (nameTaken) return [`the table ${name} is not the one that this run has retired: it is left alone`]
  if (retired === null)
    return [`${name} ${restored ? NOT_FOUND : 'has been dropped already'}; changes are still captured for it`]
  return [
    ...(restored ? [`the database has been restored from a dump; ${name} is found by its name and columns`] : []),
    `${display(retired)} holds the rows as they were, including those left out; after this there is no rollback`,
  ]
}
