import { readKeyColumns } from './key-columns.ts'
import { readLeafFacts, type LeafModel } from '../../../catalog/partitions/purge-leaves.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { readAll } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { UsageError } from '../../../errors.ts'
import { journalExists } from '../../../journal/journal.ts'
import { setById, type StoredSet } from '../../../journal/candidates.ts'
import { SET_COLUMNS } from '../../../plan/purge/candidate-sql.ts'
import type { CandidateSet } from '../../../plan/purge/candidate-set.ts'
import type { CandidateRows } from '../../../plan/purge/request.ts'
import type { KeyWalkColumn } from '../../../plan/purge/work.ts'
import { quoted, sameName, type TableName } from '../../../sql/names.ts'
import { ident, sql } from '../../../sql/sql.ts'

/**
 * A set that the journal knows.
 *
 * @throws {UsageError} when there is none of that number
 */
export async function readSet(session: Session, schema: string, id: string): Promise<StoredSet> {
  const set = (await journalExists(session, schema)) ? await setById(session, schema, id) : undefined
  if (set === undefined) throw new UsageError(`there is no candidate set ${id}`, 'See ebb candidates.')
  return set
}

/** A set as a purge of the table wants to use it, in the snapshot that is open. */
export async function readSetFor(
  session: Session,
  schema: string,
  choice: CandidateRows,
  table: TableModel,
): Promise<CandidateSet> {
  const set = await readSet(session, schema, choice.set)
  const key = await readKeyColumns(session, table)
  const keyChanged = shapeOf(key) !== shapeOf(set.key)
  return {
    ...set,
    key: keyChanged || key === null ? set.key : key,
    approvedBy: choice.approvedBy ?? set.approvedBy,
    ticket: choice.ticket ?? set.ticket,
    keyChanged,
  }
}

function shapeOf(key: readonly KeyWalkColumn[] | null): string {
  return JSON.stringify(key?.map(({ name, type }) => [name, type]))
}

/** Those leaves of the set that are still the table's; the candidates of others are no more. */
export async function readLeavesOfSet(session: Session, set: CandidateSet): Promise<LeafModel[]> {
  if (set.rows === null) return []
  const present = await presentLeaves(session, set.table)
  const names = set.leaves.filter((name) => present.some((other) => sameName(name, other)))
  const facts = await readLeafFacts(session, names)
  const counts = await readAll<{ leaf: number; rows: number }>(
    session,
    sql`select ${ident(SET_COLUMNS.leaf)} as leaf, count(*)::float8 as rows from ${quoted(set.place)} group by 1`,
  )
  return facts.map((fact) => ({
    ...fact,
    indexes: fact.indexes.map((index) => ({ ...index, coversMatches: true })),
    matching: counts.find(({ leaf }) => sameName(set.leaves[leaf] ?? set.table, fact.name))?.rows ?? 0,
    plannedIndex: null,
  }))
}

async function presentLeaves(session: Session, table: TableName): Promise<TableName[]> {
  return readAll<TableName>(
    session,
    sql`
    with recursive below (oid) as (
      select ${quoted(table).text}::regclass::oid
      union select i.inhrelid from pg_inherits i join below on i.inhparent = below.oid where not i.inhdetachpending)
    select n.nspname as schema, c.relname as name
    from below join pg_class c on c.oid = below.oid join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'`,
  )
}
