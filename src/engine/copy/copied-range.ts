import { explained, type PlanNode } from '../../catalog/explain.ts'
import { NEVER_NULL } from '../../catalog/table/json-parts.ts'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { underSettings } from '../../db/settings.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { kept } from './chunk.ts'
import type { WalkColumn } from './key-walk.ts'

/** How PostgreSQL would read the kept rows. */
export interface Reach {
  /** The leading column of the index it would use; null if it would scan the table, or the index cannot divide it. */
  readonly column: WalkColumn | null
  /** Kept rows, by the planner's estimate. */
  readonly rows: number
}

/**
 * Asks the planner, in the open transaction; no row is read.
 *
 * @param mostRows in a range
 */
export async function readReach(session: Session, work: CopyWork, mostRows: number): Promise<Reach> {
  // A chunk is read by a single process, so an index is compared with that.
  await session.query('set local max_parallel_workers_per_gather = 0')
  const plan = await planned(session, work, raw('true'))
  const index = plan === undefined ? undefined : indexOf(plan)
  const column = index === undefined ? null : await leadingColumn(session, work, index)
  const rows = plan?.['Plan Rows'] ?? 0
  const crowded = column !== null && rows > mostRows && (await isCrowded(session, work, column, mostRows))
  return { column: crowded ? null : column, rows }
}

async function planned(session: Session, work: CopyWork, which: Sql): Promise<PlanNode | undefined> {
  const query = sql`select ${raw(work.columns)} from ${quoted(work.source)} s where ${kept(work)} and ${which}`
  const [first] = await underSettings(session, work.settings, () => explained(session, query))
  return first?.Plan
}

/**
 * Whether a single value may have more kept rows than a range should hold, for example `status = 'open'`: it would be
 * one chunk, and one long transaction.
 */
async function isCrowded(session: Session, work: CopyWork, column: WalkColumn, mostRows: number): Promise<boolean> {
  const { source } = work
  const common = await readAll<{ value: string }>(
    session,
    sql`
    select v.value from pg_stats s
    join pg_class c on c.oid = ${quoted(source).text}::regclass and s.inherited = (c.relkind = 'p'),
    unnest(s.most_common_vals::text::text[], s.most_common_freqs) v (value, share)
    where s.schemaname = ${source.schema} and s.tablename = ${source.name} and s.attname = ${column.name} and v.share * c.reltuples > ${mostRows}`,
  )
  // Lets the planner detect that a condition excludes a value.
  await session.query('set local constraint_exclusion = on')
  for (const { value } of common) {
    const plan = await planned(
      session,
      work,
      sql`s.${ident(column.name)} ${own('=')} ${literal(value)}::${raw(column.type)}`,
    )
    if (plan?.['One-Time Filter'] !== 'false') return true
  }
  return false
}

function indexOf(plan: PlanNode): string | undefined {
  const node = plan['Node Type'] === 'Bitmap Heap Scan' ? plan.Plans?.[0] : plan
  return node?.['Index Name']
}

/**
 * Only a not-null column with the default order of its type, whose values survive conversion to text: then ranges of
 * its values contain every row exactly once.
 */
async function leadingColumn(session: Session, work: CopyWork, index: string): Promise<WalkColumn | null> {
  const [column] = await readAll<{ name: string; type: string }>(
    session,
    sql`
    select a.attname::text as name, format_type(a.atttypid, null) as type
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    join pg_opclass o on o.oid = i.indclass[0]
    where i.indrelid = ${quoted(work.source).text}::regclass and c.relname = ${index} and m.amname = 'btree'
      and ${raw(NEVER_NULL)} and o.opcdefault and i.indcollation[0] = a.attcollation
      and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'uuid'::regtype, 'text'::regtype,
        'varchar'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)`,
  )
  return column ?? null
}
