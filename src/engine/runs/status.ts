import { inSnapshot, withSession, type Session, type Target } from '../../db/session.ts'
import { displayPosition } from '../../grid/key.ts'
import { doneSteps, journalExists, recentRuns, type Run, type RunStatus } from '../../journal/journal.ts'
import { tablesAtWork } from '../../journal/lease.ts'
import { readFigures } from '../../journal/purges.ts'
import { registeredSets, type RegisteredSet } from '../../journal/sets.ts'
import { actionText } from '../../plan/purge/action-sql.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import type { EngineOptions } from '../options.ts'
import { conversionOf, known, type KnownRun } from './known.ts'
import { FORMAT } from '../stored-plan.ts'

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
  /** Where a conversion has stopped before its swap: the key from which on rows are refused until it goes on or is abandoned. */
  readonly refusesFrom: string | null
  /** It is unfinished, and somebody is at work on its table right now. */
  readonly atWork: boolean
  /** What has been done batch by batch so far: rows deleted, marked, or written down; null for other commands. */
  readonly rows: number | null
}

/** Unfinished and recent runs, and the sets that rotate keeps. */
export async function status(target: Target, options: EngineOptions): Promise<StatusReport> {
  return withSession(target, 'status', (session) =>
    inSnapshot(session, async () => {
      if (!(await journalExists(session, options.journalSchema, 'look'))) return { runs: [], sets: [] }
      const sets = await registeredSets(session, options.journalSchema)
      const busy = await tablesAtWork(session, options.journalSchema)
      const runs: RunStatusLine[] = []
      for (const run of await recentRuns(session, options.journalSchema))
        runs.push(await statusLine(session, options.journalSchema, run, busy))
      return { runs, sets }
    }),
  )
}

async function statusLine(
  session: Session,
  schema: string,
  run: Run,
  busy: readonly TableName[],
): Promise<RunStatusLine> {
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
    refusesFrom: refusedFrom(known(run), done),
    stepsDone: done.size,
    steps: run.stepCount ?? done.size,
    atWork: status === 'running' && busy.some((one) => sameName(one, table)),
    rows: actionText(command) === undefined ? null : (await readFigures(session, schema, id)).rows,
  }
}

/** The bound, while the CHECK that proves it is there. */
function refusedFrom(run: KnownRun, done: ReadonlySet<string>): string | null {
  if (
    run.command !== 'partition' ||
    run.format !== FORMAT ||
    run.status !== 'running' ||
    !done.has('guard') ||
    done.has('swap')
  )
    return null
  const { kind, at, timezone } = conversionOf(run).bound
  return displayPosition(kind, at, timezone)
}
