import type { ServerModel } from '../../catalog/server-model.ts'
import type { Session } from '../../db/session.ts'
import { journalExists } from '../../journal/journal.ts'
import { rotatedSince } from '../../journal/rotations.ts'
import type { SavedPlan } from '../../plan/language/saved.ts'
import type { RotationPlan } from '../../plan/rotate/plan.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import { besidesOf, rotationDifferences } from '../../plan/rotate/saved.ts'
import type { TableName } from '../../sql/names.ts'
import { assertPast, describePlan } from '../saved-plan.ts'

/** What a rotation creates is named after its bounds. */
const NO_SUFFIX = '00000000'

/** What is saved of the rotation of a set; `now` is the moment of its plan. */
export function describeRotation(
  session: Session,
  { database, now }: Pick<ServerModel, 'database' | 'now'>,
  plan: RotationPlan,
  request: RotateRequest,
): Promise<SavedPlan> {
  const of = { name: plan.table, database, command: 'rotate', request, now, suffix: NO_SUFFIX }
  return describePlan(session, plan, { ...of, besides: besidesOf(plan) })
}

/** A set, with what is planned for it by the moment of a saved plan. */
export interface PlannedAgain {
  readonly table: TableName
  readonly plan: RotationPlan
  readonly request: RotateRequest
  readonly saved: SavedPlan
}

/** How what is planned differs from what was saved, and is not done already. */
export async function savedDifferences(
  session: Session,
  server: ServerModel,
  { table, plan, request, saved }: PlannedAgain,
  journalSchema: string,
): Promise<string[]> {
  await assertPast(session, saved)
  if (plan.objections.length > 0) return plan.objections.map(({ code, what }) => `${what} (${code})`)
  const now = await describeRotation(session, { ...server, now: saved.now }, plan, request)
  const known = await journalExists(session, journalSchema)
  const done = known ? await rotatedSince(session, journalSchema, table, saved.now) : new Map<string, Set<string>>()
  return rotationDifferences(saved, now, plan, done)
}
