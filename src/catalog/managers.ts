import { takingBack } from '../db/savepoint.ts'
import { readAll, type Session } from '../db/session.ts'
import { codeOf, SQLSTATE } from '../db/sqlstate.ts'
import { display, type TableName } from '../sql/names.ts'
import { ident, sql, type Sql } from '../sql/sql.ts'

/** Something else that creates or drops partitions of a table, or rows in bulk. */
export interface Manager {
  readonly by: 'pg_partman' | 'TimescaleDB' | 'pg_cron'
  /** Its own words for what it does: settings, or the command. */
  readonly says: string
  /** Of pg_partman: its schema, and how long it keeps rows. */
  readonly schema?: string
  readonly retention?: string | null
}

/** What the catalogues of such extensions say of a table, as far as this role may read them. */
export async function readManagers(session: Session, table: TableName): Promise<Manager[]> {
  const places = await readAll<{ schema: string; relation: string }>(
    session,
    sql`
    select n.nspname as schema, c.relname as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where (c.relname = 'part_config' and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'partition_interval'))
      or (n.nspname = '_timescaledb_catalog' and c.relname = 'hypertable') or (n.nspname = 'cron' and c.relname = 'job')`,
  )
  const found: Manager[] = []
  for (const { schema, relation } of places)
    found.push(...(await readIfAllowed(session, QUESTIONS[relation]?.(schema, table))))
  return found
}

async function readIfAllowed(session: Session, question: Sql | undefined): Promise<Manager[]> {
  if (question === undefined) return []
  try {
    return await takingBack(session, () => readAll<Manager>(session, question))
  } catch (error) {
    if (codeOf(error) === SQLSTATE.insufficientPrivilege) return []
    throw error
  }
}

/** Words of a job that makes or removes partitions, or rows. */
const REMOVES = '\\m(partition|detach|attach|drop|truncate|delete|run_maintenance)\\M'

const QUESTIONS: Readonly<Record<string, (schema: string, table: TableName) => Sql>> = {
  part_config: (schema, table) => sql`
    select 'pg_partman' as by, ${schema} as schema, p.retention as retention,
      format('interval %s, premake %s, retention %s', p.partition_interval, p.premake, coalesce(p.retention, 'none')) as says
    from ${ident(schema, 'part_config')} p where p.parent_table = ${`${table.schema}.${table.name}`}`,
  hypertable: (schema, { schema: of, name }) => sql`
    select 'TimescaleDB' as by, 'a hypertable' as says from ${ident(schema, 'hypertable')} h where h.schema_name = ${of} and h.table_name = ${name}`,
  job: (schema, table) => sql`
    select 'pg_cron' as by, left(regexp_replace(j.command, '\\s+', ' ', 'g'), 120) as says from ${ident(schema, 'job')} j
    where j.active and j.command ~* ${REMOVES} and (j.command ~* ${word(table.name)} or j.command ~* ${word(display(table))})`,
}

function word(name: string): string {
  return `(^|\\W)${name.replaceAll(/[^\w]/g, '\\$&')}(\\W|$)`
}
