import type { EngineOptions } from '../../src/engine/options.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import type { Event } from '../../src/events.ts'
import type { TableName } from '../../src/sql/names.ts'
import { rebuildRequest } from './rebuilding.ts'
import type { Database } from './database.ts'
import { quietly, written } from './tool.ts'
import { rebuild } from './commands.ts'

/** A rebuild that was stopped at an event, so that a test can act in its midst, and that can be taken up again. */
export interface StoppedRebuild {
  readonly shadow: TableName
  /** Takes it up; it ends as it ends. */
  readonly goOn: () => Promise<{ readonly runId: string; readonly events: readonly Event[] }>
}

export async function stoppedRebuild(
  database: Database,
  table: TableName,
  at: (event: Event) => boolean,
  request: Partial<RebuildRequest> = {},
  options: Partial<EngineOptions> = {},
): Promise<StoppedRebuild> {
  const stop = new AbortController()
  const observer = (event: Event) => void (at(event) && stop.abort())
  const run = (how: Partial<EngineOptions>) => {
    const all = quietly({ ...options, ...how })
    const result = rebuild(database.url, written(table), rebuildRequest(request), all)
    return result.then(({ runId }) => ({ runId, events: all.events }))
  }
  const stopped = await run({ signal: stop.signal, observer }).then(
    () => false,
    (error: unknown) => {
      if (stop.signal.aborted) return true
      throw error
    },
  )
  if (!stopped) throw new Error('the rebuild has come to its end')
  const { rows } = await database.admin<{ name: string }>(
    `select plan #>> '{rebuild,shadow,name}' as name from ebb.run order by id desc limit 1`,
  )
  return { shadow: { schema: table.schema, name: rows[0]?.name ?? '' }, goOn: () => run({}) }
}

/** Before a step. */
export function beforeStep(key: string): (event: Event) => boolean {
  return (event) => event.type === 'step started' && event.step.key === key
}
