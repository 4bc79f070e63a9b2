import { Pace } from '../pacing/throttle.ts'
import type { TableName } from '../sql/names.ts'
import type { TableContext } from './table-context.ts'

/** Runs `work` with the pace of a run that changes these tables; the observer gets a summary. */
export async function withPace<T>(
  { target, holder, journalSchema, pacing, observer, signal }: TableContext,
  tables: readonly TableName[],
  work: (pace: Pace) => Promise<T>,
  leastRows = 1,
): Promise<T> {
  const pace = await Pace.open({ target, holder, journalSchema, tables, ...pacing, leastRows, observer, signal })
  try {
    return await work(pace)
  } finally {
    observer({ type: 'paced', pace: pace.summary() })
    await pace.close()
  }
}
