import type { ClientBase } from 'pg'
import { codeOf, SQLSTATE } from './sqlstate.ts'

/**
 * Asks something in the transaction that is open and takes back what was set for
 * it (`set local …`), whatever came of it. An error that was foreseen leaves the
 * transaction usable.
 */
export async function takingBack<T>(session: ClientBase, ask: () => Promise<T>): Promise<T> {
  await session.query('savepoint asking')
  try {
    return await ask()
  } finally {
    await session.query('rollback to savepoint asking')
  }
}

/** The same for so many milliseconds at most. `unknown` after that, and where the server answers with one of `codes`. */
export async function within<T>(
  session: ClientBase,
  milliseconds: number,
  ask: () => Promise<T>,
  codes: readonly string[] = [],
): Promise<T | 'unknown'> {
  try {
    return await takingBack(session, async () => {
      await session.query(`set local statement_timeout = ${Math.max(1, Math.round(milliseconds))}`)
      return ask()
    })
  } catch (error) {
    if (![SQLSTATE.queryCanceled, ...codes].some((code) => code === codeOf(error))) throw error
    return 'unknown'
  }
}
