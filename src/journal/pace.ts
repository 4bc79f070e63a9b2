import type { ClientBase } from 'pg'
import { prepared, readOnePrepared } from '../db/query.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'
import { holderLives } from './lease.ts'

// The other runs with the same journal, so that they can share the pace. Not a lease: being wrong for some seconds
// costs a little speed, never correctness. Rows of dead runs expire.

/** How long a run counts after its last heartbeat; one whose sessions have ended does not count. */
const ALIVE_SECONDS = 10

/** Writes a heartbeat, and returns the number of other runs that are not waiting. */
export async function beatPace(session: ClientBase, schema: string, holder: string, waiting: boolean): Promise<number> {
  const { others } = await readOnePrepared<{ others: number }>(
    session,
    sql`
    with beat as (
      insert into ${at(schema, 'pace')} (holder, waiting, beat_at) values (${holder}, ${waiting}, clock_timestamp())
      on conflict (holder) do update set waiting = excluded.waiting, beat_at = excluded.beat_at
    )
    select count(*)::int as others from ${at(schema, 'pace')} pace
    where holder <> ${holder} and not waiting and ${holderLives('pace')}
      and beat_at > clock_timestamp() - make_interval(secs => ${ALIVE_SECONDS})`,
  )
  return others
}

/** Deletes the row of this run, and those of dead runs. */
export async function leavePace(session: ClientBase, schema: string, holder: string): Promise<void> {
  await session.query(
    prepared(sql`
    delete from ${at(schema, 'pace')}
    where holder = ${holder} or beat_at < clock_timestamp() - interval '1 hour'`),
  )
}
