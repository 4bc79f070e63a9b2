import type { ClientBase } from 'pg'
import { readAll } from '../db/session.ts'
import type { Cascade } from '../plan/cascade.ts'
import { sql } from '../sql/sql.ts'
import type { GraphTable } from '../catalog/reference-graph.ts'
import { display, type TableName } from '../sql/names.ts'

// PostgreSQL's own count of what a transaction has deleted and updated, table by
// table, with what foreign keys and triggers did by themselves. It is the guard
// where a constraint would not refuse but take rows along: a row of a protected
// table that appeared after the batch had looked, by ON DELETE CASCADE; or a row
// of the root that nobody chose. Such a batch is rolled back and tried again, and
// sees the row then.

/** Rows deleted and updated so far, by oid of the table. Only the difference within one transaction means anything. */
export type Tally = ReadonlyMap<string, Changes>

export interface Changes {
  readonly deleted: number
  readonly updated: number
}

/** What one batch did to one of the tables around. */
export interface TableChanges extends Changes {
  readonly table: TableName
}

/**
 * Reads the count for all tables of the cascade. Once at the beginning of a transaction and once before it
 * commits, with no savepoint in between: what one undid is counted, too.
 */
export async function readTally(session: ClientBase, cascade: Cascade): Promise<Tally> {
  const oids = tablesOf(cascade).map(({ oid }) => oid)
  const rows = await readAll<Changes & { oid: string }>(
    session,
    sql`
    select o.oid::text, sum(pg_stat_get_xact_tuples_deleted(m.relid))::float8 as deleted,
      sum(pg_stat_get_xact_tuples_updated(m.relid))::float8 as updated
    from unnest(${oids}::oid[]) o (oid), lateral (select o.oid as relid union select relid from pg_partition_tree(o.oid)) m
    group by o.oid`,
  )
  return new Map(rows.map(({ oid, deleted, updated }) => [oid, { deleted, updated }]))
}

/** What happened between two readings, and why it must not be committed, where it must not. */
export interface Judgement {
  /** Of the tables around the root, those in which something was changed. */
  readonly changes: readonly TableChanges[]
  readonly breach: string | null
}

/** @param gone rows of the root that the batch itself has deleted */
export function judgeTally(cascade: Cascade, before: Tally, after: Tally, gone: number): Judgement {
  const changed = tablesOf(cascade)
    .map((table) => ({ table, ...difference(before.get(table.oid), after.get(table.oid)) }))
    .filter(({ deleted, updated }) => deleted > 0 || updated > 0)
  return {
    changes: changed
      .filter(({ table }) => table.oid !== cascade.root.oid)
      .map(({ table, deleted, updated }) => ({ table: table.name, deleted, updated })),
    breach: findBreach(cascade, changed, gone),
  }
}

function findBreach(
  cascade: Cascade,
  changed: readonly (Changes & { table: GraphTable })[],
  gone: number,
): string | null {
  for (const { table, deleted } of changed) {
    const name = display(table.name)
    if (cascade.protected.some(({ oid }) => oid === table.oid))
      return `rows of ${name} would have been touched, which is protected`
    if (table.oid === cascade.root.oid && deleted > gone)
      return `${deleted - gone} more rows of ${name} would have gone than were chosen, by a foreign key or a trigger`
  }
  return null
}

function difference(before: Changes | undefined, after: Changes | undefined): Changes {
  return {
    deleted: (after?.deleted ?? 0) - (before?.deleted ?? 0),
    updated: (after?.updated ?? 0) - (before?.updated ?? 0),
  }
}

function tablesOf({ root, walked }: Cascade): GraphTable[] {
  const tables = [root, ...walked.map(({ from }) => from)]
  return tables.filter((table, position) => tables.findIndex(({ oid }) => oid === table.oid) === position)
}
