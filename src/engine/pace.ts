import { Pace, type PaceOptions } from '../pacing/throttle.ts'
import type { TableName } from '../sql/names.ts'
import type { RunContext, TableContext } from './table-context.ts'

/** Runs `work` with the pace of a run that changes these tables; the observer gets a summary. */
export async function withPace<T>(
  { target, holder, journalSchema, runId = null, pacing, observer, signal }: MaybeRun,
  tables: readonly TableName[],
  work: (pace: Pace) => Promise<T>,
  bounds: Pick<PaceOptions, 'leastRows' | 'mostRows' | 'onWorkers'> = {},
): Promise<T> {
  const pace = await Pace.open({ target, holder, journalSchema, runId, tables, ...pacing, ...bounds, observer, signal })
  try {
    return await work(pace)
  } finally {
    observer({ type: 'paced', pace: pace.summary() })
    await pace.close()
  }
}

/** A rotation has no run. */
type MaybeRun = TableContext & { readonly runId?: RunContext['runId'] | null }
