import type { Session } from '../../db/session.ts'
import type { PurgeWork, Watched, WatchedTable } from '../../plan/purge-work.ts'
import { putBack, putUnder, type ConditionSettings } from '../../sql/condition-settings.ts'
import { display } from '../../sql/names.ts'
import { join, literal, sql, type Sql } from '../../sql/sql.ts'

// PostgreSQL's own count of what a transaction has deleted and updated, table by
// table, with what foreign keys and triggers did by themselves. It is the guard
// where a constraint would not refuse but take rows along: a row of a protected
// table that appeared after the batch had looked, by ON DELETE CASCADE; or a row
// of the table itself that nobody chose. Such a batch is rolled back and tried
// again, and sees the row then. What triggers and foreign keys have put off until
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
export function watchedBy({ table, oid, entourage }: PurgeWork): Watched {
  return entourage.watched ?? { root: { oid, name: table, protected: false }, others: [] }
}

/** Reads the count at the beginning of a transaction. There may be no savepoint until the end: what one undid is counted, too. */
export async function countBefore(session: Session, watched: Watched): Promise<ChangeCount> {
  return countOf(await session.query<CountRow>(countStatement(watched).text))
}

/** Has everything done that was put off until the commit, under the user's `settings`, and reads the count once more. */
export async function countAfter(
  session: Session,
  watched: Watched,
  settings: ConditionSettings,
): Promise<ChangeCount> {
  const statements = [
    ...putUnder(settings),
    'set constraints all immediate',
    ...putBack(settings),
    countStatement(watched).text,
  ]
  // Several statements in one message have a result each.
  const results = (await session.query(statements.join(';\n'))) as unknown as readonly {
    readonly rows: readonly CountRow[]
  }[]
  return countOf(results.at(-1) ?? { rows: [] })
}

interface CountRow extends Changes {
  readonly oid: string
}

function countOf({ rows }: { readonly rows: readonly CountRow[] }): ChangeCount {
  return new Map(rows.map(({ oid, deleted, updated }) => [oid, { deleted, updated }]))
}

/** Without parameters, which several statements at once cannot have. */
function countStatement({ root, others }: Watched): Sql {
  const oids = join([root, ...others].map(({ oid }) => sql`${literal(oid)}::oid`))
  return sql`
    select o.oid::text, sum(pg_stat_get_xact_tuples_deleted(m.relid))::float8 as deleted,
      sum(pg_stat_get_xact_tuples_updated(m.relid))::float8 as updated
    from unnest(array[${oids}]) o (oid), lateral (select o.oid as relid union select relid from pg_partition_tree(o.oid)) m
    group by o.oid`
}

/** How many rows of the table itself a batch has deleted, or marked. */
export interface Chosen {
  readonly deed: 'delete' | 'mark'
  readonly gone: number
}

/**
 * What happened between two readings.
 *
 * @throws {OverreachError} when it must not be committed
 */
export function changesBetween(
  { root, others }: Watched,
  before: ChangeCount,
  after: ChangeCount,
  { deed, gone }: Chosen,
): Around {
  const { deleted, updated } = difference(root, before, after)
  // Marking a row deletes it where the mark decides in which partition it is.
  const strangers = (deed === 'delete' ? deleted : deleted + updated) - gone
  if (strangers > 0)
    throw new OverreachError(
      `${strangers} more rows of ${display(root.name)} would ${deed === 'delete' ? 'go' : 'be changed'} than were chosen`,
    )
  const changed = others
    .map((table) => ({ table, ...difference(table, before, after) }))
    .filter(({ deleted, updated }) => deleted > 0 || updated > 0)
  const touched = changed.find(({ table }) => table.protected)
  if (touched !== undefined)
    throw new OverreachError(`rows of ${display(touched.table.name)} would be touched, which is protected`)
  return Object.fromEntries(changed.map(({ table, deleted, updated }) => [display(table.name), { deleted, updated }]))
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
