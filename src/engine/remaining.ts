import { inSnapshot, withSession, type Session, type Target } from '../db/session.ts'
import { EbbError, EXIT } from '../errors.ts'
import { doneSteps, journalExists, latestRun, recentRuns, runById, type Run } from '../journal/journal.ts'
import { fromStored } from '../plan/stored.ts'
import type { Plan } from '../plan/step.ts'
import { display } from '../sql/names.ts'
import type { EngineOptions } from './partition.ts'
import type { RunChoice } from './runs.ts'

/** What is left to do of an unfinished run. */
export interface Remainder {
  readonly run: Run
  /** The plan that was agreed to, without the steps that are done. */
  readonly plan: Plan
  readonly done: number
}

/**
 * What `resume` would do. Reads only.
 *
 * @throws {EbbError} when there is no such run, or it is not unfinished
 */
export async function planResumeOf(
  target: Target,
  choice: RunChoice,
  { journalSchema }: Pick<EngineOptions, 'journalSchema'>,
): Promise<Remainder> {
  return withSession(target, 'plan resume', (session) =>
    inSnapshot(session, async () => {
      const there = await journalExists(session, journalSchema)
      const runs = there ? await chosen(session, journalSchema, choice) : []
      const run = theUnfinished(runs)
      const done = await doneSteps(session, journalSchema, run.id)
      const plan = fromStored(run.plan) as Plan
      return { run, plan: { ...plan, steps: plan.steps.filter(({ key }) => !done.has(key)) }, done: done.size }
    }),
  )
}

async function chosen(session: Session, schema: string, choice: RunChoice): Promise<Run[]> {
  if (choice === null) return (await recentRuns(session, schema)).filter(({ status }) => status === 'running')
  const run =
    'runId' in choice ? await runById(session, schema, choice.runId) : await latestRun(session, schema, choice.table)
  return run === undefined ? [] : [run]
}

function theUnfinished(runs: readonly Run[]): Run {
  const [run, ...others] = runs
  if (run === undefined) throw refused('there is no such unfinished run', 'See ebb status.')
  if (others.length > 0) {
    const which = runs.map(({ id, command, table }) => `${id} (${command} ${display(table)})`).join(', ')
    throw refused(`${runs.length} runs are unfinished: ${which}`, 'Name one by its number.')
  }
  if (run.status !== 'running') throw refused(`run ${run.id} is ${run.status}`, 'See ebb status.')
  return run
}

function refused(message: string, next: string): EbbError {
  return new EbbError(message, { state: 'Nothing has been changed.', next }, EXIT.usage)
}
