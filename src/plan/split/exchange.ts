import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Span } from '../../grid/gaps.ts'
import type { KeyKind } from '../../grid/key.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { dropTable, type Dropped } from '../../sql/drop-table.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import { dropCapture, startCapture } from '../copy/capture.ts'
import { captureTriggers } from '../copy/steps.ts'
import { neighbours, swapOf } from '../table/aside.ts'
import * as definitions from '../table/definitions.ts'
import { factsOf } from '../table/facts.ts'
import { attach, attachDefault, boundLiteral } from '../table/leaf.ts'
import { partsAfter } from '../table/own-parts.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import { leavesOf, type Layout } from '../partition/partitioned-shadow.ts'
import type { RebuildSummary } from '../copy/summary.ts'
import { online } from '../table/shadow.ts'
import { addBound, besideCondition, dropBound, rangeCondition, rangesBeside } from './bound.ts'
import type { SplitSituation } from './situation.ts'
import type { Step, SwapStep } from '../language/step.ts'

// The exchange: in one short transaction partitions change places, there and
// back. The parent and its dependent objects stay what they are. Whatever comes
// in has proven its bounds, so nothing is read under the lock.

/** A wide partition as it is, for a rollback. */
export interface SplitSummary {
  readonly key: { readonly column: string; readonly type: string; readonly kind: KeyKind }
  readonly from: string
  readonly to: string
  readonly bound: string
  readonly leaves: readonly TableName[]
  /** Of a DEFAULT partition, which has no bounds: the ranges and the names of the others at that time. */
  readonly beside?: { readonly ranges: readonly Span[]; readonly partitions: readonly TableName[] }
}

/** What the wide partition takes. */
export function takenBy(situation: Pick<SplitSituation, 'policy' | 'partition' | 'parent' | 'set'>): Sql {
  const { policy, partition, parent, set } = situation
  return partition.isDefault
    ? besideCondition(policy, rangesBeside(set, partition), parent)
    : rangeCondition(policy, { from: partition.range?.from ?? null, to: partition.range?.to ?? null }, parent)
}

export function splitSummary(situation: SplitSituation, layout: Layout): SplitSummary {
  const { policy, partition, set } = situation
  const { kind, column } = policy
  const range = { from: partition.range?.from ?? null, to: partition.range?.to ?? null }
  return {
    key: { column, kind, type: set.key?.type ?? '' },
    from: boundLiteral(kind, range.from, 'from').text,
    to: boundLiteral(kind, range.to, 'to').text,
    bound: takenBy(situation).text,
    leaves: leavesOf(layout),
    ...(partition.isDefault ? { beside: besideOf(set, partition) } : {}),
  }
}

function besideOf(set: PartitionedTable, partition: Partition): Required<SplitSummary>['beside'] {
  const others = set.partitions.filter(({ oid }) => oid !== partition.oid)
  return { ranges: rangesBeside(set, partition), partitions: others.map(({ name }) => name) }
}

/** The swap of a copy, made into the exchange of the wide partition for its parts. */
export function exchange(
  { set, parent, partition, server: { role } }: SplitSituation,
  rebuild: RebuildSummary,
  layout: Layout,
  swap: SwapStep,
): SwapStep {
  const { forward, back, shadow } = rebuild
  const { choice, cells, start, rest } = layout
  const leaves = leavesOf(layout)
  return {
    ...swap,
    title: `swap ${display(partition.name)} for its ${leaves.length} new partitions`,
    because: 'they hold every row to keep, in its current state, and their bounds are validated',
    ...exclusively(parent),
    statements: [
      ...dropCapture(forward.capture, partition.name),
      ...detach(parent, partition.name),
      ...cells.flatMap((cell, i) => {
        const leaf = layout.leaves[i] as TableName
        const from = boundLiteral(choice.kind, i === 0 ? start : cell.from, 'from')
        return [
          sql`alter table ${quoted(shadow)} detach partition ${quoted(leaf)}`.text,
          attach(parent.name, leaf, from, boundLiteral(choice.kind, cell.to, 'to')),
          dropBound(leaf),
        ]
      }),
      ...(rest === undefined ? [] : exchangeDefault(parent, shadow, rest)),
      ...set.unusualTriggers.flatMap((one) => definitions.triggerState(leaves, one)),
      ...leaves.flatMap((leaf) => partsAfter(leaf, layout.shape.parts, role)),
      sql`drop table ${quoted(shadow)}`.text,
      ...startCapture(back.capture),
    ],
    before: factsOf(parent),
    after: factsOf(parent),
    ours: captureTriggers(rebuild),
    partitions: set.partitions.map(({ name }) => name),
  }
}

/** The steps by which a wide partition takes its place again; see rebuild-undo.ts for what comes before and after. */
export function exchangeBack(
  parent: TableModel,
  rebuild: RebuildSummary,
  split: SplitSummary,
  children: readonly Dropped[],
): { readonly prove: Step; readonly swap: SwapStep; readonly dropLeaves: string[] } {
  const { back, retired } = rebuild
  const leaves = children.filter((child) => split.leaves.some((leaf) => sameName(child.name, leaf)))
  const ours = captureTriggers(rebuild)
  const swap: SwapStep = {
    ...swapOf(parent, { indexes: {}, statistics: {}, sequences: {} }, ours),
    key: 'swap-back',
    title: `swap back: attach ${display(retired)} in place of the new partitions`,
    because: 'it holds every row there was in its range, and every write made since',
    ...exclusively(parent),
    statements: [
      ...dropCapture(back.capture, parent.name),
      ...leaves.flatMap(({ name }) => detach(parent, name)),
      split.beside === undefined
        ? attach(parent.name, retired, raw(split.from), raw(split.to))
        : attachDefault(parent.name, retired),
      dropBound(retired),
    ],
    before: factsOf(parent, ours),
    after: factsOf(parent, ours),
    partitions: children.map(({ name }) => name),
    work: back,
  }
  return {
    prove: online(
      'bound',
      `validate the bounds of ${display(retired)}`,
      'attaching it then reads nothing',
      'reads it once',
      [addBound(retired, raw(split.bound))],
    ),
    swap,
    dropLeaves: leaves.map((leaf) => dropTable(leaf)),
  }
}

/** Last: as long as there is none, the others are attached without a look at it. */
function exchangeDefault(parent: TableModel, shadow: TableName, rest: TableName): string[] {
  return [
    sql`alter table ${quoted(shadow)} detach partition ${quoted(rest)}`.text,
    attachDefault(parent.name, rest),
    dropBound(rest),
  ]
}

/** The parent, then what is joined to it by a foreign key. */
function exclusively(parent: TableModel): Pick<SwapStep, 'locks' | 'acquire'> {
  const tables = [parent.name, ...neighbours(parent)]
  return {
    locks: tables.map(exclusive),
    acquire: tables.map((table) => lockExclusively(table)),
  }
}

/**
 * Detaches a partition and drops its foreign keys: its rows, no longer visible, must not keep referenced rows from being
 * deleted; and dropping it later would lock the referenced tables.
 */
function detach(parent: TableModel, partition: TableName): string[] {
  return [
    sql`alter table ${quoted(parent.name)} detach partition ${quoted(partition)}`.text,
    ...definitions.dropForeignKeys(partition, definitions.foreignKeysOf(parent)),
  ]
}
