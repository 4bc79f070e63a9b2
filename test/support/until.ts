import type { ClientBase } from 'pg'
import { setTimeout } from 'node:timers/promises'

const POLL_MS = 10
/** What is bound to come may take long where the machine has much else to do: tests wait for states, not for times. */
export const PATIENCE_MS = 300_000

export interface Patience {
  /** Five minutes by default. */
  readonly timeoutMs?: number
  /** What is waited for, as the failure should call it. */
  readonly what?: string
}

/** Comes back with the first truthy answer. Throws when there is none in time. */
export async function until<T>(condition: () => T | Promise<T>, patience: Patience = {}): Promise<T> {
  const { timeoutMs = PATIENCE_MS, what = condition.toString() } = patience
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const answer = await condition()
    if (answer) return answer
    if (performance.now() >= deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`)
    await setTimeout(POLL_MS)
  }
}

/** Whether a session of that name, in the observer's database, waits for a lock. */
export async function isWaiting(observer: ClientBase, applicationName: string): Promise<boolean> {
  const { rowCount } = await observer.query(
    `select from pg_stat_activity
     where datname = current_database()
       and application_name = $1
       and exists (select from pg_locks where pg_locks.pid = pg_stat_activity.pid and not granted)`,
    [applicationName],
  )
  return rowCount !== 0
}
