import { setTimeout as sleep } from 'node:timers/promises'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { sql } from '../../sql/sql.ts'
import { cancelUntil, type TableContext } from '../table-context.ts'

const LOOK_EVERY_MS = 500
/** Others have waited that long when we give way; an autovacuum does it after `deadlock_timeout`, 1 s by default. */
const PATIENCE_MS = 500

type Working = Pick<TableContext, 'control' | 'pid' | 'signal'>

/**
 * Performs work that can be left undone, and cancels it when another session waits for its locks: whoever then asks for
 * the table waits behind that session, readers too. An autovacuum gives way by itself, a VACUUM or ANALYZE does not.
 *
 * @returns who it has given way to; null where the work is done
 */
export async function givingWay(context: Working, work: () => Promise<void>): Promise<string | null> {
  const done = new AbortController()
  const watching = cancelForOthers(context, done.signal)
  try {
    await work()
    return null
  } catch (error) {
    done.abort()
    const other = await watching
    if (other === null || context.signal.aborted || codeOf(error) !== SQLSTATE.queryCanceled) throw error
    return other
  } finally {
    done.abort()
    await watching
  }
}

/** Returns the session that it has cancelled the work for. */
async function cancelForOthers({ control, pid }: Working, done: AbortSignal): Promise<string | null> {
  try {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: done })
      const other = await firstWaiting(control, pid)
      if (other === null || done.aborted) continue
      await cancelUntil(done, control, pid)
      return other
    }
  } catch {
    // It is done; or nothing can be read any more, and then the work goes on as it would without us.
    return null
  }
}

async function firstWaiting(control: Session, pid: number): Promise<string | null> {
  const [first] = await readAll<{ who: string }>(
    control,
    sql`
    select format('pid %s (%s)', l.pid, coalesce(nullif(a.application_name, ''), 'no application name')) as who
    from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where not l.granted and l.waitstart < clock_timestamp() - ${PATIENCE_MS} * interval '1 ms' and ${pid} = any (pg_blocking_pids(l.pid))
    order by l.waitstart limit 1`,
  )
  return first?.who ?? null
}
