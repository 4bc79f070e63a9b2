import {
  EXCLUSION,
  inRange,
  type DefaultPartition,
  type TextRange,
} from '../../catalog/partitions/default-partition.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { Cell, Grid } from '../../grid/grid.ts'
import { fromText, positionOf, type KeyKind, type Position } from '../../grid/key.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql } from '../../sql/sql.ts'
import { marginOf } from '../partition/history-bound.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import type { SetPolicy } from '../language/policy.ts'
import { rowsHidden } from './objections.ts'
import type { Objection, OnlineStep, ShortLockStep } from '../language/step.ts'
import { cannotLeave, defaultTooLarge, MOST_READ_BYTES, rowsInDefault } from './default-objections.ts'

// Partitions beside a DEFAULT one. PostgreSQL adds one only if no row of the DEFAULT belongs to it, and reads the whole
// DEFAULT under ACCESS EXCLUSIVE to see that, unless a CHECK proves it. So:
//
//   - Few rows that belong to it are moved in the transaction that adds it. The table itself is locked first: an INSERT
//     that waited for the DEFAULT alone would fail afterwards, for it is the wrong partition by then, and a SELECT
//     would not see the rows, for it was planned without the new one.
//   - A large DEFAULT without such rows gets a CHECK that excludes the range, validated while the table stays in use.
//     It rejects rows of the range until the partition is there, so the range has to lie far ahead.
//   - Everything else is for `ebb split`.

/** Rows that are moved while others wait: deleting and inserting one takes some 10 to 50 µs. */
export const MOST_MOVED = 1_000

/** A partition that can be made, and how many rows it takes over. */
export interface Admitted {
  readonly cell: Cell
  readonly rows: number
}

/** A CHECK on a large DEFAULT, for as long as partitions are made. */
export interface Exclusion {
  readonly add: ShortLockStep
  readonly validate: OnlineStep
}

/** What is made beside a DEFAULT, and why not the rest. */
export interface Admission {
  readonly admitted: readonly Admitted[]
  readonly exclusion: Exclusion | null
  readonly objections: readonly Objection[]
}

/** Where new rows go, for what has to lie ahead of them. */
export interface Ahead {
  readonly now: bigint
  readonly head: Position | null
  readonly idRate: number | null
}

/** @param ranges the bounds of each cell as text */
export function admit(
  set: PartitionedTable,
  policy: SetPolicy,
  grid: Grid,
  cells: readonly Cell[],
  ranges: readonly TextRange[],
  fallback: DefaultPartition | null,
  ahead: Ahead,
): Admission {
  const all = cells.map((cell): Admitted => ({ cell, rows: 0 }))
  if (fallback === null || fallback.partition.kind === 'foreign')
    return { admitted: all, exclusion: null, objections: [] }
  const judged = cells.map((cell, i) => ({ cell, ...judge(fallback, i) }))
  const crowded = judged.filter(({ verdict }) => verdict === 'split')
  const large = judged.filter(({ verdict }) => verdict === 'exclude')
  const moving = judged.filter(({ verdict }) => verdict === 'move')
  const stuck = moving.length === 0 ? [] : cannotLeave(set, fallback)
  const first = large[0]
  const isSafe =
    first !== undefined &&
    crowded.length + moving.length === 0 &&
    first.cell.from >= safeFrom(policy, grid, fallback, ahead)
  const admitted = judged.filter(
    ({ verdict }) =>
      verdict === 'admit' || (verdict === 'move' && stuck.length === 0) || (verdict === 'exclude' && isSafe),
  )
  return {
    admitted,
    exclusion: isSafe ? exclusionOf(set, fallback.partition, ranges[cells.indexOf(first.cell)], ranges.at(-1)) : null,
    objections: [
      ...(crowded.length === 0 ? [] : [crowdedObjection(set, policy, fallback, crowded)]),
      ...stuck,
      ...(first === undefined || isSafe ? [] : [defaultTooLarge(set, policy, fallback, first.cell)]),
    ],
  }
}

function crowdedObjection(
  set: PartitionedTable,
  policy: SetPolicy,
  fallback: DefaultPartition,
  crowded: readonly Admitted[],
): Objection {
  const { partition } = fallback
  return partition.rowsHidden
    ? rowsHidden([partition], 'which of them belong to partitions about to be made cannot be told')
    : rowsInDefault(set, policy, fallback, crowded)
}

interface Judged {
  readonly verdict: 'admit' | 'move' | 'exclude' | 'split'
  readonly rows: number
}

function judge({ belonging, heapBytes }: DefaultPartition, i: number): Judged {
  const rows = belonging[i] ?? 'unknown'
  if (rows === 'excluded') return { verdict: 'admit', rows: 0 }
  const isSmall = heapBytes <= MOST_READ_BYTES
  if (rows === 0) return { verdict: isSmall ? 'admit' : 'exclude', rows }
  if (rows === 'unknown') return { verdict: 'split', rows: 0 }
  return { verdict: isSmall && rows <= MOST_MOVED ? 'move' : 'split', rows }
}

/** From where on a range may be excluded for the time that takes, and for a weekend if the run is killed in between. */
function safeFrom(
  { kind, timezone, premake }: SetPolicy,
  grid: Grid,
  { ends }: DefaultPartition,
  { now, head, idRate }: Ahead,
): Position {
  const here = kind === 'id' ? (head ?? 0n) : positionOf(kind, now, timezone)
  const margin = marginOf({ kind, grid, idRate })
  const greatest = ends === null ? here : placed(kind, ends.greatest, here)
  // An application that dates rows ahead will go on to do so; one row of the year 2099 says nothing.
  const isAhead = greatest > here && greatest < here + margin * BigInt(premake + 1)
  return (isAhead ? greatest : here) + margin
}

function placed(kind: KeyKind, text: string, otherwise: Position): Position {
  try {
    return fromText(kind, text)
  } catch {
    return otherwise // infinity
  }
}

function exclusionOf(
  set: PartitionedTable,
  { name }: Partition,
  first: TextRange | undefined,
  last: TextRange | undefined,
): Exclusion | null {
  if (set.key === null || first === undefined || last === undefined) return null
  const condition = inRange(set.key, { from: first.from, to: last.to })
  const table = sql`alter table ${quoted(name)}`
  return {
    add: {
      kind: 'short lock',
      key: `exclude:${display(name)}`,
      title: `add CHECK to ${display(name)} that excludes the range of the new partitions, NOT VALID`,
      because:
        'it is large, and would be read under the lock for each new partition; until they are there, such rows are rejected, so the range lies well ahead',
      locks: [exclusive(name)],
      cost: 'milliseconds: no row is read',
      quiet: name,
      acquire: [lockExclusively(name)],
      statements: [sql`${table} add constraint ${ident(EXCLUSION)} check (not (${condition})) not valid`.text],
    },
    validate: {
      kind: 'online',
      key: `validate:${display(name)}`,
      title: 'validate the CHECK',
      because: 'adding the partitions then reads nothing',
      locks: [{ table: name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: `reads ${display(name)} once`,
      statements: [sql`${table} validate constraint ${ident(EXCLUSION)}`.text],
    },
  }
}

/** Takes the CHECK away, which rejects rows for as long as their partitions are missing. */
export function dropExclusion(
  { name }: Pick<Partition, 'name'>,
  because: string,
  key: 'admit' | 'readmit',
): ShortLockStep {
  return {
    kind: 'short lock',
    key: `${key}:${display(name)}`,
    title: `drop the CHECK of ${display(name)}`,
    because,
    locks: [exclusive(name)],
    cost: 'milliseconds',
    quiet: name,
    acquire: [lockExclusively(name)],
    statements: [sql`alter table ${quoted(name)} drop constraint if exists ${ident(EXCLUSION)}`.text],
  }
}

/** The application waits while a DEFAULT partition is read for a new one, or other tables for references to rows of one that goes. */
export const BESIDE_DEFAULT_MS = 200

/** The DEFAULT partition of a set, and the locks with which another one is added beside it, in order. */
export function locksBeside(
  set: PartitionedTable,
): Pick<ShortLockStep, 'locks' | 'acquire' | 'quiet' | 'workTimeoutMs'> | null {
  const fallback = set.partitions.find(({ isDefault }) => isDefault)
  if (fallback === undefined) return null
  return {
    locks: [exclusive(set.name), exclusive(fallback.name)],
    // It receives rows, so an autovacuum is likely.
    quiet: fallback.kind === 'table' ? fallback.name : null,
    acquire: [
      sql`lock table only ${quoted(set.name)} in access exclusive mode`.text,
      ...(fallback.kind === 'foreign' ? [] : [lockExclusively(fallback.name)]),
    ],
    workTimeoutMs: BESIDE_DEFAULT_MS,
  }
}

/**
 * Moves the rows of a range into a new partition that is not attached yet, so that no trigger of the table fires there.
 * Those that fire for the deleted rows are switched off for the moment: to the application nothing is deleted.
 */
export function moveRows(
  { key }: PartitionedTable,
  { partition: { name }, exits }: DefaultPartition,
  leaf: TableName,
  range: TextRange,
): string[] {
  if (key === null) throw new Error('rows are moved by a key')
  const columns = join(exits.columns.map((column) => ident(column)))
  const alter = sql`alter table ${quoted(name)}`
  return [
    ...exits.triggers.map((trigger) => sql`${alter} disable trigger ${ident(trigger.name)}`.text),
    sql`with moved as (delete from ${quoted(name)} where ${inRange(key, range)} returning ${columns}) insert into ${quoted(leaf)} (${columns}) select ${columns} from moved`
      .text,
    // A deferred foreign key would otherwise look at the commit, and nothing can be altered until then.
    'set constraints all immediate',
    ...exits.triggers.map(
      (trigger) => sql`${alter} enable ${raw(STATE[trigger.enabled])}trigger ${ident(trigger.name)}`.text,
    ),
  ]
}

const STATE = { origin: '', always: 'always ', replica: 'replica ' } as const
