import type { Session } from '../../db/session.ts'
import type { PurgeWork, Watched, WatchedTable } from '../../plan/purge/work.ts'
import { putBack, putUnder, type ConditionSettings } from '../../sql/condition-settings.ts'
import { display } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

// PostgreSQL's own count of what a transaction has deleted and updated, table by
// table, with what foreign keys and triggers did by themselves. It is the guard
// where a constraint would not refuse but take rows along: a row of a protected
// table that appeared after the batch had looked, by ON DELETE CASCADE; or a row
// of the table itself that the batch did not select. Such a batch is rolled back and tried
// again, and sees the row then. Where rows are archived first, no row of any of these tables may go but those that the
// batch has deleted itself. What triggers and foreign keys have put off until
// the commit is done before the second reading: after the commit nothing could
// be undone.

/** Rows deleted and updated so far, by oid of the table. Only the difference within one transaction means anything. */
export type ChangeCount = ReadonlyMap<string, Changes>

export interface Changes {
  readonly deleted: number
  readonly updated: number
}

/** What one batch did to the tables around, by their names as shown; without those in which nothing changed. */
export type Around = Readonly<Record<string, Changes>>

/** The table itself, and those around it. Triggers may come at any time, so there is no batch without a guard. */
export function watchedBy({ table, oid, dependents }: PurgeWork): Watched {
  return dependents.watched ?? { root: { oid, name: table, protected: false }, others: [] }
}

/** Has everything done that was put off until the commit, under the user's `settings`. */
export async function doDeferred(session: Session, settings: ConditionSettings): Promise<void> {
  await session.query([...putUnder(settings), 'set constraints all immediate', ...putBack(settings)].join('; '))
}

/**
 * Reads the count. Once at the beginning of a transaction and once before it
 * commits, with no savepoint in between: what one undid is counted, too.
 */
export async function countChanges(session: Session, { root, others }: Watched): Promise<ChangeCount> {
  const { text, values } = sql`
    select o.oid::text, sum(pg_stat_get_xact_tuples_deleted(m.relid))::float8 as deleted,
      sum(pg_stat_get_xact_tuples_updated(m.relid))::float8 as updated
    from unnest(${[root, ...others].map(({ oid }) => oid)}::oid[]) o (oid), lateral (select o.oid as relid union select relid from pg_partition_tree(o.oid)) m
    group by o.oid`
  // Named, for planning takes longer than execution, and each batch asks twice.
  const { rows } = await session.query<Changes & { oid: string }>({ name: 'ebb changes', text, values })
  return new Map(rows.map(({ oid, deleted, updated }) => [oid, { deleted, updated }]))
}

/** How many rows of the table itself a batch has deleted, or marked. */
export interface Chosen {
  readonly action: 'delete' | 'mark'
  readonly gone: number
  /** Some that were to go are still there. */
  readonly kept?: boolean
  /** What it has deleted of the tables around, by its own count. */
  readonly around?: Around
}

/**
 * What happened between two readings.
 *
 * @throws {OverreachError} when it must not be committed
 */
export function changesBetween(
  { root, others, exact }: Watched,
  before: ChangeCount,
  after: ChangeCount,
  { action, gone, kept = false, around = {} }: Chosen,
): Around {
  const { deleted, updated } = difference(root, before, after)
  // Marking a row deletes it where the mark decides in which partition it is.
  const strangers = (action === 'delete' ? deleted : deleted + updated) - gone
  if (strangers > 0)
    throw new OverreachError(
      `${strangers} more rows of ${display(root.name)} would ${action === 'delete' ? 'go' : 'be changed'} than were chosen`,
    )
  // It may have changed them so that they match no more, or are met again elsewhere.
  if (kept && action === 'delete' && updated > 0)
    throw new OverreachError('a trigger keeps them, and changes rows of the table instead of letting them go')
  const changed = others
    .map((table) => ({ table, ...difference(table, before, after) }))
    .filter(({ deleted, updated }) => deleted > 0 || updated > 0)
  const touched = changed.find(({ table }) => table.protected)
  if (touched !== undefined)
    throw new OverreachError(`rows of ${display(touched.table.name)} would be touched, which is protected`)
  const unarchived = others.find((one) => deletedOf(changed, one) !== (around[display(one.name)]?.deleted ?? 0))
  if (exact === true && (unarchived !== undefined || deleted < gone))
    throw new OverreachError(`rows of ${display((unarchived ?? root).name)} would go that are not counted as archived`)
  return Object.fromEntries(changed.map(({ table, deleted, updated }) => [display(table.name), { deleted, updated }]))
}

function deletedOf(changed: readonly (Changes & { readonly table: WatchedTable })[], { oid }: WatchedTable): number {
  return changed.find(({ table }) => table.oid === oid)?.deleted ?? 0
}

/** A batch would do more than it was meant to, by a foreign key or a trigger. It is rolled back. */
export class OverreachError extends Error {
  override readonly name = 'OverreachError'
}

function difference({ oid }: WatchedTable, before: ChangeCount, after: ChangeCount): Changes {
  const [first, last] = [before.get(oid), after.get(oid)]
  return {
    deleted: (last?.deleted ?? 0) - (first?.deleted ?? 0),
    updated: (last?.updated ?? 0) - (first?.updated ?? 0),
  }
}
