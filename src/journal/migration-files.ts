import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import type { Session } from '../db/session.ts'
import { inTransaction } from '../db/transaction.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at, type RunStatus } from './journal.ts'
import { assertLease, type Lease } from './lease.ts'

/** Up, or back down. */
export type Direction = 'up' | 'down'

/** A migration file that has been begun. */
export interface MigrationRecord {
  readonly name: string
  /** Of the latest attempt. */
  readonly direction: Direction
  readonly begunAt: Date
  /** Null while it is applied in part. */
  readonly appliedAt: Date | null
  readonly lastError: string | null
  /** In order. */
  readonly calls: readonly MigrationCall[]
}

/** What a migration has called. */
export interface MigrationCall {
  readonly direction: Direction
  readonly position: number
  readonly command: string
  /** As the migration names it. */
  readonly table: string
  /** Of its options. */
  readonly digest: string
  readonly runId: string | null
  readonly status: RunStatus | null
  readonly ended: boolean
}

/** Where it is recorded. */
export interface MigrationJournal {
  readonly session: Session
  readonly schema: string
  readonly lease: Lease
}

/** The table whose lease is held while migrations run. */
export function migrationTable(schema: string): TableName {
  return { schema, name: 'migration_file' }
}

/** All that have been begun; none in a journal without such a table. */
export async function readMigrations(session: ClientBase, schema: string): Promise<MigrationRecord[]> {
  const [table] = await readAll(
    session,
    sql`select from pg_tables where schemaname = ${schema} and tablename = 'migration_call'`,
  )
  if (table === undefined) return []
  return readAll<MigrationRecord>(
    session,
    sql`
    select name, direction, begun_at as "begunAt", applied_at as "appliedAt", last_error as "lastError",
      (select coalesce(json_agg(json_build_object('direction', c.direction, 'position', c.position, 'command', c.command,
          'table', c.table_name, 'digest', c.digest, 'runId', c.run_id::text, 'status', r.status, 'ended', c.ended_at is not null)
          order by c.position), '[]')
        from ${at(schema, 'migration_call')} c left join ${at(schema, 'run')} r on r.id = c.run_id where c.name = f.name) as calls
    from ${at(schema, 'migration_file')} f order by applied_at nulls last, name`,
  )
}

/** Before the first statement of a migration. */
export function beginMigration(journal: MigrationJournal, name: string, direction: Direction): Promise<void> {
  return record(
    journal,
    sql`
    insert into ${at(journal.schema, 'migration_file')} as f (name, direction) values (${name}, ${direction})
    on conflict (name) do update set direction = excluded.direction, last_error = null`,
  )
}

/** It is applied as a whole. In the transaction of the session, if there is one. */
export async function markApplied({ session, schema, lease }: MigrationJournal, name: string): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'migration_file')} as f (name, direction, applied_at) values (${name}, 'up', clock_timestamp())
    on conflict (name) do update set direction = 'up', applied_at = coalesce(f.applied_at, clock_timestamp()), last_error = null`)
  await assertLease(session, schema, lease)
}

/** It is undone as a whole. In the transaction of the session, if there is one. */
export async function forgetMigration({ session, schema, lease }: MigrationJournal, name: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'migration_file')} where name = ${name}`)
  await assertLease(session, schema, lease)
}

export function noteMigrationError(journal: MigrationJournal, name: string, message: string): Promise<void> {
  return record(
    journal,
    sql`update ${at(journal.schema, 'migration_file')} set last_error = ${message} where name = ${name}`,
  )
}

/** Which call of a migration. */
export interface CallPlace {
  readonly name: string
  readonly direction: Direction
  readonly position: number
}

export function beginCall(
  journal: MigrationJournal,
  { name, direction, position }: CallPlace,
  { command, table, digest }: Pick<MigrationCall, 'command' | 'table' | 'digest'>,
): Promise<void> {
  return record(
    journal,
    sql`
    insert into ${at(journal.schema, 'migration_call')} (name, direction, position, command, table_name, digest)
    values (${name}, ${direction}, ${position}, ${command}, ${table}, ${digest})
    on conflict (name, direction, position) do update
      set command = excluded.command, table_name = excluded.table_name, digest = excluded.digest, run_id = null, ended_at = null`,
  )
}

/** Which run a call has begun. */
export function noteCallRun(journal: MigrationJournal, place: CallPlace, runId: string | null): Promise<void> {
  return record(
    journal,
    sql`update ${at(journal.schema, 'migration_call')} set run_id = ${runId} where ${ofCall(place)}`,
  )
}

export function endCall(journal: MigrationJournal, place: CallPlace): Promise<void> {
  return record(
    journal,
    sql`update ${at(journal.schema, 'migration_call')} set ended_at = clock_timestamp() where ${ofCall(place)}`,
  )
}

function ofCall({ name, direction, position }: CallPlace) {
  return sql`name = ${name} and direction = ${direction} and position = ${position}`
}

function record({ session, schema, lease }: MigrationJournal, statement: ReturnType<typeof sql>): Promise<void> {
  return inTransaction(session, {}, async () => {
    await session.query(statement)
    await assertLease(session, schema, lease)
  })
}
