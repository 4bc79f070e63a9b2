import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import type { TableContext } from '../table-context.ts'

/**
 * In a deadlock the one whose time runs out first gives up, and that should be
 * us. Needs a right that ordinary roles lack; without it
 * short lock time-outs do nearly as well.
 */
const DEADLOCK_MS = 20

/** The session as a purge wants it, for as long as `work` takes: it has the session to itself. */
export async function withPurgeSettings<T>({ session }: TableContext, work: () => Promise<T>): Promise<T> {
  const victim = await session.query(`set deadlock_timeout = ${DEADLOCK_MS}`).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) !== SQLSTATE.insufficientPrivilege) throw error
      return false
    },
  )
  try {
    return await work()
  } finally {
    // When the connection is lost there is nothing to set back, and the first error tells why.
    if (victim) await session.query('reset deadlock_timeout').catch(() => {})
  }
}
