import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { Cell, Grid } from '../../grid/grid.ts'
import { floor, next, plus } from '../../grid/grid.ts'
import { gapsIn, missingCells, type Span } from '../../grid/gaps.ts'
import { displayPosition, positionOf, toText, type KeyKind, type Position } from '../../grid/key.ts'
import { roundWidth } from '../../grid/width.ts'
import { display, type TableName } from '../../sql/names.ts'
import { literal, type Sql } from '../../sql/sql.ts'
import { createLeaf, leafNames, type LeafShape } from '../table/leaf.ts'
import { commonParts, referencesOf } from '../table/own-parts.ts'
import { isSecured } from '../table/definitions.ts'
import { leafLocks } from '../partition/conversion.ts'
import { exclusive } from '../language/locks.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { ShortLockStep, Lock } from '../language/step.ts'

/** A partition to create. */
export interface Creation {
  readonly partition: TableName
  readonly from: Position
  readonly to: Position
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
}

/** The partitions to create: from now (or the greatest id) to `premake` ahead, without overlaps. */
export function planRunway(set: PartitionedTable, policy: SetPolicy, evidence: RunwayEvidence): Creation[] {
  const spans = spansOf(set)
  const grid = gridFor(set, policy, evidence)
  const cells =
    grid.kind === 'time'
      ? timeCells(grid, policy, spans, evidence.now)
      : idCells(grid.width, policy.premake, spans, evidence.head)
  const starts = cells.map(({ from }) => from)
  const leaves = leafNames(set.name, grid, policy.kind, starts, evidence.taken)
  const shape = leafShapeOf(set)
  return cells.map((cell, i) => creation(set, policy, cell, leaves[i] as TableName, shape, evidence.role))
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
  { from, to }: Cell,
  partition: TableName,
  shape: LeafShape,
  role: string,
): Creation {
  const shown = {
    from: displayPosition(policy.kind, from, policy.timezone),
    to: displayPosition(policy.kind, to, policy.timezone),
  }
  const text = { from: boundText(set, policy.kind, from), to: boundText(set, policy.kind, to) }
  const step: ShortLockStep = {
    kind: 'short lock',
    key: `create:${display(partition)}`,
    title: `add partition ${display(partition)}`,
    because: `for rows from ${shown.from} until ${shown.to}`,
    locks: [...leafLocks(set.name, [...set.references, ...referencesOf(shape.parts)]), ...defaultLocks(set)],
    cost:
      defaultLocks(set).length === 0
        ? 'milliseconds: it is empty'
        : 'milliseconds, and the default partition is scanned for rows that belong here',
    quiet: null,
    acquire: [],
    statements: createLeaf(shape, partition, asLiteral(text.from), asLiteral(text.to), role),
  }
  return { partition, from, to, shown, text, step }
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

function asLiteral(text: string): Sql {
  return literal(text)
}

// A partition can be added only if no row of the default partition belongs to it, which is scanned under lock.
function defaultLocks({ partitions }: PartitionedTable): Lock[] {
  return partitions.filter(({ isDefault }) => isDefault).map(({ name }) => exclusive(name))
}

/** What a new partition takes from its parent and from its newest sibling, because a parent has no storage options. */
export function leafShapeOf(set: PartitionedTable): LeafShape {
  const newest = newestTable(set)
  return {
    parent: set.name,
    owner: set.owner,
    tablespace: set.tablespace ?? newest?.tablespace ?? null,
    options: newest?.options ?? [],
    rowSecurity: !isSecured(set.rowSecurity) && newest?.rowSecurity ? 'on' : set.rowSecurity,
    identity: newest?.identity ?? 'default',
    parts: commonParts(set),
    defaultGrantees: set.defaultGrantees,
    triggers: set.unusualTriggers,
  }
}

export function newestTable({ partitions }: PartitionedTable): Partition | undefined {
  return partitions.findLast(({ kind, range, detachPending }) => kind === 'table' && range !== null && !detachPending)
}
