import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { toText } from '../../grid/key.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, literal, raw, sql } from '../../sql/sql.ts'
import type { SetPolicy } from '../language/policy.ts'
import { exclusive } from '../language/locks.ts'
import type { MoveStep, ShortLockStep } from '../language/step.ts'
import type { Newest } from './begun.ts'
import type { Horizon } from './horizon.ts'

// Removes a partition that was moved: first the foreign table here, then the table on the other server. In between, what
// is left is a table that nothing reads, and an entry in the journal by which the next rotation drops it.

/** A table on another server that has the rows of a partition, according to the journal. */
export interface MovedPartition {
  /** The foreign server, by its name here. */
  readonly server: string
  readonly there: TableName
  /** In the comment of the table there. */
  readonly token: string
  readonly bounds: string
  /** By id: the newest time in it when it was moved; null where it is not known. */
  readonly newest: Newest | null
  /** The foreign table that reads it, a partition of the table; null where there is none. */
  readonly oid: string | null
  /** A rotation has dropped its foreign table, and so it is to be dropped. */
  readonly released: boolean
}

/** Removing the rows of a partition that was moved. */
export interface Removing {
  readonly moved: MovedPartition
  readonly drop: MoveStep
  /** Which of its rows are kept: none may be. */
  readonly kept: string
}

/** What is left to do once nothing here reads them. */
export function removingOf(
  set: PartitionedTable,
  policy: SetPolicy,
  horizon: Horizon,
  moved: MovedPartition,
): Removing {
  return { moved, drop: dropThereStep(moved), kept: keptCondition(set, policy, horizon) }
}

/** Drops the foreign table; the rows are no longer seen from here. */
export function releaseStep(set: PartitionedTable, { name }: Pick<Partition, 'name'>, because: string): ShortLockStep {
  const [parent, place] = [quoted(set.name), quoted(name)]
  return {
    kind: 'short lock',
    key: `release:${display(name)}`,
    title: `drop the foreign table ${display(name)}`,
    because,
    locks: [exclusive(set.name), exclusive(name)],
    cost: 'milliseconds: the other server is not asked',
    quiet: null,
    // LOCK TABLE refuses foreign tables; that of the partition is taken by its drop.
    acquire: [sql`lock table only ${parent} in access exclusive mode`.text],
    statements: [sql`drop foreign table ${place}`.text],
  }
}

function dropThereStep({ server, there }: MovedPartition): MoveStep {
  return {
    kind: 'move',
    key: `drop there:${display(there)}`,
    title: `drop ${display(there)} on ${server}`,
    because: 'nothing here reads it any more, and its rows have expired',
    locks: [],
    cost: 'milliseconds there; whether a row is to be kept is asked before, which its CHECK answers',
    statements: [sql`drop table ${quoted(there)}`.text],
    server,
  }
}

/** The rows of a table there that have not expired. */
function keptCondition({ key, columns }: PartitionedTable, { kind, expireBy }: SetPolicy, horizon: Horizon): string {
  const name = kind === 'id' ? expireBy : (key?.column ?? null)
  const column = columns.find((one) => one.name === name)
  if (column === undefined) throw new Error('what expires has a column that says when')
  const at = sql`${literal(toText(horizon.kind, horizon.position))}::${raw(column.type)}`
  return sql`${ident(column.name)} is null or ${ident(column.name)} >= ${at}`.text
}
