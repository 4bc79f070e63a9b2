import type { ClientBase } from 'pg'
import { readOne } from '../db/session.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'
import { holderLives } from './lease.ts'

// Who else is at work by the same journal, so that runs can share the pace. No
// lease: to be wrong for some seconds costs a little speed, never correctness.
// Rows of runs that have died lapse by themselves.

/** How long a run counts after its last sign of life; one whose sessions have ended does not count at all. */
const ALIVE_SECONDS = 10

/** Gives a sign of life, and returns how many other runs are not waiting at this moment. */
export async function beatPace(session: ClientBase, schema: string, holder: string, waiting: boolean): Promise<number> {
  const { others } = await readOne<{ others: number }>(
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

/** Leaves, and clears away the rows of runs that never did. */
export async function leavePace(session: ClientBase, schema: string, holder: string): Promise<void> {
  await session.query(sql`
    delete from ${at(schema, 'pace')}
    where holder = ${holder} or beat_at < clock_timestamp() - interval '1 hour'`)
}
