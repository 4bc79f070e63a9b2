import type { ClientBase } from 'pg'
import { sql } from '../sql/sql.ts'
import { readOne } from './query.ts'

/** The server's clock, in microseconds since the epoch: the only one used for decisions. */
export async function readClock(session: ClientBase): Promise<bigint> {
  const { now } = await readOne<{ now: string }>(
    session,
    sql`select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now`,
  )
  return BigInt(now)
}
