import { readServer, type ServerModel } from '../../catalog/server-model.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { doneSteps, journalExists, latestRun, recentRuns, runById, type Run } from '../../journal/journal.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { EngineOptions } from '../options.ts'

/** A run by its number, or the latest of a table, or (null) the only unfinished one. */
export type RunChoice = { readonly runId: string } | { readonly table: TableName } | null

export interface FoundRun {
  readonly server: ServerModel
  readonly run: Run
  /** Keys of the steps that are done. */
  readonly done: ReadonlySet<string>
}

/** The run that is meant, as `chooseRun` says, with what is needed to work on it. */
export async function findRun(
  target: Target,
  choice: RunChoice,
  { journalSchema }: Pick<EngineOptions, 'journalSchema'>,
  commands?: readonly string[],
): Promise<FoundRun> {
  return withSession(target, 'find run', async (session) => {
    const server = await readServer(session, journalSchema)
    const run = await chooseRun(session, journalSchema, choice, commands)
    return { server, run, done: await doneSteps(session, journalSchema, run.id) }
  })
}

/**
 * The run that is meant. Where none is named it is the only unfinished one, or
 * with `commands` the only finished one of these.
 *
 * @throws {UsageError} when there is none, or more than one
 */
export async function chooseRun(
  session: Session,
  schema: string,
  choice: RunChoice,
  commands?: readonly string[],
): Promise<Run> {
  const run = (await journalExists(session, schema)) ? await lookUp(session, schema, choice, commands) : undefined
  if (run === undefined) throw noRun(choice)
  return run
}

async function lookUp(
  session: Session,
  schema: string,
  choice: RunChoice,
  commands?: readonly string[],
): Promise<Run | undefined> {
  if (choice !== null && 'runId' in choice) return runById(session, schema, choice.runId)
  if (choice !== null) return latestRun(session, schema, choice.table, commands)
  const candidates = (await recentRuns(session, schema)).filter((run) =>
    commands === undefined ? run.status === 'running' : commands.includes(run.command) && run.status === 'done',
  )
  if (candidates.length > 1)
    throw new UsageError(
      `there are ${candidates.length} such runs: ${candidates.map((run) => `${run.id} (${run.command} ${display(run.table)})`).join(', ')}`,
      'Name one by its number.',
    )
  return candidates[0]
}

/** @throws {UsageError} for a run that has come to its end, or has been abandoned */
export function assertUnfinished({ id, status }: Run): void {
  if (status === 'running') return
  throw new UsageError(`run ${id} is ${status}, so there is nothing to go on with`, 'See ebb status.')
}

function noRun(choice: RunChoice): UsageError {
  const which =
    choice === null
      ? 'no unfinished run'
      : 'runId' in choice
        ? `no run ${choice.runId}`
        : `no run on ${display(choice.table)}`
  return new UsageError(`there is ${which}`, 'See ebb status.')
}
