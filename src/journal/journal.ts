import type { ClientBase } from 'pg'
import { forAMoment } from '../db/for-a-moment.ts'
import { prepared, readAll, readAllPrepared, readOne } from '../db/query.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { ident, raw, sql, type Sql } from '../sql/sql.ts'
import { assertKnown, assertUsable } from './migrate.ts'
import { assertReadable } from './trust.ts'

// The journal of runs, in the database they run in. Functions take the session to write in, so that a step and its
// entry commit together.

/** The location of the journal. */
export const DEFAULT_SCHEMA = 'ebb'

export type RunStatus = 'running' | 'done' | 'abandoned' | 'rolled back'

export interface Run<Plan = unknown> {
  readonly id: string
  readonly command: string
  readonly table: TableName
  readonly request: unknown
  /** The plan for display, and a summary of what it creates. Its steps have no SQL. */
  readonly plan: Plan
  /** The format of plan and situation. */
  readonly format: number
  /** The basis of the plan; null once the run has ended. */
  readonly situation: unknown
  /** A digest of the steps the run was started with. */
  readonly digest: string | null
  /** The number of steps. */
  readonly stepCount: number | null
  /** Of a copy: its source table, and the name that has after the swap. */
  readonly retired: RetiredTable | null
  /** Of a copy under way: its new table. */
  readonly shadowOid: string | null
  readonly status: RunStatus
  readonly startedAt: Date
  readonly endedAt: Date | null
  readonly startedBy: string
  readonly outcome: unknown
  readonly lastError: string | null
}

/** The table retired by a copy. Another table may get its name: the oid identifies it. */
export interface RetiredTable {
  readonly oid: string
  readonly name: TableName
}

/** A run to be started; stored values are in JSON form. */
export interface NewRun extends Pick<Run, 'command' | 'table' | 'request' | 'plan' | 'format' | 'situation'> {
  readonly digest: string
  readonly stepCount: number
  readonly retired: RetiredTable | null
  /** How long the retired table is kept, as a PostgreSQL interval; null: until it is dropped by hand. */
  readonly retireAfter: string | null
  readonly version: string
}

/** Read from the row as JSON: a journal migrated by an earlier version lacks some columns. */
const later = (column: string) => `(to_jsonb(r) ->> '${column}')`

const RUN_COLUMNS = `id::text as id, command, json_build_object('schema', schema_name, 'name', table_name) as table, request, plan,
  coalesce(${later('format')}::int, 1) as format, to_jsonb(r) -> 'situation' as situation, ${later('digest')} as digest,
  ${later('steps')}::int as "stepCount",
  case when ${later('source_oid')} is not null then json_build_object('oid', ${later('source_oid')},
    'name', json_build_object('schema', ${later('retired_schema')}, 'name', ${later('retired_name')})) end as retired,
  ${later('shadow_oid')} as "shadowOid",
  status, started_at as "startedAt", ended_at as "endedAt", started_by as "startedBy", outcome, last_error as "lastError"`

/** Records a run before its first step. */
export async function startRun(session: ClientBase, schema: string, run: NewRun): Promise<string> {
  const { id } = await readOne<{ id: string }>(
    session,
    sql`
    insert into ${at(schema, 'run')} (command, schema_name, table_name, request, plan, ebb_version, format, situation, digest, steps,
      source_oid, retired_schema, retired_name, retire_after)
    values (${run.command}, ${run.table.schema}, ${run.table.name}, ${JSON.stringify(run.request)}, ${JSON.stringify(run.plan)}, ${run.version},
      ${run.format}, ${JSON.stringify(run.situation)}, ${run.digest}, ${run.stepCount},
      ${run.retired?.oid}, ${run.retired?.name.schema}, ${run.retired?.name.name}, ${run.retireAfter})
    returning id::text as id`,
  )
  return id
}

/** The latest run of a table; an unfinished one is always the latest, because no other can start. */
export async function latestRun<Plan>(
  session: ClientBase,
  schema: string,
  table: TableName,
  commands?: readonly string[],
): Promise<Run<Plan> | undefined> {
  const ofCommand = commands === undefined ? sql`true` : sql`command = any (${commands}::text[])`
  return (
    await findRuns<Plan>(
      session,
      schema,
      sql`schema_name = ${table.schema} and table_name = ${table.name} and ${ofCommand}`,
      1,
    )
  )[0]
}

/** The latest run of a table by one of these commands that has been neither rolled back nor abandoned. */
export async function latestInEffect(
  session: ClientBase,
  schema: string,
  table: TableName,
  commands: readonly string[],
): Promise<Run | undefined> {
  const of = sql`schema_name = ${table.schema} and table_name = ${table.name} and command = any (${commands}::text[])`
  return (await findRuns(session, schema, sql`${of} and status not in ('rolled back', 'abandoned')`, 1))[0]
}

export async function runById<Plan>(session: ClientBase, schema: string, id: string): Promise<Run<Plan> | undefined> {
  return (await findRuns<Plan>(session, schema, sql`id = ${id}`))[0]
}

/** Unfinished runs, and the latest of the finished ones. */
export async function recentRuns(session: ClientBase, schema: string): Promise<Run[]> {
  return findRuns(session, schema, sql`status = 'running' or started_at > now() - interval '30 days'`)
}

async function findRuns<Plan>(session: ClientBase, schema: string, condition: Sql, limit = 200): Promise<Run<Plan>[]> {
  return readAll<Run<Plan>>(
    session,
    // Not "order by id", which would be the output column, a text: 9 after 10.
    sql`select ${raw(RUN_COLUMNS)} from ${at(schema, 'run')} r where ${condition} order by status = 'running' desc, r.id desc limit ${limit}`,
  )
}

/** Whether a rollback of a run has been begun and given up: it may have written to the retired table. */
export async function abandonedRollbackOf(session: ClientBase, schema: string, id: string): Promise<boolean> {
  const found = await findRuns(
    session,
    schema,
    sql`command = 'rollback' and status = 'abandoned' and request ->> 'of' = ${id}`,
    1,
  )
  return found.length > 0
}

/** Ends a run. */
export async function endRun(
  session: ClientBase,
  schema: string,
  id: string,
  status: RunStatus,
  outcome: unknown,
): Promise<void> {
  await session.query(
    prepared(sql`
    update ${at(schema, 'run')} set status = ${status}, outcome = ${JSON.stringify(outcome)}, ended_at = clock_timestamp(), last_error = null,
      situation = null
    where id = ${id}`),
  )
}

/** Adds to the outcome of an unfinished run. */
export async function noteOutcome(session: ClientBase, schema: string, id: string, part: object): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'run')} set outcome = coalesce(outcome, '{}') || ${JSON.stringify(part)}::jsonb where id = ${id}`)
}

/** Records why a run stopped, or null when it is resumed; it stays unfinished. */
export async function noteError(
  session: ClientBase,
  schema: string,
  id: string,
  message: string | null,
): Promise<void> {
  await session.query(
    prepared(
      sql`update ${at(schema, 'run')} set last_error = ${message} where id = ${id} and last_error is distinct from ${message}`,
    ),
  )
}

/** The keys of the finished steps. */
export async function doneSteps(session: ClientBase, schema: string, id: string): Promise<Set<string>> {
  const rows = await readAllPrepared<{ key: string }>(
    session,
    sql`select key from ${at(schema, 'step')} where run_id = ${id}`,
  )
  return new Set(rows.map(({ key }) => key))
}

/**
 * Records a step, in the step's own transaction if it has one. `milliseconds` so far: under the lock of a swap the
 * entry is sent together with the work.
 */
export async function recordStep(
  session: ClientBase,
  schema: string,
  id: string,
  key: string,
  milliseconds: number,
): Promise<void> {
  await session.query(
    prepared(sql`
    insert into ${at(schema, 'step')} (run_id, key, milliseconds) values (${id}, ${key}, ${milliseconds}) on conflict do nothing`),
  )
}

/** Adds to a step that is done for how long its locks were held, and for how long others may have waited because of them. */
export async function recordLockTimes(
  session: ClientBase,
  schema: string,
  id: string,
  key: string,
  { heldMs, longestWaitCausedMs }: { readonly heldMs: number; readonly longestWaitCausedMs: number },
): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'step')} set held_ms = ${heldMs}, longest_wait_ms = ${longestWaitCausedMs} where run_id = ${id} and key = ${key}`)
}

/** Records the new table of a copy, in the transaction that creates it. */
export async function recordShadow(session: ClientBase, schema: string, id: string, shadow: TableName): Promise<void> {
  await session.query(
    prepared(sql`
    update ${at(schema, 'run')} set shadow_oid = ${quoted(shadow).text}::regclass where id = ${id}`),
  )
}

/** Deletes the entries of a run that has been undone, in the transaction that undoes the last of it. */
export async function forgetProgress(session: ClientBase, schema: string, id: string): Promise<void> {
  const run = sql`where run_id = ${id}`
  await session.query(sql`
    with steps as (delete from ${at(schema, 'step')} ${run}), chunks as (delete from ${at(schema, 'chunk')} ${run}),
      batches as (delete from ${at(schema, 'purge_batch')} ${run}), ranges as (delete from ${at(schema, 'purge_left')} ${run}),
      captures as (delete from ${at(schema, 'capture')} ${run} returning log_name)
    delete from ${at(schema, 'truncation')} where log_name in (select log_name from captures)`)
}

/** A qualified table of the journal. */
export function at(schema: string, table: string): Sql {
  return ident(schema, table)
}

/**
 * Whether there is a journal. To work with it, no other role may have been able to write to it; reading it executes
 * none of its contents.
 *
 * @throws {EbbError} when this role may not read it, it cannot be trusted, or it is of a newer version
 */
export async function journalExists(
  session: ClientBase,
  schema: string,
  to: 'work' | 'look' = 'work',
): Promise<boolean> {
  // That there is none is not remembered: it may be made any moment, by this session too.
  const exists = () => lookForJournal(session, schema, to).then((found) => found || undefined)
  return (await forAMoment(session, `journal ${schema} to ${to}`, exists)) ?? false
}

async function lookForJournal(session: ClientBase, schema: string, to: 'work' | 'look'): Promise<boolean> {
  const [run] = await readAll<{ readable: boolean; role: string; owner: string }>(
    session,
    sql`
    select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable, current_user::text as role,
      pg_get_userbyid(n.nspowner)::text as owner
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = 'run'`,
  )
  if (run === undefined) return false
  if (!run.readable) throw unreadable(schema, run, to)
  if (to === 'work') {
    await assertUsable(session, schema)
  } else {
    await assertReadable(session, schema)
    await assertKnown(session, schema)
  }
  return true
}

/** Whether there is a table that journals of earlier versions have not. That there is none is not remembered. */
export async function hasTable(session: ClientBase, schema: string, table: string): Promise<boolean> {
  const query = sql`select to_regclass(${at(schema, table).text}) is not null as there`
  const exists = async () => (await readOne<{ there: boolean }>(session, query)).there || undefined
  return (await forAMoment(session, `journal ${schema} has ${table}`, exists)) ?? false
}

function unreadable(
  schema: string,
  { role, owner }: { readonly role: string; readonly owner: string },
  to: 'work' | 'look',
): EbbError {
  const [place, us] = [ident(schema).text, ident(role).text]
  const read = `To read it: grant usage on schema ${place} to ${us}; grant select on all tables in schema ${place} to ${us};`
  return new EbbError(
    `the journal in schema ${schema} belongs to ${owner}, and ${role} may not read it`,
    {
      state: NOTHING_CHANGED,
      // Whoever only looks needs no more than to read.
      next:
        to === 'look'
          ? read
          : `${read} To run commands with it, which allows this role to act as any role that resumes a run: grant ${ident(owner).text} to ${us}; ` +
            'or use a separate journal with --journal-schema <name>.',
    },
    'objections',
  )
}
