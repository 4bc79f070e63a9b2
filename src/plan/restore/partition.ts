import { parseBounds } from '../../catalog/partitions/bounds.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { overlap, type Span } from '../../grid/gaps.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import { literal, raw, type Sql } from '../../sql/sql.ts'
import { spanOfBounds } from '../language/hold.ts'
import type { ArchivedTable } from '../archive/receipt.ts'
import { objection, when } from '../language/objection.ts'
import type { Objection, ShortLockStep } from '../language/step.ts'
import { addPartition } from '../rotate/adding.ts'
import { besideTooLarge, splitting } from '../rotate/default-objections.ts'
import type { TableToRestore } from './situation.ts'

// A partition that has been dropped takes its rows again only as a partition: it is created anew, empty, and attached.

/** How the bounds of an archived partition lie to the partitions of its table by now. */
export type Place = 'covered' | 'missing' | 'overlapping'

export function placeOf(set: PartitionedTable, { partitionOf }: ArchivedTable): Place {
  const wanted = set.key === null ? null : spanOfBounds(set.key.kind, partitionOf?.bounds ?? '')
  if (wanted === null) return 'covered'
  const spans = set.partitions.flatMap(({ range, detachPending }) => (range === null || detachPending ? [] : [range]))
  const touching = spans.filter((span) => overlap(span, wanted))
  if (touching.length === 0) return 'missing'
  return covers(touching, wanted) ? 'covered' : 'overlapping'
}

/** Whether spans, which are in order and each overlap what is wanted, leave no gap in it. */
function covers(spans: readonly Span[], wanted: Span): boolean {
  const [first] = spans
  const last = spans.at(-1)
  const together = spans.every(({ from }, i) => i === 0 || from === spans[i - 1]?.to)
  return (
    together &&
    (first?.from === null || (wanted.from !== null && first !== undefined && first.from <= wanted.from)) &&
    (last?.to === null || (wanted.to !== null && last !== undefined && last.to >= wanted.to))
  )
}

/** Why the rows have no partition to go into. */
export function placeObjections(place: Place, to: TableToRestore, attach: boolean): Objection[] {
  const { archived, table } = to
  const into = table.name
  const bounds = archived.partitionOf?.bounds ?? ''
  const elsewhere = 'Restore them into a new table: --into <table>'
  if (place === 'overlapping')
    return [
      objection(
        'restore-overlap',
        `${display(into)} has partitions for some of these rows only: they were ${bounds}`,
        `${elsewhere}.`,
      ),
    ]
  if (place === 'missing' && !attach)
    return [
      objection(
        'restore-partition',
        `${display(into)} has no partition for these rows any more: they were ${bounds}`,
        `Create it again and attach it: --attach. Or ${elsewhere.charAt(0).toLowerCase()}${elsewhere.slice(1)}.`,
      ),
    ]
  return place === 'missing' ? besideDefault(to) : []
}

/** What keeps it from being attached beside a DEFAULT partition. */
function besideDefault({ set, beside, archived }: TableToRestore): Objection[] {
  if (set === null || beside == null) return [] // a plan of an earlier version has none
  const { fallback, rows } = beside
  if (typeof rows !== 'number' || rows === 0) return besideTooLarge(set, archived, beside)
  return [
    objection(
      'restore-default',
      `${display(fallback)}, the DEFAULT partition of ${display(set.name)}, has rows of the range of ${display(archived)} by now`,
      `${splitting(set, { name: fallback })} Then omit --attach. Or restore into a new table: --into <table>.`,
    ),
  ]
}

/** A table of its name would take the rows, and the partitioned table would not have them. */
export function looseObjections({ table, archived }: Pick<TableToRestore, 'table' | 'archived'>): Objection[] {
  const { partitionOf } = archived
  const isLoose = partitionOf !== null && table.partitionOf === null && sameName(table.name, archived)
  return when(isLoose, () =>
    objection(
      'restore-attach',
      `${display(archived)} is there, and is not a partition of ${partitionOf === null ? '' : display(partitionOf)}`,
      'If it is the partition, attach it, and omit --attach; otherwise rename it, or restore into it without --attach.',
    ),
  )
}

/** The key of the step. */
export const ATTACH_AGAIN = 'attach'

/** A partition that is created again, with its bounds; null is none. */
export interface CreatedAgain {
  readonly table: TableName
  readonly partition: TableName
  readonly from: string | null
  readonly to: string | null
}

export function createdAgain(set: PartitionedTable, { schema, name, partitionOf }: ArchivedTable): CreatedAgain {
  const bounds = parseBounds(partitionOf?.bounds ?? '')
  if (bounds?.kind !== 'range') throw new Error('only a partition with a range is created again')
  return { table: set.name, partition: { schema, name }, from: bounds.from, to: bounds.to }
}

/** Creates the partition again, divided as the newest is. */
export function partitionStep(
  set: PartitionedTable,
  archived: ArchivedTable,
  role: string,
  taken: ReadonlySet<string>,
): ShortLockStep {
  const { partition, from, to } = createdAgain(set, archived)
  const wanted = { partition, from: end(from, 'minvalue'), to: end(to, 'maxvalue') }
  return {
    kind: 'short lock',
    key: ATTACH_AGAIN,
    title: `create partition ${display(partition)} again`,
    because: 'its rows go through the table, which has no partition for them any more',
    cost: 'milliseconds: it is empty',
    ...addPartition(set, wanted, role, taken),
  }
}

function end(text: string | null, without: string): Sql {
  return text === null ? raw(without) : literal(text)
}
