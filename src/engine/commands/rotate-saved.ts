import { readClock } from '../../db/clock.ts'
import type { Session, Target } from '../../db/session.ts'
import { withSharedSessions } from '../../db/shared-sessions.ts'
import type { SavedPlan } from '../../plan/language/saved.ts'
import type { RotationPlan } from '../../plan/rotate/plan.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import { onlySaved } from '../../plan/rotate/saved.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import { afterOthers } from '../after-others.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { describeRotation, savedDifferences } from '../rotate/saved-rotation.ts'
import { asSaved, carriedOut, notAsSaved } from '../saved-plan.ts'
import {
  arrive,
  isStopped,
  planSet,
  refuseRenamed,
  rotateEach,
  rotateOne,
  type Arrival,
  type RotationReport,
} from './rotate.ts'

/** Plans, and what to save of them; null if one has objections, or nothing is to be done. */
export async function planRotationsToSave(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<{ readonly plan: readonly RotationPlan[]; readonly saved: readonly SavedPlan[] | null }> {
  return readPatiently(target, 'plan rotate', options, async (session) => {
    const { server, tables, renamed, unresolved } = await arrive(session, request, options)
    if (unresolved[0] !== undefined) throw unresolved[0].error
    const { now = String(await readClock(session)) } = options
    const plans: RotationPlan[] = renamed.map(refuseRenamed)
    for (const table of tables) plans.push(await planSet(session, server, table, request, { ...options, now }))
    const isExecutable = plans.every(({ objections }) => objections.length === 0)
    if (!isExecutable || plans.every(({ steps }) => steps.length === 0)) return { plan: plans, saved: null }
    const saved: SavedPlan[] = []
    for (const plan of plans) saved.push(await describeRotation(session, { ...server, now }, plan, request))
    return { plan: plans, saved }
  })
}

/**
 * Rotates sets as was saved, one after the other; retired tables of copies are left alone.
 *
 * @throws {EbbError} if another rotation than the saved one would be executed, of any of them
 */
export async function rotateAsSaved(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
  saved: readonly SavedPlan[],
): Promise<RotationReport> {
  return withSharedSessions(target, async (shared) => {
    const { server, tables } = await readPatiently(shared, 'plan rotate', options, (session) =>
      assertAllAsSaved(session, request, options, saved),
    )
    const work = (table: TableName) => {
      const given = asSaved(options, saved.find((one) => sameName(one.table, table)) ?? null)
      return afterOthers(shared, table, given, () => rotateOne(shared, server, table, request, given))
    }
    const sets = await rotateEach(tables, options, work)
    return {
      sets,
      forgotten: [],
      retired: { dropped: [], failed: [] },
      stopped: options.signal.aborted || sets.some(isStopped),
    }
  })
}

/** All of them, before the first is begun. */
async function assertAllAsSaved(
  session: Session,
  request: RotateRequest,
  options: EngineOptions,
  saved: readonly SavedPlan[],
): Promise<Pick<Arrival, 'server' | 'tables'>> {
  const { server, tables, unresolved } = await arrive(session, { ...request, tables: namesOf(saved) }, options)
  const different = unresolved.map(({ what }) => `${what} no longer exists`)
  let left = 0
  for (const one of saved) {
    const table = tables.find((name) => sameName(name, one.table))
    if (table === undefined) continue
    const plan = await planSet(session, server, table, request, { ...options, now: one.now })
    const planned = { table, plan, request, saved: one }
    const found = await savedDifferences(session, server, planned, options.journalSchema)
    if (found.length > 0) different.push(`${display(table)}: ${found.join('; ')}`)
    left += onlySaved(plan, one).steps.length
  }
  if (different.length > 0) throw notAsSaved(different)
  if (left === 0) throw carriedOut('by rotations since')
  return { server, tables }
}

function namesOf(saved: readonly SavedPlan[]): TableName[] {
  return saved.map(({ table: { schema, name } }) => ({ schema, name }))
}
