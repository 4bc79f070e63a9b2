import type { Target } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { display, sameName } from '../../sql/names.ts'
import { retirable, type RetiredTable } from './retired.ts'
import type { EngineOptions } from '../options.ts'
import { forEachTable, type Failure } from '../many-tables.ts'
import { retire } from './runs.ts'

/** The retired tables that are due by the server's clock, of these tables or of all. */
export async function dueRetiredTables(
  target: Target,
  tables: readonly TableName[] | 'all',
  options: EngineOptions,
): Promise<RetiredTable[]> {
  const retired = await retirable(target, options)
  return retired.filter(({ due, table }) => due && (tables === 'all' || tables.some((name) => sameName(name, table))))
}

/** The dropped tables, and the failures. */
export interface Retirements {
  readonly dropped: readonly RetiredTable[]
  readonly failed: readonly Failure[]
}

/** Drops them one after the other, with isolated failures. */
export async function retireDue(
  target: Target,
  due: readonly RetiredTable[],
  options: EngineOptions,
): Promise<Retirements> {
  const items = await forEachTable(due, options.signal, ({ runId }) => retire(target, { runId }, options))
  return {
    dropped: items.flatMap((item) => ('result' in item ? [item.target] : [])),
    failed: items.flatMap((item) => ('error' in item ? [{ what: failing(item.target), error: item.error }] : [])),
  }
}

function failing({ table, retired }: RetiredTable): string {
  return retired === null ? `stop capturing changes of ${display(table)}` : `drop ${display(retired.name)}`
}
