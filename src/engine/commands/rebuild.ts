import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { readPrivileges, readTakenNames } from '../../catalog/situation.ts'
import { inSnapshot, type Session, type Target } from '../../db/session.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { planRebuild, type RebuildPlan, type RebuildRequest, type RebuildSituation } from '../../plan/copy/rebuild.ts'
import type { TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import type { Command } from '../command.ts'
import { planCopy, runCopy, type CopyResult } from '../copy/run.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'
import type { EngineOptions, PlanOptions } from '../options.ts'
import { newNameSuffix } from '../name-suffix.ts'

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planRebuildOf(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return planCopy(target, written, rebuildCommand(request, options), options)
}

/**
 * Rebuilds a table around the rows worth keeping, or goes on with a rebuild
 * that was interrupted.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export function rebuild(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<CopyResult> {
  return runCopy(target, written, rebuildCommand(request, options), options)
}

export function rebuildCommand(request: RebuildRequest, options: PlanOptions): Command<RebuildPlan, RebuildSituation> {
  return {
    name: 'rebuild',
    request,
    refused: (plan) => ({ ...plan, rebuild: null }),
    read: (session, server, name) => readSituation(session, server, name, request, options),
    plan: (situation) => planRebuild(situation, request),
    async verify(session, server, name, situation) {
      const predicate = await readPredicate(request, situation.server)
      await assertHarmless(session, name, predicate)
      assertFoundAgain(name, situation, [server, await readPresentTable(session, name, server.version), predicate])
    },
  }
}

function readPredicate({ keep }: RebuildRequest, { now }: ServerModel): Promise<Predicate> | null {
  return keep === null ? null : parsePredicate(keep, momentLiteral(now))
}

async function readSituation(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: RebuildRequest,
  { journalSchema }: PlanOptions,
): Promise<RebuildSituation> {
  const predicate = await readPredicate(request, server)
  return inSnapshot(session, async () => {
    const table = await readPresentTable(session, name, server.version)
    const condition = await readCondition(session, table.name, predicate)
    const privileges = await readPrivileges(session, table)
    const readable = table.kind === 'table' && !privileges.lacking.includes('SELECT') && !privileges.rowsHidden
    return {
      server,
      journalSchema,
      table,
      privileges,
      predicate,
      condition,
      keptRows: readable ? await readRowEstimate(session, table.name, predicate, condition.settings) : 0,
      taken: await readTakenNames(session, name.schema),
      tag: newNameSuffix(),
    }
  })
}
