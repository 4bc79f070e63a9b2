import { lossExplained } from '../db/connection-error.ts'
import { EbbError, ObjectionsError } from '../errors.ts'
import type { Plan } from '../plan/language/step.ts'
import type { TableName } from '../sql/names.ts'

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

/** How a command ended for one of several tables. */
export type TableOutcome<Result> = { readonly table: TableName } & (
  | { readonly outcome: 'done'; readonly result: Result }
  /** By an earlier run, whose retired table is still kept. */
  | { readonly outcome: 'done before'; readonly runId: string }
  | { readonly outcome: 'refused'; readonly plan: Plan }
  | { readonly outcome: 'failed' | 'stopped'; readonly error: Error }
  | { readonly outcome: 'not begun' }
)

/** Does the work for each table until a stop is requested; what goes wrong with one table does not concern the others. */
export async function outcomeOfEach<Result>(
  tables: readonly TableName[],
  signal: AbortSignal,
  work: (table: TableName, position: number) => Promise<TableOutcome<Result>>,
): Promise<TableOutcome<Result>[]> {
  const isolated = (table: TableName) =>
    work(table, tables.indexOf(table)).catch((error: unknown) => wentWrong<Result>(table, error, signal))
  const items = await forEachTable(tables, signal, isolated, ({ outcome }) => outcome === 'stopped')
  const outcomes = items.flatMap((item) => ('result' in item ? [item.result] : []))
  const left = tables.slice(outcomes.length).map((table) => ({ table, outcome: 'not begun' as const }))
  return [...outcomes, ...left]
}

function wentWrong<Result>(table: TableName, error: unknown, { aborted }: AbortSignal): TableOutcome<Result> {
  if (error instanceof ObjectionsError) return { table, outcome: 'refused', plan: error.plan as Plan }
  const stopped = aborted || (error instanceof EbbError && error.kind === 'stopped')
  return { table, outcome: stopped ? 'stopped' : 'failed', error: asError(error) }
}

/** As an error to report: after a lost connection it can be retried. */
export function asError(error: unknown): Error {
  const known = lossExplained(error)
  return known instanceof Error ? known : new Error(String(known))
}
