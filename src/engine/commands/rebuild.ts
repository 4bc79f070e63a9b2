import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { readPrivileges, readTakenNames } from '../../catalog/situation.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { planRebuild, type RebuildRequest, type RebuildSituation } from '../../plan/copy/rebuild.ts'
import type { RebuildPlan } from '../../plan/copy/summary.ts'
import type { TableName } from '../../sql/names.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import type { Planning } from '../command.ts'
import { byStatistics, copying } from '../copy/run.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'
import { nameSuffix } from '../name-suffix.ts'

/** Rebuilds a table with the rows to keep. */
export const rebuild = copying<RebuildRequest, RebuildPlan, RebuildSituation>({
  name: 'rebuild',
  removes: ({ keep }) => keep !== null,
  refused: (plan) => ({ ...plan, rebuild: null }),
  read: readSituation,
  plan: planRebuild,
  async verify({ session, server }, name, situation, request) {
    const predicate = await readPredicate(request, situation.server)
    await assertHarmless(session, name, predicate)
    assertFoundAgain(name, situation, [server, await readPresentTable(session, name, server.version), predicate])
  },
})

function readPredicate({ keep }: RebuildRequest, { now }: ServerModel): Promise<Predicate> | null {
  return keep === null ? null : parsePredicate(keep, momentLiteral(now))
}

async function readSituation(
  { session, server, options }: Planning,
  name: TableName,
  request: RebuildRequest,
): Promise<RebuildSituation> {
  const predicate = await readPredicate(request, server)
  return inSnapshot(session, async () => {
    const table = await readPresentTable(session, name, server.version)
    const condition = await readCondition(session, table.name, predicate)
    const privileges = await readPrivileges(session, table)
    const readable = table.kind === 'table' && !privileges.lacking.includes('SELECT') && !privileges.rowsHidden
    return {
      server,
      journalSchema: options.journalSchema,
      table,
      privileges,
      predicate,
      condition,
      keptRows: readable
        ? byStatistics(table, await readRowEstimate(session, table.name, predicate, condition.settings))
        : null,
      taken: await readTakenNames(session, name.schema),
      tag: nameSuffix(options),
    }
  })
}
