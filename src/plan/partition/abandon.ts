import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'
import { abandonment } from '../language/abandonment.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import type { DropIndexStep, Plan, ShortLockStep, Step } from '../language/step.ts'

/** What an unfinished run may have left on a table. */
export interface Preparations {
  readonly table: TableName
  /** A CHECK constraint; null where the run makes none. */
  readonly guard: string | null
  /** An index built concurrently, valid or not; null where the run builds none. */
  readonly index: TableName | null
}

/** Plans the undoing of preparations. Each step may find nothing to undo. */
export function planAbandon(runId: string, { table, guard, index }: Preparations): Plan {
  const steps: Step[] = [
    ...(guard === null ? [] : [dropGuard(table, guard)]),
    ...(index === null ? [] : [dropIndex(table, index)]),
  ]
  return abandonment(runId, table, 'the table itself has not been touched: only preparations are taken back', steps)
}

/** Drops the CHECK that proves the bound. */
export function dropGuard(table: TableName, guard: string): ShortLockStep {
  return {
    kind: 'short lock',
    key: 'abandon:guard',
    title: `drop the CHECK ${guard}`,
    because: 'it rejects rows beyond the bound, and nothing needs it any more',
    locks: [exclusive(table)],
    cost: 'milliseconds',
    quiet: table,
    acquire: [lockExclusively(table)],
    statements: [sql`alter table ${quoted(table)} drop constraint if exists ${ident(guard)}`.text],
  }
}

/** Drops an index without blocking other sessions. */
function dropIndex(table: TableName, index: TableName): DropIndexStep {
  return {
    kind: 'drop index',
    key: 'abandon:index',
    title: `drop the index ${display(index)}`,
    because: 'it costs every write, and nothing needs it any more',
    locks: [{ table, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: 'milliseconds, once transactions that are older have ended',
    statements: [sql`drop index concurrently if exists ${quoted(index)}`.text],
  }
}
