import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { at } from '../../journal/journal.ts'
import type { Capture } from '../../plan/copy/capture.ts'
import type { TableName } from '../../sql/names.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'

// What finished copies keep for a rollback, found by what it is. The journal has oids and names, and neither lasts: a
// dump that is restored gives everything other oids, and people rename, move and drop tables. So:
//
//   - the captured table is the one with the capture's trigger, which calls the capture's function, whatever it is called;
//   - the retired table has the oid and the name that were recorded. With another name it is trusted while the trigger
//     still is the recorded one. With another oid it is trusted where the trigger has another one, too, which only
//     happens in a restored database, and where it has the columns of the captured table.
//
// Any other table of that name belongs to a user, and is left alone.

/** What is still there of a finished copy. */
export interface LeftBehind {
  readonly runId: string
  readonly command: string
  /** The table that has taken the name, as the journal knows it. */
  readonly table: TableName
  /** What the retired table was called then. */
  readonly recorded: TableName
  /** Where the retired table is now; null where it has been dropped. */
  readonly retired: TableName | null
  readonly retiredOid: string | null
  /** The table whose changes are captured for it, as it is called now; null where nothing is captured any more. */
  readonly captured: TableName | null
  /** It no longer has the recorded name, or is in another schema: the user who renamed it may want to keep it. */
  readonly renamed: boolean
  /** The name that was recorded belongs to another table now. */
  readonly nameTaken: boolean
  /** The database has been restored from a dump since. */
  readonly restored: boolean
  readonly since: Date
  /** When `rotate` drops the retired table; null where that was not asked for. */
  readonly goesAt: Date | null
  /** Whether that time has come, by the server's clock; never for one that was renamed. */
  readonly due: boolean
}

/** Of all finished copies that still keep something, the oldest first; or of one run. */
export async function readLeftBehind(
  session: Session,
  schema: string,
  runId: string | null = null,
): Promise<LeftBehind[]> {
  const whose = runId === null ? sql`true` : sql`r.id = ${runId}`
  return readAll<LeftBehind>(
    session,
    sql`
    select r.id::text as "runId", r.command, ${NAME(raw('r.schema_name'), raw('r.table_name'))} as table,
      ${NAME(raw('l.retired_schema'), raw('l.retired_name'))} as recorded, k.name as retired, k.oid::text as "retiredOid", b.name as captured, k.oid is not null and k.oid is distinct from x.oid as renamed,
      k.oid is null and x.oid is not null as "nameTaken",
      coalesce(not b.recorded, false) as restored, r.ended_at as since, r.ended_at + l.retire_after as "goesAt",
      coalesce(r.ended_at + l.retire_after <= clock_timestamp(), false)
        and (k.oid is null or k.oid is not distinct from x.oid) as due
    from ${at(schema, 'run')} r
    -- A journal that an earlier version has brought up to date last has none of these columns.
    cross join lateral jsonb_to_record(to_jsonb(r)) l (source_oid oid, retired_schema text, retired_name text, retire_after interval)
    left join lateral (${backCapture(schema)}) b on true
    left join lateral (select c.oid, ${NAME(raw('n.nspname'), raw('c.relname'))} as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = l.retired_schema and c.relname = l.retired_name and c.relkind = 'r') x on true
    left join lateral (select c.oid, ${NAME(raw('n.nspname'), raw('c.relname'))} as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and c.oid is distinct from b.oid and case
        when b.recorded then c.oid = l.source_oid
        when b.recorded is null then c.oid = l.source_oid and c.oid = x.oid
        else c.oid = x.oid and not exists (${columnsOf('x')} except ${columnsOf('b')}) end) k on true
    where r.status = 'done' and l.retired_name is not null and ${whose}
      and (k.name is not null or b.oid is not null or exists (
        select from ${at(schema, 'capture')} s join pg_class g on g.relname = s.log_name
        where s.run_id = r.id and ${BACK} and g.relnamespace = ${namespace(schema)}))
    order by r.id`,
  )
}

const NAME = (schema: Sql, name: Sql) => sql`json_build_object('schema', ${schema}, 'name', ${name})`

const namespace = (schema: string) => sql`(select oid from pg_namespace where nspname = ${schema})`

const BACK = raw(`s.log_name like '%\\_back\\_log'`)

const columnsOf = (table: string) =>
  raw(
    `select attname, atttypid, atttypmod from pg_attribute where attrelid = ${table}.oid and attnum > 0 and not attisdropped`,
  )

/**
 * The table that the capture of run `r` is on, by either of its triggers; `recorded`: the one that catches rows is the one
 * that the journal has written down. Null where that is gone.
 */
function backCapture(schema: string): Sql {
  return sql`select c.oid, ${NAME(raw('n.nspname'), raw('c.relname'))} as name,
      case when t.tgname = f.proname then t.oid = s.trigger_oid end as recorded
    from ${at(schema, 'capture')} s join pg_proc f on f.proname = replace(s.log_name, '_log', '_capture')
        and f.pronamespace = ${namespace(schema)}
      join pg_trigger t on t.tgfoid = f.oid and t.tgparentid = 0
      join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where s.run_id = r.id and ${BACK} order by t.tgname = f.proname desc limit 1`
}

/** The table that a capture is on, as it is called now; null where its triggers are gone. */
export async function capturedTable(session: ClientBase, capture: Capture): Promise<TableName | null> {
  const { function: place, trigger, truncateTrigger } = capture
  const [table] = await readAll<TableName>(
    session,
    sql`
    select n.nspname as schema, c.relname as name
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
      join pg_proc f on f.oid = t.tgfoid join pg_namespace s on s.oid = f.pronamespace
    where t.tgname in (${trigger}, ${truncateTrigger}) and t.tgparentid = 0
      and f.proname = ${place.name} and s.nspname = ${place.schema}
    order by t.tgname limit 1`,
  )
  return table ?? null
}
