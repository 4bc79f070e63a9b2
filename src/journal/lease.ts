import type { ClientBase } from 'pg'
import { prepared, readAll } from '../db/query.ts'
import { isLockRefused } from '../db/sqlstate.ts'
import { EbbError } from '../errors.ts'
import { display, type TableName } from '../sql/names.ts'
import { join, raw, sql, type Sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// One run at a time per table, across processes and machines. A row that expires instead of an advisory lock, which a
// pooler may lose; a new holder gets the next token, and transactions of the previous holder check theirs (fencing).

/** The exclusive right to work on a table, and on others if the run is about several. */
export interface Lease extends LeasedTable {
  readonly others: readonly LeasedTable[]
  /** All sessions of the run have this application_name. */
  readonly holder: string
}

interface LeasedTable {
  readonly table: TableName
  readonly token: string
}

/** How long a lease is valid without renewal. */
const LEASE_SECONDS = 60

/** Whether a session of the holder exists, for rows of this table or alias. */
export function holderLives(of: 'lease' | 'pace'): Sql {
  return raw(
    `exists (select from pg_stat_activity a where a.application_name = ${of}.holder and a.datname = current_database())`,
  )
}

/**
 * Takes the lease of a table, and those of others, in the order of their names: of two runs over the same tables one gets all
 * of them. A lease is free if the sessions of its holder have ended, or if it has not been renewed for a minute.
 *
 * @throws {EbbError} when another run is running on one of them
 */
export async function takeLease(
  session: ClientBase,
  schema: string,
  table: TableName,
  holder: string,
  others: readonly TableName[] = [],
): Promise<Lease> {
  const held: LeasedTable[] = []
  try {
    for (const one of [table, ...others].toSorted(byName)) held.push(await takeOne(session, schema, one, holder))
  } catch (error) {
    for (const one of held) await releaseOne(session, schema, one).catch(() => {})
    throw error
  }
  const [first, ...rest] = [table, ...others].flatMap((name) => held.filter((one) => one.table === name))
  if (first === undefined) throw new Error('a lease is of a table')
  return { ...first, others: rest, holder }
}

function byName(a: TableName, b: TableName): number {
  const [one, other] = [JSON.stringify([a.schema, a.name]), JSON.stringify([b.schema, b.name])]
  return one < other ? -1 : 1
}

async function takeOne(session: ClientBase, schema: string, table: TableName, holder: string): Promise<LeasedTable> {
  const { rows } = await insertLease(session, schema, table, holder)
  const token = rows[0]?.token
  if (token === undefined) throw await leaseHeld(session, schema, table)
  return { table, token }
}

/** No row if another run holds it, or if its row is locked, because then its holder is active. */
async function insertLease(session: ClientBase, schema: string, table: TableName, holder: string) {
  return session
    .query<{ token: string }>(
      sql`
    insert into ${at(schema, 'lease')} as lease (schema_name, table_name, token, holder, backend_pid, expires_at)
    values (${table.schema}, ${table.name}, 1, ${holder}, pg_backend_pid(), clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}))
    on conflict (schema_name, table_name) do update
      set token = lease.token + 1, holder = excluded.holder, backend_pid = excluded.backend_pid, expires_at = excluded.expires_at
      where lease.expires_at < clock_timestamp()
        or not ${holderLives('lease')}
    returning token::text as token`,
    )
    .catch((error: unknown) => {
      if (!isLockRefused(error)) throw error
      return { rows: [] }
    })
}

/** Renews the lease; each in a statement of its own, which waits for no other. */
export async function renewLease(session: ClientBase, schema: string, lease: Lease): Promise<void> {
  for (const one of all(lease))
    await session.query(
      prepared(sql`
      update ${at(schema, 'lease')} set expires_at = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}) where ${is(one)}`),
    )
}

/**
 * To be called in every transaction that changes something: keeps the lease until the commit, or fails if another run
 * has taken it over.
 */
export async function assertLease(session: ClientBase, schema: string, lease: Lease): Promise<void> {
  const leased = all(lease)
  const { rowCount } = await session.query(
    prepared(sql`
    select from ${at(schema, 'lease')} where ${join(leased.map(is), ' or ')} for share`),
  )
  if (rowCount === leased.length) return
  throw new EbbError(
    `another run has taken over ${leased.map(({ table }) => display(table)).join(' or ')} while this one did not renew its lease`,
    {
      state: 'This run stopped before its next change.',
      next: 'See the other run: ebb status.',
    },
  )
}

/** Releases the lease. The rows stay, so that tokens always increase. */
export async function releaseLease(session: ClientBase, schema: string, lease: Lease): Promise<void> {
  for (const one of all(lease)) await releaseOne(session, schema, one)
}

async function releaseOne(session: ClientBase, schema: string, leased: LeasedTable): Promise<void> {
  await session.query(
    prepared(sql`update ${at(schema, 'lease')} set expires_at = clock_timestamp() where ${is(leased)}`),
  )
}

function all(lease: Lease): readonly LeasedTable[] {
  return [lease, ...lease.others]
}

function is({ table, token }: LeasedTable): Sql {
  return sql`(schema_name = ${table.schema} and table_name = ${table.name} and token = ${token})`
}

/** The tables with a running run. */
export async function tablesAtWork(session: ClientBase, schema: string): Promise<TableName[]> {
  const { rows } = await session.query<TableName>(sql`
    select schema_name as schema, table_name as name from ${at(schema, 'lease')} lease
    where lease.expires_at > clock_timestamp() and ${holderLives('lease')}`)
  return rows
}

/** `ebb partition 3f2a1c (backend 4711)`, whether it still runs or not. */
export async function leaseHolder(session: ClientBase, schema: string, table: TableName): Promise<string | null> {
  const { rows } = await session.query<{ holder: string; backend_pid: number }>(sql`
    select holder, backend_pid from ${at(schema, 'lease')} where schema_name = ${table.schema} and table_name = ${table.name}`)
  return rows[0] === undefined ? null : `${rows[0].holder} (backend ${rows[0].backend_pid})`
}

/** Who works on a table. */
export interface Running {
  readonly holder: string
  readonly runId: string | null
  readonly backendPid: number
  /** Null where it is on the machine of the server, or may not be seen. */
  readonly host: string | null
  readonly since: Date | null
}

/** The run that is running on a table now; null where there is none. */
export async function readRunning(session: ClientBase, schema: string, table: TableName): Promise<Running | null> {
  const [row = null] = await readAll<Running>(
    session,
    sql`
    select lease.holder, lease.backend_pid as "backendPid", s.host, s.since,
      (select max(r.id)::text from ${at(schema, 'run')} r
        where r.schema_name = lease.schema_name and r.table_name = lease.table_name and r.status = 'running') as "runId"
    from ${at(schema, 'lease')} lease,
      lateral (select max(host(a.client_addr)) as host, min(a.backend_start) as since from pg_stat_activity a
        where a.application_name = lease.holder and a.datname = current_database()) s
    where lease.schema_name = ${table.schema} and lease.table_name = ${table.name}
      and lease.expires_at > clock_timestamp() and ${holderLives('lease')}`,
  )
  return row
}

/** `ebb purge 3f2a1c (run 7, from 10.1.2.3, backend 4711, since 2026-11-29 10:21:05 UTC)`. */
export function describeRunning({ holder, runId, backendPid, host, since }: Running): string {
  const facts = [
    ...(runId === null ? [] : [`run ${runId}`]),
    ...(host === null ? [] : [`from ${host}`]),
    `backend ${backendPid}`,
    ...(since === null ? [] : [`since ${since.toISOString().slice(0, 19).replace('T', ' ')} UTC`]),
  ]
  return `${holder} (${facts.join(', ')})`
}

/** Another run works on the table, or has changed it since it was looked at. Nothing has been done. */
export class TableBusyError extends EbbError {
  override readonly name = 'TableBusyError'

  constructor(message: string, advice: EbbError['advice']) {
    super(message, advice, 'try later')
  }
}

async function leaseHeld(session: ClientBase, schema: string, table: TableName): Promise<TableBusyError> {
  const who = (await leaseHolder(session, schema, table)) ?? 'another run'
  return new TableBusyError(`${who} is running on ${display(table)}`, {
    state: 'This command has changed nothing.',
    next: 'Wait until it has finished (ebb status, or --wait), or stop it and run this command again.',
  })
}
