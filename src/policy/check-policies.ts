import { readUnplannedRows } from '../catalog/partitions/unplanned-rows.ts'
import type { Session, Target } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { readPatiently } from '../engine/locks/patiently.ts'
import type { EngineOptions } from '../engine/options.ts'
import { retirable } from '../engine/runs/retired.ts'
import { status, type SetStatus, type StatusReport } from '../engine/runs/status.ts'
import { journalExists } from '../journal/journal.ts'
import { policiesInForce } from '../journal/policies.ts'
import { findTable } from '../catalog/table/read-table.ts'
import { readClock } from '../db/clock.ts'
import { sameName, type TableName } from '../sql/names.ts'
import { findingsOf, type Checked, type Finding } from './findings.ts'
import { findPolicies, planPolicies } from './plan-policies.ts'
import type { Policies } from './policy.ts'

/** What is due and what is wrong, the worst first. Reads only; without a config, what the journal alone tells. */
export async function checkPolicies(
  target: Target,
  config: Policies | null,
  only: EngineOptionsOnly,
  options: EngineOptions,
): Promise<Finding[]> {
  return findingsOf(await readChecked(target, config, only, await status(target, options), options))
}

/** What findings are made of, with a status that has been read before. */
export async function readChecked(
  target: Target,
  config: Policies | null,
  only: EngineOptionsOnly,
  report: StatusReport,
  options: EngineOptions,
): Promise<Checked> {
  const retired = await retirable(target, options, 'look')
  const found = config === null ? null : await findPolicies(target, config, only, { ...options, onlyLooks: true })
  const plans = found === null ? [] : await planPolicies(target, found, options, 'rotations')
  const planned = plans.map(({ table }) => table)
  const more = await readPatiently(target, 'check', options, (session) =>
    inSnapshot(session, async () => ({
      now: new Date(Number((await readClock(session)) / 1000n)),
      known: await readKnown(session, options.journalSchema),
      defaults: await readDefaults(session, report.sets, planned),
    })),
  )
  const gone = (found?.gone ?? []).map(({ policy }) => policy.name)
  return { status: report, retired, plans, gone, ...more, hasConfig: config !== null && only.length === 0 }
}

type EngineOptionsOnly = Parameters<typeof findPolicies>[2]

/** Tables with a policy in force that are still there. */
async function readKnown(session: Session, schema: string): Promise<TableName[]> {
  if (!(await journalExists(session, schema, 'look'))) return []
  const known: TableName[] = []
  for (const { table } of await policiesInForce(session, schema)) {
    if ((await findTable(session, table)) !== undefined) known.push(table)
  }
  return known
}

/** Rows in DEFAULT partitions; of those that are managed, the status has read them. */
async function readDefaults(
  session: Session,
  sets: readonly SetStatus[],
  others: readonly TableName[],
): Promise<Checked['defaults']> {
  const found = sets.flatMap(({ table, unplanned }) => (unplanned === null ? [] : [{ table, unplanned }]))
  for (const table of others) {
    if (sets.some((set) => sameName(set.table, table))) continue
    const unplanned = await readUnplannedRows(session, table)
    if (unplanned !== null) found.push({ table, unplanned })
  }
  return found
}
