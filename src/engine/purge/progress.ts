import type { Session } from '../../db/session.ts'
import type { Run } from '../../journal/journal.ts'
import { readFigures } from '../../journal/purges.ts'
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
  const { rows } = await readFigures(session, schema, id)
  return [`run ${id} has begun: ${showRows(rows)} ${words.done} so far, and it resumes from there`]
}
