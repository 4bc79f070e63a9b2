import type { ClientBase } from 'pg'
import { codeOf, SQLSTATE } from './sqlstate.ts'

/**
 * Runs queries in the open transaction and undoes their settings (`set local …`) in any case. After an expected error
 * the transaction remains usable.
 */
export async function takingBack<T>(session: ClientBase, ask: () => Promise<T>): Promise<T> {
  await session.query('savepoint asking')
  try {
    return await ask()
  } finally {
    await session.query('rollback to savepoint asking')
  }
}

/** The same with a time limit. `unknown` after that, and if the server fails with one of `codes`. */
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
