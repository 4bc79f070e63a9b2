import type { Session } from '../../db/session.ts'
import type { Run } from '../../journal/journal.ts'
import { readFigures, type PurgeFigures } from '../../journal/purges.ts'
import { actionText } from '../../plan/purge/action-sql.ts'
import { showRows } from '../../text/units.ts'

/** How far an unfinished run has come that works batch by batch, for the plan of what is left; of others nothing. */
export async function describeSoFar(
  session: Session,
  schema: string,
  { id, command }: Pick<Run, 'id' | 'command'>,
): Promise<string[]> {
  const words = actionText(command)
  if (words === undefined) return []
  const { rows, ahead } = await readFigures(session, schema, id)
  return [
    `run ${id} has begun: ${showRows(rows)} ${words.done} so far, and it resumes from there`,
    ...describeAhead(ahead),
  ]
}

/** The rows in progress: dependent rows have been deleted, and the row they referenced has not. */
export function describeAhead(ahead: PurgeFigures['ahead']): string[] {
  return ahead.map(({ table, rows }) => `${showRows(rows)} of ${table} have gone ahead of rows that are still there`)
}
