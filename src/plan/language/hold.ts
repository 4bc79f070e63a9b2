import { parseBounds } from '../../catalog/partitions/bounds.ts'
import { overlap, type Span } from '../../grid/gaps.ts'
import { fromText, type KeyKind } from '../../grid/key.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { Objection } from './step.ts'

/** Rows that no command removes before a date: they were restored, or the policy of the table says so. */
export interface Hold {
  readonly table: TableName
  /** Of the partition that they were in, as PostgreSQL prints them; null: rows anywhere in the table. */
  readonly bounds: string | null
  readonly until: Date
  /** The run that has restored them; null if the journal has it no more. */
  readonly runId: string | null
  /** Of a policy: why, or an empty text. */
  readonly reason?: string | null
}

/** A hold on a table, or on one that it is a partition of (`above`) or that is a partition of it (`below`). */
export interface HoldAround extends Hold {
  readonly where: 'itself' | 'above' | 'below'
  /** The partition of the table that it is on, or on a part of; null where it is on none. */
  readonly partition: TableName | null
}

/** Rows may have come back into other partitions than theirs; those without bounds may be in any. */
export function concernsRange({ bounds }: Hold, range: Span | null, kind: KeyKind): boolean {
  const held = bounds === null ? null : spanOfBounds(kind, bounds)
  return held === null || range === null || overlap(held, range)
}

/** Why rows of the table are not removed now. */
export function holdObjections(holds: readonly Hold[]): Objection[] {
  const [last] = holds.toSorted((a, b) => b.until.getTime() - a.until.getTime())
  if (last === undefined) return []
  return [
    {
      code: 'hold',
      what: `${heldRows(last)} of ${display(last.table)} are on hold ${heldText(last)}`,
      fix: 'Wait until then; or remove rows all the same: --accept hold',
      acceptable: true,
    },
  ]
}

/** What is on hold, in words. */
export function heldRows({ reason = null }: Pick<Hold, 'reason'>): string {
  return reason === null ? 'restored rows' : 'all rows'
}

/** `until 2026-12-29 (restored by run 7)`, `until 2027-01-01 (by its policy: an audit)`. */
export function heldText({ until, runId, reason = null }: Hold): string {
  const day = until.toISOString().slice(0, 10)
  if (reason !== null) return `until ${day} (by its policy${reason === '' ? '' : `: ${reason}`})`
  return `until ${day}${runId === null ? '' : ` (restored by run ${runId})`}`
}

/** The range of bounds as PostgreSQL prints them; null where they are none. */
export function spanOfBounds(kind: KeyKind, text: string): Span | null {
  const bounds = parseBounds(text)
  if (bounds?.kind !== 'range') return null
  const position = (end: string | null) => (end === null ? null : fromText(kind, end))
  return { from: position(bounds.from), to: position(bounds.to) }
}
