import type { Session } from '../../db/session.ts'
import { doneSteps } from '../../journal/journal.ts'
import { readFigures, type PurgeFigures } from '../../journal/purges.ts'
import type { Plan } from '../../plan/language/step.ts'
import { ACTION_TEXTS, actionText, type ActionText } from '../../plan/purge/action-sql.ts'
import { RECORDING } from '../../plan/purge/set-steps.ts'
import { showRows } from '../../text/units.ts'

/** How far an unfinished run has come that works batch by batch, for the plan of what is left; of others nothing. */
export async function describeSoFar(
  session: Session,
  schema: string,
  run: Batching & { readonly id: string },
): Promise<string[]> {
  const { id } = run
  const words = presentAction(run, await doneSteps(session, schema, id))
  if (words === undefined) return []
  const { rows, ahead } = await readFigures(session, schema, id)
  return [
    `run ${id} has begun: ${showRows(rows)} ${words.done} so far, and it resumes from there`,
    ...describeAhead(ahead),
  ]
}

/** What may work batch by batch. */
interface Batching {
  readonly command: string
  readonly plan: Pick<Plan, 'steps'>
}

/** What the batches of a run do now: a purge with an archive records keys first. Undefined where there are none. */
export function presentAction({ command, plan }: Batching, done: ReadonlySet<string>): ActionText | undefined {
  const recording = plan.steps.some(({ key }) => key === RECORDING) && !done.has(RECORDING)
  return recording && command === 'purge' ? ACTION_TEXTS.record : actionText(command)
}

/** The rows in progress: dependent rows have been deleted, and the row they referenced has not. */
export function describeAhead(ahead: PurgeFigures['ahead']): string[] {
  return ahead.map(({ table, rows }) => `${showRows(rows)} of ${table} have gone ahead of rows that are still there`)
}
