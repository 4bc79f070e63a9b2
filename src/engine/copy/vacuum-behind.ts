import { setTimeout as sleep } from 'node:timers/promises'
import { backendPid } from '../../db/pooler.ts'
import { withSession, type Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { cancelUntil, type TableContext } from '../table-context.ts'

/** A rest between two vacuums is at least so long, and some times what the last one took: each looks at the whole visibility map. */
const REST_MS = 1300
const REST_TIMES = 4

/** What is needed of a workplace. */
export type VacuumPlace = Pick<TableContext, 'target' | 'holder' | 'control' | 'signal'>

/**
 * Vacuums the shadow in a session of its own while `work` fills it: what came a
 * moment ago is still in memory, and the vacuum before the swap finds only the
 * end of the table left. Nothing rests on it: where there is no session to be
 * had, or a vacuum fails, the later one does it all.
 *
 * @param filled how much of it there is: while the work pauses there is nothing to vacuum
 */
export async function withVacuumBehind(
  place: VacuumPlace,
  shadow: TableName,
  filled: () => number,
  work: () => Promise<void>,
): Promise<void> {
  const done = new AbortController()
  const vacuuming = vacuumBehind(place, shadow, filled, AbortSignal.any([done.signal, place.signal])).catch(() => {})
  try {
    await work()
  } finally {
    done.abort()
    await vacuuming
  }
}

async function vacuumBehind(
  place: VacuumPlace,
  shadow: TableName,
  filled: () => number,
  ended: AbortSignal,
): Promise<void> {
  await sleep(REST_MS, undefined, { signal: ended })
  await withSession(place.target, place.holder, async (session) => {
    const pid = await backendPid(session)
    for (let before = 0, now = filled(); !ended.aborted; before = now, now = filled()) {
      const began = performance.now()
      if (now > before) await vacuum(shadow, session, pid, place.control, ended)
      await sleep(Math.max(REST_MS, REST_TIMES * (performance.now() - began)), undefined, { signal: ended })
    }
  })
}

/** One that is under way at the end is cancelled: nobody is to wait for it, and pages that it has seen need no other. */
async function vacuum(
  shadow: TableName,
  session: Session,
  pid: number,
  control: Session,
  ended: AbortSignal,
): Promise<void> {
  const done = new AbortController()
  const cancel = () => void cancelUntil(done.signal, control, pid)
  ended.addEventListener('abort', cancel)
  try {
    await session.query(sql`vacuum (parallel 0, truncate false, skip_locked) ${quoted(shadow)}`)
  } finally {
    ended.removeEventListener('abort', cancel)
    done.abort()
  }
}
