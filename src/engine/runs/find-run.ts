import { readServer, type ServerModel } from '../../catalog/server-model.ts'
import type { Session, Target } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import {
  doneSteps,
  journalExists,
  latestInEffect,
  latestRun,
  recentRuns,
  runById,
  type Run,
} from '../../journal/journal.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { readLeftBehind } from './left-behind.ts'

/** A run by its number, or the latest of a table, or (null) the only one there is. */
export type RunChoice = { readonly runId: string } | { readonly table: TableName } | null

export interface FoundRun {
  readonly server: ServerModel
  readonly run: Run
  /** Keys of the steps that are done. */
  readonly done: ReadonlySet<string>
}

/** The run selected by `chooseRun`, with what is needed to work on it. */
export async function findRun(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
  commands?: readonly string[],
): Promise<FoundRun> {
  const { journalSchema } = options
  return readPatiently(target, 'find run', options, async (session) => {
    const server = await readServer(session, journalSchema)
    const run = await chooseRun(session, journalSchema, choice, commands)
    return { server, run, done: await doneSteps(session, journalSchema, run.id) }
  })
}

/**
 * The selected run: by default the only unfinished one, or with `commands` the only finished one of these that can be
 * rolled back.
 *
 * @throws {UsageError} if there is none, or more than one
 */
export async function chooseRun(
  session: Session,
  schema: string,
  choice: RunChoice,
  commands?: readonly string[],
): Promise<Run> {
  const run = (await journalExists(session, schema)) ? await lookUp(session, schema, choice, commands) : undefined
  if (run === undefined) throw noRun(choice, commands)
  return run
}

async function lookUp(
  session: Session,
  schema: string,
  choice: RunChoice,
  commands?: readonly string[],
): Promise<Run | undefined> {
  if (choice !== null && 'runId' in choice) return runById(session, schema, choice.runId)
  if (choice !== null) return latestOf(session, schema, choice.table, commands)
  const recent = await recentRuns(session, schema)
  const candidates =
    commands === undefined
      ? recent.filter(({ status }) => status === 'running')
      : await reversible(
          session,
          schema,
          recent.filter(({ command, status }) => commands.includes(command) && status === 'done'),
        )
  if (candidates.length > 1)
    throw new UsageError(
      `there are ${candidates.length} such runs: ${candidates.map((run) => `${run.id} (${run.command} ${display(run.table)})`).join(', ')}`,
      'Pass the number of one.',
    )
  return candidates[0]
}

/** With `commands` the latest that can be rolled back, unless that is being done: then the one that it undoes. */
async function latestOf(
  session: Session,
  schema: string,
  table: TableName,
  commands: readonly string[] | undefined,
): Promise<Run | undefined> {
  const latest = await latestRun(session, schema, table, commands)
  const isOver = latest?.status === 'rolled back' || latest?.status === 'abandoned'
  if (commands === undefined || !isOver) return latest
  if ((await latestRun(session, schema, table))?.status === 'running') return latest
  return (await latestInEffect(session, schema, table, commands)) ?? latest
}

/** Of each table only the latest run can be rolled back, and a copy only until its retired table is dropped. */
async function reversible(session: Session, schema: string, newestFirst: readonly Run[]): Promise<Run[]> {
  const left = await readLeftBehind(session, schema)
  const isKept = ({ id, retired }: Run) =>
    retired === null || left.some((one) => one.runId === id && one.retired !== null)
  return newestFirst.filter(
    (run, i) => isKept(run) && !newestFirst.slice(0, i).some(({ table }) => sameName(table, run.table)),
  )
}

/** @throws {UsageError} for a finished or abandoned run */
export function assertUnfinished({ id, status }: Run): void {
  if (status === 'running') return
  throw new UsageError(`run ${id} is ${status}, so there is nothing to resume`, 'See ebb status.')
}

export function noRun(choice: RunChoice, commands?: readonly string[]): UsageError {
  const which = () => {
    if (choice === null) return commands === undefined ? 'no unfinished run' : 'no run that can be rolled back'
    return 'runId' in choice ? `no run ${choice.runId}` : `no run on ${display(choice.table)}`
  }
  return new UsageError(`there is ${which()}`, 'See ebb status.')
}
