import type { ClientBase } from 'pg'
import { codeOf, SQLSTATE } from './sqlstate.ts'

/**
 * Runs queries in the open transaction, under settings, and undoes these and their own (`set local …`) in any case. After
 * an expected error the transaction remains usable.
 */
export async function takingBack<T>(
  session: ClientBase,
  ask: () => Promise<T>,
  settings: Readonly<Record<string, number>> = {},
): Promise<T> {
  // In one message: it is asked of one table after the other.
  const set = Object.entries(settings).map(([name, value]) => `set local ${name} = ${value}`)
  await session.query(['savepoint asking', ...set].join('; '))
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
    return await takingBack(session, ask, { statement_timeout: Math.max(1, Math.round(milliseconds)) })
  } catch (error) {
    if (![SQLSTATE.queryCanceled, ...codes].some((code) => code === codeOf(error))) throw error
    return 'unknown'
  }
}
