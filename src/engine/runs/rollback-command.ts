import type { ServerModel } from '../../catalog/server-model.ts'
import { inSnapshot, type Session } from '../../db/session.ts'
import { runById, type Run } from '../../journal/journal.ts'
import type { Command } from '../command.ts'
import type { PlanOptions } from '../options.ts'
import { assertSameSteps } from '../stored-plan.ts'
import type { StoredRollback } from './carry-back.ts'
import { noRun } from './find-run.ts'
import { planBack, readRollback, type RollbackOf } from './read-rollback.ts'

/** Which run is taken back. */
export interface RollbackRequest {
  readonly of: string
}

/** From the table as it is now. */
export async function planRollbackAnew(
  session: Session,
  server: ServerModel,
  request: RollbackRequest,
  options: PlanOptions,
): Promise<{ readonly plan: StoredRollback; readonly situation: RollbackOf }> {
  const situation = await inSnapshot(session, async () =>
    readRollback(session, server, await runOf(session, request, options), options),
  )
  return { plan: { ...planBack(situation), of: request.of }, situation }
}

/** Going back, as a command like others. */
export function rollbackCommand(request: RollbackRequest, options: PlanOptions): Command<StoredRollback, RollbackOf> {
  const read = async (session: Session, server: ServerModel) =>
    readRollback(session, server, await runOf(session, request, options), options)
  return {
    name: 'rollback',
    request,
    read: (session, server) => inSnapshot(session, () => read(session, server)),
    refused: (plan) => ({ ...plan, index: null, of: request.of }),
    plan: (of) => ({ ...planBack(of), of: request.of }),
    async verify(session, server, table, stored) {
      const present = await read(session, server)
      const { taken } = stored.situation
      // Names that it has taken itself since do not count.
      const again = planBack({ ...present, situation: { ...present.situation, taken } } as RollbackOf)
      assertSameSteps(table, planBack(stored), again)
    },
  }
}

async function runOf(session: Session, { of }: RollbackRequest, { journalSchema }: PlanOptions): Promise<Run> {
  const run = await runById(session, journalSchema, of)
  if (run === undefined) throw noRun({ runId: of })
  return run
}
