import type { ClientBase } from 'pg'
import { forAMoment } from '../db/for-a-moment.ts'
import { takingBack } from '../db/savepoint.ts'
import { readAll } from '../db/query.ts'
import type { Session } from '../db/session.ts'
import { codeOf, SQLSTATE } from '../db/sqlstate.ts'
import { display, type TableName } from '../sql/names.ts'
import { ident, sql, type Sql } from '../sql/sql.ts'
import { citusQuestion, describeCitus, isLocal, type CitusTable } from './citus.ts'

/** Something else that creates or drops partitions of a table, or rows in bulk, or decides where they are. */
export interface Manager {
  readonly by: 'pg_partman' | 'TimescaleDB' | 'pg_cron' | 'Citus'
  /** Its own words for what it does: settings, or the command. */
  readonly says: string
  /** Of pg_partman: its schema, and how long it keeps rows. */
  readonly schema?: string
  readonly retention?: string | null
  /** Of TimescaleDB: what its functions for retention are called with. */
  readonly whole?: string
  /** Of Citus: how it stores the table. */
  readonly citus?: CitusTable
}

/** How Citus stores the table; undefined if it does not, or is not installed. */
export function citusOf(managers: readonly Manager[]): CitusTable | undefined {
  return managers.find(({ by }) => by === 'Citus')?.citus
}

/** What the catalogues of such extensions say of a table, as far as this role may read them. */
export async function readManagers(session: Session, table: TableName): Promise<Manager[]> {
  const found: Manager[] = []
  for (const { schema, relation } of await managersHere(session))
    if (relation === CITUS) found.push(...(await readCitusOf(session, table)))
    else found.push(...(await readIfAllowed<Manager>(session, QUESTIONS[relation]?.(schema, table))))
  return found
}

/** How Citus stores a table; null if it does not, or is not installed. No query if another table was looked at less than a second ago. */
export async function readCitus(session: ClientBase, table: TableName): Promise<CitusTable | null> {
  if (!(await managersHere(session)).some(({ relation }) => relation === CITUS)) return null
  return (await readIfAllowed<CitusTable>(session, citusQuestion(table)))[0] ?? null
}

async function readCitusOf(session: Session, table: TableName): Promise<Manager[]> {
  const citus = await readCitus(session, table)
  // Nobody but us stores it then.
  if (citus === null || (isLocal(citus) && !citus.columnar)) return []
  return [{ by: 'Citus', says: describeCitus(citus), citus }]
}

/** Where Citus says what it stores. */
const CITUS = 'pg_dist_partition'

function managersHere(session: ClientBase) {
  return forAMoment(session, 'catalogues of managers', () => readPlaces(session))
}

/** Where such extensions keep what they say; in most databases there is none. */
function readPlaces(session: ClientBase): Promise<{ readonly schema: string; readonly relation: string }[]> {
  return readAll(
    session,
    sql`
    select n.nspname as schema, c.relname as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname in ('part_config', 'hypertable', 'job', ${CITUS}) and ((c.relname = 'part_config' and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'partition_interval'))
      or (n.nspname = '_timescaledb_catalog' and c.relname = 'hypertable')
      or (n.nspname = 'pg_catalog' and c.relname = ${CITUS}) or (n.nspname = 'cron' and c.relname = 'job'))`,
  )
}

async function readIfAllowed<T extends object>(session: ClientBase, question: Sql | undefined): Promise<T[]> {
  if (question === undefined) return []
  try {
    return await takingBack(session, () => readAll<T>(session, question))
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
  // What a continuous aggregate keeps is a hypertable, too, under a name that nobody has chosen. A chunk was named by two columns until 2.30 or so, and is by its oid since.
  hypertable: (schema, table) => sql`
    with a as (select mat_hypertable_id as id, user_view_schema as schema, user_view_name as name from ${ident(schema, 'continuous_agg')}),
      h as (select h.id, h.schema_name as schema, h.table_name as name, a.name is not null as aggregate,
          format('%I.%I', coalesce(a.schema, h.schema_name), coalesce(a.name, h.table_name)) as whole
        from ${ident(schema, 'hypertable')} h left join a on a.id = h.id),
      known (kind, schema, name, whole, aggregate) as (
        select 'a hypertable', schema, name, whole, aggregate from h
        union all select 'a chunk', n.nspname, r.relname, h.whole, true from ${ident(schema, 'chunk')} c join h on h.id = c.hypertable_id
          join pg_class r on r.oid = coalesce(to_jsonb(c) ->> 'relid', format('%I.%I', to_jsonb(c) ->> 'schema_name', to_jsonb(c) ->> 'table_name'))::regclass join pg_namespace n on n.oid = r.relnamespace
          where r.relname = ${table.name}
        union all select 'a continuous aggregate', schema, name, format('%I.%I', schema, name), false from a)
    select 'TimescaleDB' as by, k.kind || case when k.aggregate then ' of ' || k.whole else '' end as says, k.whole
    from known k where k.schema = ${table.schema} and k.name = ${table.name} limit 1`,
  job: (schema, table) => sql`
    select 'pg_cron' as by, left(regexp_replace(j.command, '\\s+', ' ', 'g'), 120) as says from ${ident(schema, 'job')} j
    where j.active and j.command ~* ${REMOVES} and (j.command ~* ${word(table.name)} or j.command ~* ${word(display(table))})`,
}

function word(name: string): string {
  return `(^|\\W)${name.replaceAll(/[^\w]/g, '\\$&')}(\\W|$)`
}
