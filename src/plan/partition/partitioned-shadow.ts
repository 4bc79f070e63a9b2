import type { LeafIdentity } from '../../catalog/partitions/partitioned-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Cell } from '../../grid/grid.ts'
import type { KeyKind, Position } from '../../grid/key.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'
import { provenKeys } from '../table/constraint-triggers.ts'
import * as definitions from '../table/definitions.ts'
import { foreignKeysOf } from '../table/definitions.ts'
import { factsWithKey } from '../table/facts.ts'
import { boundLiteral, createDefault, createLeaf, identify, type LeafShape } from '../table/leaf.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import { ownersAlone, ownership } from '../table/privileges.ts'
import type { NewPrimaryKey } from '../table/primary-key.ts'
import {
  addForeignKeys,
  shortLockStep,
  checkStep,
  columnsLike,
  indexStep,
  online,
  rename,
  renamedIndexes,
  validateForeignKeys,
  type Shadow,
  type ShadowNames,
} from '../table/shadow.ts'
import type { OnlineStep, Step } from '../language/step.ts'

/** How the rows are laid out in the new table. */
export interface Layout {
  readonly choice: { readonly column: string; readonly kind: KeyKind }
  readonly cells: readonly Cell[]
  /** Where the first partition begins: usually open towards the past, for a late row must find a place as it did before. */
  readonly start: Position | null
  /** The partitions, one for each cell. */
  readonly leaves: readonly TableName[]
  /** A DEFAULT partition, for rows that belong to none of them. */
  readonly rest?: TableName
  readonly primaryKey: NewPrimaryKey | null
  readonly shape: LeafShape
}

/** A shadow that is partitioned: rows find their partition while they are copied. */
export function partitionedShadow(
  table: TableModel,
  names: ShadowNames,
  layout: Layout,
  role: string,
  share: number,
): Shadow {
  const { shadow } = names
  const { primaryKey, leaves } = layout
  const checks = table.constraints.filter(({ type }) => type === 'check')
  return {
    name: shadow,
    leaves,
    create: createPartitioned(table, shadow, layout, role),
    finish: [
      ...identitySteps(leaves, layout.shape.identity),
      ...table.indexes.map((index) =>
        indexStep(
          table,
          names,
          index,
          index.constraint !== null && index.constraint === primaryKey?.constraint ? primaryKey.definition : null,
          share,
        ),
      ),
      ...checks.map((check) => checkStep(shadow, check)),
    ],
    takePlace: [rename(shadow, table.name)],
    indexes: renamedIndexes(table, names),
    foreignKeys: addForeignKeys(leaves, foreignKeysOf(table)),
    after: factsWithKey(withoutForeignKeys(table), primaryKey),
    settle: [
      ...validateForeignKeys(leaves, provenKeys(table)),
      ...foreignKeysOf(table).map((key) => adoptForeignKey(table.name, key)),
    ],
    outcome: factsWithKey(table, primaryKey),
  }
}

/** All partitions. */
export function leavesOf({ leaves, rest }: Layout): TableName[] {
  return [...leaves, ...(rest === undefined ? [] : [rest])]
}

export function createPartitioned(
  table: TableModel,
  shadow: TableName,
  { choice, cells, start, leaves, shape, rest }: Layout,
  role: string,
): string[] {
  const made: LeafShape = {
    ...shape,
    parent: shadow,
    parts: [],
    // An index there must not be before the rows.
    identity: typeof shape.identity === 'object' ? 'default' : shape.identity,
  }
  return [
    sql`create table ${quoted(shadow)} (${columnsLike(table)}) partition by range (${ident(choice.column)})`.text,
    ...(table.tablespace === null
      ? []
      : [sql`alter table ${quoted(shadow)} set tablespace ${ident(table.tablespace)}`.text]),
    ...definitions.columnSettings({ ...table, name: shadow }),
    ...ownersAlone(shadow, role, table.defaultGrantees),
    ...ownership(shadow, table.owner, role),
    ...cells.flatMap((cell, i) => {
      const from = boundLiteral(choice.kind, i === 0 ? start : cell.from, 'from')
      return createLeaf(made, leaves[i] as TableName, from, boundLiteral(choice.kind, cell.to, 'to'), role)
    }),
    ...(rest === undefined ? [] : createDefault(made, rest, role)),
  ]
}

/** Where the replica identity is an index, each partition has to have its own; the index of the whole then adopts them. */
export function identitySteps(leaves: readonly TableName[], identity: LeafIdentity): OnlineStep[] {
  if (typeof identity !== 'object') return []
  return [
    online(
      'identity',
      'build the index of the replica identity on each partition',
      'each has its own, by which subscribers find a row',
      'reads the new table once',
      leaves.flatMap((leaf) => identify(leaf, identity)),
    ),
  ]
}

// A foreign key of a partitioned table cannot be NOT VALID before 18, and adding one checks every row under a lock on
// the referenced table. Where each partition has a validated one already, they are adopted and nothing is checked.
function adoptForeignKey(parent: TableName, key: ReturnType<typeof foreignKeysOf>[number]): Step {
  const step = shortLockStep(
    `adopt-foreign-key:${key.name}`,
    `let the parent adopt foreign key ${key.name}`,
    'its partitions have it, validated, so nothing is checked',
    key.references as TableName,
    definitions.constraint(parent, key),
  )
  const referenced = key.references as TableName
  return {
    ...step,
    locks: [exclusive(referenced)],
    acquire: [lockExclusively(referenced)],
  }
}

function withoutForeignKeys(table: TableModel): TableModel {
  return { ...table, constraints: table.constraints.filter(({ type }) => type !== 'foreign key') }
}

/** The cells, for people. */
export function describeLayout({ cells, leaves }: Layout): string {
  return `${cells.length} partitions, from ${display(leaves[0] as TableName)} to ${display(leaves.at(-1) as TableName)}`
}
