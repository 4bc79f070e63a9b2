import { inSnapshot, withSession, type Session, type Target } from '../../db/session.ts'
import { doneSteps, journalExists, recentRuns, type Run, type RunStatus } from '../../journal/journal.ts'
import { readFigures } from '../../journal/purges.ts'
import { registeredSets, type RegisteredSet } from '../../journal/sets.ts'
import type { TableName } from '../../sql/names.ts'
import type { EngineOptions } from '../options.ts'
import { known } from './known.ts'

/** What has been done in a database, and what is kept there. */
export interface StatusReport {
  readonly runs: readonly RunStatusLine[]
  readonly sets: readonly RegisteredSet[]
}

/** A run in short. */
export interface RunStatusLine {
  readonly id: string
  readonly command: string
  readonly table: TableName
  readonly status: RunStatus
  readonly startedAt: Date
  readonly endedAt: Date | null
  readonly stepsDone: number
  readonly steps: number
  readonly lastError: string | null
  /** Rows that a purge has deleted so far; null for other commands. */
  readonly purged: number | null
}

/** Unfinished and recent runs, and the sets that rotate keeps. */
export async function status(target: Target, options: EngineOptions): Promise<StatusReport> {
  return withSession(target, 'status', (session) =>
    inSnapshot(session, async () => {
      if (!(await journalExists(session, options.journalSchema))) return { runs: [], sets: [] }
      const sets = await registeredSets(session, options.journalSchema)
      const runs: RunStatusLine[] = []
      for (const run of await recentRuns(session, options.journalSchema))
        runs.push(await statusLine(session, options.journalSchema, run))
      return { runs, sets }
    }),
  )
}

async function statusLine(session: Session, schema: string, run: Run): Promise<RunStatusLine> {
  const { id, command, table, status, startedAt, endedAt, lastError } = run
  const done = await doneSteps(session, schema, id)
  return {
    id,
    command,
    table,
    status,
    startedAt,
    endedAt,
    lastError,
    stepsDone: done.size,
    steps: known(run).plan.steps.length,
    purged: command === 'purge' ? (await readFigures(session, schema, id)).rows : null,
  }
}
