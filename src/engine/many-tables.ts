import { connectionLost } from '../db/session.ts'
import { isConnectionLost } from '../db/sqlstate.ts'

// The same for many tables, one after the other, with isolated failures.

/** A failed action. */
export interface Failure {
  /** `add partition public.events_2027_01`. */
  readonly what: string
  readonly error: Error
}

/** A table and its outcome. */
export type Item<Target, Result> =
  { readonly target: Target; readonly result: Result } | { readonly target: Target; readonly error: Error }

/** Does the work for each target, until a stop is requested, or a result says that it was. */
export async function forEachTable<Target, Result>(
  targets: readonly Target[],
  signal: AbortSignal,
  work: (target: Target) => Promise<Result>,
  isStopped: (result: Result) => boolean = () => false,
): Promise<Item<Target, Result>[]> {
  const items: Item<Target, Result>[] = []
  for (const target of targets) {
    if (signal.aborted) break
    const item = await work(target).then(
      (result) => ({ target, result }),
      (error: unknown) => ({ target, error: asError(error) }),
    )
    items.push(item)
    if ('result' in item && isStopped(item.result)) break
  }
  return items
}

/** As an error to report: after a lost connection it can be retried. */
export function asError(error: unknown): Error {
  const known = isConnectionLost(error) ? connectionLost(error) : error
  return known instanceof Error ? known : new Error(String(known))
}
