import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import type { TableContext } from '../table-context.ts'

/**
 * In a deadlock the one whose time runs out first gives up, and that should be
 * us. Needs a right that ordinary roles lack; without it
 * short lock time-outs do nearly as well.
 */
const DEADLOCK_MS = 20

/**
 * What the session has to write of the table's pages, because it needs their place in memory, goes to the disk at once, instead of by
 * gigabytes when the kernel has enough of them: the commits of others would wait for those.
 */
const FLUSH_AFTER = '512kB'

/** The session as a purge wants it, for as long as `work` takes: it has the session to itself. */
export async function withPurgeSettings<T>({ session }: TableContext, work: () => Promise<T>): Promise<T> {
  const victim = await session.query(`set deadlock_timeout = ${DEADLOCK_MS}`).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) !== SQLSTATE.insufficientPrivilege) throw error
      return false
    },
  )
  // Only a help for others: a server that refuses it is purged all the same.
  await session.query(`set backend_flush_after = '${FLUSH_AFTER}'`).catch(() => {})
  try {
    return await work()
  } finally {
    // When the connection is lost there is nothing to set back, and the first error tells why.
    await session.query('reset backend_flush_after').catch(() => {})
    if (victim) await session.query('reset deadlock_timeout').catch(() => {})
  }
}
