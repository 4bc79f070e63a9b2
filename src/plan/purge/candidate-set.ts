import type { LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import type { SetWalk } from './candidate-sql.ts'
import { objection } from '../language/objection.ts'
import type { KeyWalkColumn } from './work.ts'
import type { ChosenWalk } from './walk.ts'
import type { Objection } from '../language/step.ts'
import { showBytes, showCount } from '../../text/units.ts'

/** Rows chosen for deletion, as they were recorded. */
export interface CandidateSet {
  /** The number of the run that recorded it. */
  readonly id: string
  readonly table: TableName
  /** Where the keys are. */
  readonly place: TableName
  readonly key: readonly KeyWalkColumn[]
  /** Leaves by their number. */
  readonly leaves: readonly TableName[]
  readonly settings: ConditionSettings
  /** With now() fixed, as it chose the rows. */
  readonly condition: string
  /** Null until the set is complete. */
  readonly rows: number | null
  /** Of the rows as they were. */
  readonly bytes: number | null
  readonly writtenAt: Date | null
  readonly approvedBy: string | null
  readonly ticket: string | null
  /** The table no longer has a key of the same columns and types. */
  readonly keyChanged: boolean
}

/** Walks the recorded keys. */
export function walkThrough(set: CandidateSet, { name, oid, blocks, matching }: LeafModel): ChosenWalk {
  const leaf = set.leaves.findIndex((other) => sameName(other, name))
  const walk: SetWalk = {
    kind: 'key',
    index: `the keys of candidate set ${set.id}`,
    columns: set.key,
    unique: true,
    among: { set: set.place, leaf },
  }
  return {
    leaf: { name, oid, walk, blocks, rowsPerBlock: null, estimatedRows: matching },
    why: 'the set alone decides which rows are deleted',
  }
}

/** Why its rows cannot be purged. */
export function candidateObjections(set: CandidateSet, table: TableModel): Objection[] {
  const anew = `Record a new one: ebb purge ${display(table.name)} --where … --candidates.`
  if (set.rows === null)
    return [
      objection(
        'candidates-incomplete',
        `candidate set ${set.id} is not complete`,
        `Finish it: ebb resume ${set.id} --execute.`,
      ),
    ]
  if (!sameName(set.table, table.name))
    return [
      objection(
        'candidates-elsewhere',
        `candidate set ${set.id} is of ${display(set.table)}, not of ${display(table.name)}`,
        'Omit the table: the set names it.',
      ),
    ]
  if (set.keyChanged)
    return [
      objection(
        'candidates-key',
        `the key of ${display(table.name)} has changed since candidate set ${set.id} was recorded`,
        anew,
      ),
    ]
  return []
}

export function describeSet({ id, rows, bytes, condition, approvedBy, ticket, writtenAt }: CandidateSet): string {
  const approval = approvedBy === null ? 'not approved yet' : `approved by ${approvedBy}`
  const where = ticket === null ? approval : `${approval} (${ticket})`
  const when = writtenAt === null ? 'not complete' : `recorded on ${writtenAt.toISOString().slice(0, 10)}`
  return `deleted: the rows of candidate set ${id} that are unchanged since: ${showCount(rows ?? 0)} rows, ${showBytes(bytes ?? 0)}, ${when}, ${where}; chosen where ${condition}`
}
