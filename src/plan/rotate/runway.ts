import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { DefaultPartition, TextRange } from '../../catalog/partitions/default-partition.ts'
import type { Cell, Grid } from '../../grid/grid.ts'
import { floor, next, plus } from '../../grid/grid.ts'
import { gapsIn, missingCells, type Span } from '../../grid/gaps.ts'
import { displayPosition, positionOf, toText, type KeyKind, type Position } from '../../grid/key.ts'
import { roundWidth } from '../../grid/width.ts'
import { display, type TableName } from '../../sql/names.ts'
import { literal } from '../../sql/sql.ts'
import { showRows } from '../../text/units.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { ShortLockStep } from '../language/step.ts'
import { leafNames } from '../table/leaf.ts'
import { addPartition } from './adding.ts'
import { onCitus } from './on-citus.ts'
import { admit, moveRows, type Admission, type Admitted } from './beside-default.ts'

/** A partition to create. */
export interface Creation {
  readonly partition: TableName
  readonly from: Position
  readonly to: Position
  /** So many are moved into it from the DEFAULT partition. */
  readonly rows: number
  /** The bounds for display. */
  readonly shown: { readonly from: string; readonly to: string }
  /** The bounds in the statement. */
  readonly text: { readonly from: string; readonly to: string }
  readonly step: ShortLockStep
}

/** What the partitions ahead depend on, besides the set. */
export interface RunwayEvidence {
  readonly now: bigint
  /** By id: the greatest id in use; null if there is none. */
  readonly head: Position | null
  /** By id: ids per microsecond; null if unknown. */
  readonly idRate: number | null
  readonly taken: ReadonlySet<string>
  readonly role: string
  /** With what is known of its rows in the cells that are missing; null where there is none, or it is empty. */
  readonly fallback: DefaultPartition | null
}

/** The partitions to create, and what is done for them to a DEFAULT partition. */
export interface Runway extends Pick<Admission, 'exclusion' | 'objections'> {
  readonly create: readonly Creation[]
}

/** The partitions to create: from now (or the greatest id) to `premake` ahead, without overlaps. */
export function planRunway(set: PartitionedTable, policy: SetPolicy, evidence: RunwayEvidence): Runway {
  const grid = gridFor(set, policy, evidence)
  const cells = missingRunway(set, policy, evidence)
  const ranges = cells.map((cell) => textRange(set, policy.kind, cell))
  const { admitted, ...admission } = admit(set, policy, grid, cells, ranges, evidence.fallback, evidence)
  const starts = admitted.map(({ cell }) => cell.from)
  const leaves = leafNames(set.name, grid, policy.kind, starts, evidence.taken)
  const create = admitted.map((one, i) => creation(set, policy, one, leaves[i] as TableName, evidence))
  return { create, ...admission }
}

/** The cells for which there is no partition. */
export function missingRunway(
  set: PartitionedTable,
  policy: SetPolicy,
  evidence: Pick<RunwayEvidence, 'now' | 'head' | 'idRate'>,
): Cell[] {
  const spans = spansOf(set)
  const grid = gridFor(set, policy, evidence)
  return grid.kind === 'time'
    ? timeCells(grid, policy, spans, evidence.now)
    : idCells(grid.width, policy.premake, spans, evidence.head)
}

/** The ranges covered by partitions. Those with a pending detach cover nothing: they are finished first. */
function spansOf({ partitions }: PartitionedTable): Span[] {
  return partitions.flatMap(({ range, detachPending }) => (range === null || detachPending ? [] : [range]))
}

/** The grid of the new partitions. An interval by id gets the width it has at the current rate. */
export function gridFor(
  set: PartitionedTable,
  { every, kind, timezone }: SetPolicy,
  { idRate, now }: Pick<RunwayEvidence, 'idRate' | 'now'>,
): Grid {
  if (kind !== 'id') {
    if (every.kind === 'ids') throw new Error('times are not counted in ids')
    return { kind: 'time', every: every.interval, timezone }
  }
  if (every.kind === 'ids') return { kind: 'id', width: every.ids }
  if (idRate === null) return { kind: 'id', width: lastWidth(set) }
  const micros = plus(now, every.interval, 'timestamptz', 'UTC') - now
  return { kind: 'id', width: roundWidth(idRate * Number(micros)) }
}

const UNKNOWN_WIDTH = 1_000_000n

function lastWidth(set: PartitionedTable): bigint {
  const bounded = spansOf(set).filter(({ from, to }) => from !== null && to !== null) as Cell[]
  const last = bounded.at(-1)
  return last === undefined ? UNKNOWN_WIDTH : last.to - last.from
}

function timeCells(grid: Grid, { kind, timezone, premake }: SetPolicy, spans: readonly Span[], now: bigint): Cell[] {
  const from = floor(grid, kind, positionOf(kind, now, timezone))
  let to = next(grid, kind, from)
  for (let i = 0; i < premake; i++) to = next(grid, kind, to)
  return missingCells(grid, kind, spans, from, to)
}

/**
 * Gaps ahead of the current position are filled; then one partition after the other, from the last bound on, whatever
 * the previous width.
 */
function idCells(width: bigint, premake: number, spans: readonly Span[], head: Position | null): Cell[] {
  const last = spans.reduce<Position | null>(
    (max, { to }) => (to !== null && (max === null || to > max) ? to : max),
    null,
  )
  if (spans.some(({ to }) => to === null)) return []
  const here = head ?? spans[0]?.from ?? 0n
  // An id that jumped far ahead would need a partition for every range between.
  const start = last === null || here - last > width * BigInt(premake + 1) ? (here / width) * width : last
  const cells = last === null ? [] : gapsIn(spans, here < last ? here + 1n : last, last)
  let end = start
  let ahead = [...spans, ...cells].filter(({ from }) => from !== null && from > here).length
  while (end <= here || ahead < premake) {
    cells.push({ from: end, to: end + width })
    if (end > here) ahead++
    end += width
  }
  return cells
}

function creation(
  set: PartitionedTable,
  policy: SetPolicy,
  { cell, rows }: Admitted,
  partition: TableName,
  { role, fallback, taken }: RunwayEvidence,
): Creation {
  const { from, to } = cell
  const shown = {
    from: displayPosition(policy.kind, from, policy.timezone),
    to: displayPosition(policy.kind, to, policy.timezone),
  }
  const text = textRange(set, policy.kind, cell)
  const fill = rows === 0 || fallback === null ? [] : moveRows(set, fallback, partition, text)
  const step: ShortLockStep = {
    kind: 'short lock',
    key: `create:${display(partition)}`,
    title: `add partition ${display(partition)}`,
    because: `for rows from ${shown.from} until ${shown.to}${fill.length === 0 ? '' : `; those in the DEFAULT partition are moved into it`}`,
    cost: costOf(fallback !== null, rows),
    ...addPartition(set, { partition, from: literal(text.from), to: literal(text.to) }, role, taken, fill),
  }
  return { partition, from, to, rows, shown, text, step: onCitus(set, step) }
}

function costOf(isRead: boolean, rows: number): string {
  if (rows > 0)
    return `milliseconds: ${showRows(rows)} ${rows === 1 ? 'is' : 'are'} moved, and the DEFAULT partition is read`
  return isRead
    ? 'milliseconds: the DEFAULT partition is read, unless a CHECK excludes the range'
    : 'milliseconds: it is empty'
}

/** The bounds of a new partition as text. */
export function textRange(set: PartitionedTable, kind: KeyKind, { from, to }: Cell): TextRange {
  return { from: boundText(set, kind, from), to: boundText(set, kind, to) }
}

// Exactly where the neighbour ends: PostgreSQL compares values, and several may map to one of our positions.
function boundText(set: PartitionedTable, kind: KeyKind, position: Position): string {
  const neighbours = set.partitions.flatMap(({ range }) => (range === null ? [] : [range]))
  return (
    neighbours.find(({ to }) => to === position)?.toText ??
    neighbours.find(({ from }) => from === position)?.fromText ??
    toText(kind, position)
  )
}
