import type { InboundForeignKey, TableModel } from '../../catalog/table/table-model.ts'
import { keysOnto, orphanCheck } from '../references/orphans.ts'
import type { Cell } from '../../grid/grid.ts'
import { displayPosition, toText, type Position } from '../../grid/key.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, distinctNames, quoted, type TableName } from '../../sql/names.ts'
import { ident, literal, raw, sql } from '../../sql/sql.ts'
import type { KeyChoice } from './key-choice.ts'
import { boundLiteral, createLeaf, leafShape } from '../table/leaf.ts'
import { provenInbound } from '../table/constraint-triggers.ts'
import { exclusive } from '../language/locks.ts'
import { buildUniqueIndex, plainColumns, type NewPrimaryKey } from '../table/primary-key.ts'
import { dryRun } from './dry-run.ts'
import type { Lock, OnlineStep, Step } from '../language/step.ts'
import type { AsideNames } from '../table/dependents.ts'
import { planSwap, type SwapRequest } from '../table/swap.ts'
import { underPath } from '../table/user-code.ts'
import { showBytes, showDuration } from '../../text/units.ts'

/** Everything that has been decided about a conversion. */
export interface Conversion {
  readonly table: TableModel
  readonly role: string
  readonly choice: KeyChoice
  readonly cut: Position
  readonly runway: readonly Cell[]
  readonly primaryKey: NewPrimaryKey | null
  readonly history: TableName
  /** The CHECK that proves the bound. */
  readonly guard: string
  /** Of the runway's partitions, in order. */
  readonly leaves: readonly TableName[]
  readonly aside: AsideNames
  /** The search path of the role, for code of the user's. */
  readonly settings: ConditionSettings
}

/**
 * The steps of a conversion: rehearse, prepare online, swap, and what can wait
 * until after it. Only the guard and the swap block other sessions, for milliseconds.
 */
export function conversionSteps(conversion: Conversion): Step[] {
  const { table, choice, runway, primaryKey, leaves } = conversion
  const request = swapRequest(conversion)
  return [
    dryRun(request, choice),
    ...orphanCheck(keysOnto(table, provenInbound(table))),
    ...(primaryKey === null ? [] : [primaryKeyStep(table, primaryKey, choice.column)]),
    guardStep(conversion),
    validateGuardStep(conversion),
    planSwap(request),
    ...runway.slice(1).map((cell, i) => leafStep(conversion, cell, leaves[i + 1] as TableName)),
    ...provenInbound(table).map((key) => validateInbound(table.name, key)),
    underPath(analyzeStep(table.name), table, conversion.settings),
  ]
}

function swapRequest({
  table,
  role,
  choice,
  cut,
  runway,
  primaryKey,
  history,
  guard,
  leaves,
  aside,
}: Conversion): SwapRequest {
  const [cell, name] = [runway[0], leaves[0]]
  if (cell === undefined || name === undefined) throw new Error('a runway has at least one partition')
  return {
    table,
    key: `range (${ident(choice.column).text})`,
    history,
    cut: boundLiteral(choice.kind, cut, 'to'),
    first: { name, to: boundLiteral(choice.kind, cell.to, 'to') },
    guard,
    primaryKey,
    aside,
    role,
  }
}

function primaryKeyStep(table: TableModel, primaryKey: NewPrimaryKey, key: string): Step {
  const current = table.indexes.find(({ primary }) => primary)
  if (current === undefined) throw new Error(`no primary key on ${display(table.name)}`)
  const because =
    'a primary key of a partitioned table must contain the key; built concurrently, its index blocks no other session'
  return buildUniqueIndex(
    table.name,
    current,
    [...plainColumns(current), key],
    primaryKey.index,
    table.estimatedRows,
    because,
  )
}

/** Proves nothing yet: NOT VALID says it of rows to come, in a moment. */
function guardStep({ table, choice, cut, guard }: Conversion): Step {
  const place = quoted(table.name)
  // Of any other type PostgreSQL would not take the bound as proof.
  const bound = sql`${ident(choice.column)} < ${literal(toText(choice.kind, cut))}::${raw(choice.type)}`
  return {
    kind: 'short lock',
    key: 'guard',
    title: `add CHECK (${choice.column} < ${shown(choice, cut)}) NOT VALID`,
    because:
      'with it PostgreSQL need not read the table when it becomes a partition; until the swap it rejects rows beyond it, so the bound lies well ahead',
    locks: [exclusive(table.name)],
    cost: 'milliseconds: no row is read',
    quiet: table.name,
    acquire: [sql`lock table ${place} in access exclusive mode`.text],
    statements: [sql`alter table ${place} add constraint ${ident(guard)} check (${bound}) not valid`.text],
  }
}

/** Cautious, like all estimates here. */
const READ_BYTES_PER_SECOND = 400_000_000

function validateGuardStep({ table, guard }: Conversion): Step {
  return {
    kind: 'online',
    key: 'validate-guard',
    title: 'validate the CHECK',
    because: 'reads every row once, while the table stays in use',
    locks: [{ table: table.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: `reads ${showBytes(table.size.heap)}, about ${showDuration(table.size.heap / READ_BYTES_PER_SECOND)}`,
    statements: [sql`alter table ${quoted(table.name)} validate constraint ${ident(guard)}`.text],
  }
}

function leafStep({ table, role, choice, primaryKey }: Conversion, cell: Cell, name: TableName): Step {
  const shape = {
    ...leafShape(table, primaryKey),
    triggers: table.triggers.filter(({ perRow, enabled }) => perRow && enabled !== 'origin'),
  }
  return {
    kind: 'short lock',
    key: `runway:${name.name}`,
    title: `add partition ${display(name)}`,
    because: `for rows from ${shown(choice, cell.from)} until ${shown(choice, cell.to)}`,
    locks: leafLocks(table.name, referencedTables(table)),
    cost: 'milliseconds: it is empty',
    quiet: null,
    acquire: [],
    statements: createLeaf(
      shape,
      name,
      boundLiteral(choice.kind, cell.from, 'from'),
      boundLiteral(choice.kind, cell.to, 'to'),
      role,
    ),
  }
}

/** What adding an empty partition locks: the parent harmlessly, referenced tables for a moment. */
export function leafLocks(parent: TableName, referenced: readonly TableName[]): Lock[] {
  return [
    { table: parent, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
    ...referenced.map((name): Lock => ({
      table: name,
      mode: 'SHARE ROW EXCLUSIVE',
      blocks: 'writes',
      held: 'milliseconds',
    })),
  ]
}

function referencedTables(table: TableModel): TableName[] {
  return distinctNames(table.constraints.flatMap(({ references }) => (references === null ? [] : [references])))
}

/** Checks the rows of a foreign key that a swap has pointed elsewhere, while the table stays in use. */
export function validateInbound(table: TableName, key: InboundForeignKey): Step {
  return {
    kind: 'online',
    key: `validate:${display(key.table)}.${key.name}`,
    title: `validate foreign key ${key.name} of ${display(key.table)}`,
    because: 'the swap has added it NOT VALID',
    locks: [
      { table: key.table, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' },
      { table, mode: 'ROW SHARE', blocks: 'nothing', held: 'all along' },
    ],
    cost: `reads ${display(key.table)} once`,
    statements: [sql`alter table ${quoted(key.table)} validate constraint ${ident(key.name)}`.text],
  }
}

function analyzeStep(table: TableName): OnlineStep {
  return {
    kind: 'online',
    key: 'analyze',
    title: `analyze ${display(table)}`,
    because: 'autovacuum never analyses a partitioned parent, and without statistics of it plans go bad',
    locks: [{ table, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: 'reads a sample',
    statements: [sql`analyze ${quoted(table)}`.text],
  }
}

function shown({ kind, timezone }: KeyChoice, position: Position): string {
  return displayPosition(kind, position, timezone)
}
