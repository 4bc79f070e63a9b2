import type { Session } from '../../db/session.ts'
import { unfinishedArchives, untoldRemovals } from '../../journal/archives.ts'
import { assertKnown } from '../../journal/migrate.ts'
import { rememberedNewest } from '../../journal/rotations.ts'
import type { RotationPlan, RotationSituation } from '../../plan/rotate/plan.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import { closedUnknown } from './read-situation.ts'

/**
 * Whether a rotation would do nothing, and have nothing to record but that it was there: then it needs neither the
 * lease of the table nor further sessions. A schedule that is run every day finds most sets like this.
 */
export async function isSettled(
  session: Session,
  situation: RotationSituation,
  { policy, registered, steps, objections }: RotationPlan,
  { archive }: RotateRequest,
): Promise<boolean> {
  const { journalSchema, begun, set } = situation
  if (policy === null || !registered || steps.length + objections.length + begun.length > 0) return false
  if ((await assertKnown(session, journalSchema)) !== 'current') return false
  if (archive !== null && (await isArchiving(session, journalSchema, set.name))) return false
  if (policy.kind !== 'id') return true
  // By id, rows tell the age; what was found is recorded by the rotation, so that it is not looked for again.
  const { newest } = situation
  if (newest === null || newest === 'unknown') return newest === null
  const remembered = await rememberedNewest(session, journalSchema, set.name)
  return closedUnknown(set, policy, newest.key, remembered).length === 0
}

/** Whether an archive of an earlier rotation has to be finished, or cleaned up. */
async function isArchiving(session: Session, schema: string, table: RotationPlan['table']): Promise<boolean> {
  const unfinished = await unfinishedArchives(session, schema, table, 'rotate')
  return unfinished.length > 0 || (await untoldRemovals(session, schema, table, 'rotate')).length > 0
}
