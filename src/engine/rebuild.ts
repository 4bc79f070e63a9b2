import { readCondition, readRowEstimate } from '../catalog/condition.ts'
import { readPresentTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { readPrivileges, readTakenNames } from '../catalog/situation.ts'
import { inSnapshot, type Session, type Target } from '../db/session.ts'
import { momentLiteral } from '../plan/moment.ts'
import { planRebuild, type RebuildPlan, type RebuildRequest } from '../plan/rebuild.ts'
import type { TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { parsePredicate } from '../sql/predicate.ts'
import type { Command } from './agreed.ts'
import { planCopy, runCopy, type CopyResult } from './copy-run.ts'
import type { EngineOptions } from './options.ts'
import { newTag } from './tag.ts'

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planRebuildOf(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return planCopy(target, written, commandOf(request, options), options)
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
  return runCopy(target, written, commandOf(request, options), options)
}

function commandOf(request: RebuildRequest, options: EngineOptions): Command<RebuildPlan> {
  return {
    name: 'rebuild',
    request,
    readPlan: (session, server, name) => readPlan(session, server, name, request, options),
    refused: (plan) => ({ ...plan, rebuild: null }),
  }
}

async function readPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: RebuildRequest,
  { journalSchema }: EngineOptions,
): Promise<RebuildPlan> {
  const predicate = request.keep === null ? null : await parsePredicate(request.keep, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const table = await readPresentTable(session, name, server.version)
    const condition = await readCondition(session, table.name, predicate)
    const privileges = await readPrivileges(session, table)
    const readable = table.kind === 'table' && !privileges.lacking.includes('SELECT') && !privileges.rowsHidden
    return planRebuild(
      {
        server,
        journalSchema,
        table,
        privileges,
        predicate,
        condition,
        keptRows: readable ? await readRowEstimate(session, table.name, predicate, condition.settings) : 0,
        taken: await readTakenNames(session, name.schema),
        tag: newTag(),
      },
      request,
    )
  })
}
