import type { Target } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { display, sameName } from '../../sql/names.ts'
import { retirable, type FormerTable } from './retired.ts'
import type { EngineOptions } from '../options.ts'
import { asError, type Failure } from '../rotate/set.ts'
import { retire } from './runs.ts'

/** The former tables whose time has come by the server's clock, of these tables or of all. */
export async function dueFormerTables(
  target: Target,
  tables: readonly TableName[] | 'all',
  options: Pick<EngineOptions, 'journalSchema'>,
): Promise<FormerTable[]> {
  const former = await retirable(target, options)
  return former.filter(({ due, table }) => due && (tables === 'all' || tables.some((name) => sameName(name, table))))
}

/** What has been let go, and what could not be. */
export interface LettingGo {
  readonly gone: readonly FormerTable[]
  readonly failed: readonly Failure[]
}

/** Lets them go, one after the other; each stands for itself. */
export async function retireDue(
  target: Target,
  due: readonly FormerTable[],
  options: EngineOptions,
): Promise<LettingGo> {
  const gone: FormerTable[] = []
  const failed: Failure[] = []
  for (const one of due) {
    if (options.signal.aborted) break
    try {
      await retire(target, { runId: one.runId }, options)
      gone.push(one)
    } catch (error) {
      failed.push({ what: `let go of ${display(one.former.name)}`, error: asError(error) })
    }
  }
  return { gone, failed }
}
