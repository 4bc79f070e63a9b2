import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { isLocal, type CitusTable } from '../../catalog/citus.ts'
import { readCitus } from '../../catalog/managers.ts'
import { readRefusal, readStoredLeaves } from '../../catalog/partitions/stored-leaves.ts'
import { readUnknownFor } from '../../catalog/partitions/planned-leaves.ts'
import { readLeafFacts, readLeaves, type LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import { readReach } from '../../catalog/condition/selectivity.ts'
import { readTable, vanished } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Session } from '../../db/session.ts'
import type { ChosenRows, Refused } from '../../plan/purge/chosen-rows.ts'
import { unknownNodeObjections } from '../../plan/table/objections/unknown-nodes.ts'
import { conditionObjection } from '../../plan/purge/stored.ts'
import { computedOtherwiseObjections, objectionsToLooking } from '../../plan/purge/objections.ts'
import type { Objection } from '../../plan/language/step.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'

/**
 * Reads them, in the snapshot that is open; `without` are privileges that what
 * is to be done does not need.
 *
 * @throws {UsageError} with a caret, when the condition does not fit the table
 */
export async function readChosenRows(
  session: Session,
  server: ServerModel,
  name: TableName,
  predicate: Predicate,
  journalSchema: string,
  without: readonly string[],
): Promise<ChosenRows | Refused> {
  const table = await readTable(session, name, server.version)
  const [itself] = await readLeafFacts(session, [name])
  if (table === undefined || itself === undefined) throw vanished(name)
  const condition = await readCondition(session, name, predicate)
  const before = { server, journalSchema, table, itself: lenient(itself, without), condition }
  const objections = objectionsToLooking(before, { noArchive: true })
  if (objections.length > 0) return { server, table, objections }
  const matching = await readMatching(session, name, predicate, condition.settings, null)
  if (Array.isArray(matching)) return { server, table, objections: matching }
  return { server, table, condition, ...matching, leaves: matching.leaves.map((leaf) => lenient(leaf, without)) }
}

/** The rows that match a condition, or why they cannot be determined. */
export async function readMatching(
  session: Session,
  name: TableName,
  predicate: Predicate,
  settings: ConditionSettings,
  orderBy: string | null,
): Promise<Pick<ChosenRows, 'predicate' | 'leaves' | 'reach'> | Objection[]> {
  const citus = await readCitus(session, name)
  const stored = isElsewhere(citus)
  const refusal = stored ? await readRefusal(session, name, predicate, settings) : null
  if (refusal !== null) return [conditionObjection(name, refusal)]
  // Shows with a caret where the condition does not fit the table.
  await readRowEstimate(session, name, predicate, settings)
  if (stored) return { predicate, ...(await readStoredLeaves(session, name, citus, predicate, settings)) }
  const unknown = await readUnknownFor(session, name, predicate.text, settings)
  if (unknown.length > 0) return unknownNodeObjections(name, unknown)
  const leaves = await readLeaves(session, name, predicate, settings, orderBy)
  return { predicate, leaves, reach: await readReach(session, name, leaves, predicate, settings) }
}

/** Whether its rows are where Citus has put them. */
export async function isStoredByCitus(session: Session, name: TableName): Promise<boolean> {
  return isElsewhere(await readCitus(session, name))
}

function isElsewhere(citus: CitusTable | null): citus is CitusTable {
  return citus !== null && !isLocal(citus)
}

/**
 * A table may be distributed, or not be so any more, before a run on it is resumed.
 *
 * @throws {EbbError} if its rows are stored in another way than the plan says
 */
export async function assertStoredAsPlanned(
  session: Session,
  name: TableName,
  leaves: readonly LeafModel[],
): Promise<void> {
  const planned = leaves.some(({ stored }) => stored !== undefined)
  if (leaves.length === 0 || planned === (await isStoredByCitus(session, name))) return
  throw new EbbError(
    `${display(name)} has been ${planned ? 'taken back from Citus' : 'given to Citus'} since the plan was made, so its rows are elsewhere`,
    { state: NOTHING_CHANGED, next: 'End the run with ebb abandon, and start it anew.' },
    'objections',
  )
}

/**
 * A partition may be given another expression for a virtual column before a run is resumed: nothing else of the plan
 * changes with it, and the condition then means other rows there.
 *
 * @throws {EbbError} if the condition reads a virtual column that a partition computes in another way than the table
 */
export async function assertComputedAlike(session: Session, name: TableName, predicate: Predicate): Promise<void> {
  const { computedOtherwise } = await readCondition(session, name, predicate)
  const [objection] = computedOtherwiseObjections(computedOtherwise)
  if (objection === undefined) return
  throw new EbbError(objection.what, { state: NOTHING_CHANGED, next: objection.fix }, 'objections')
}

function lenient<Leaf extends { readonly missingPrivileges: readonly string[] }>(
  leaf: Leaf,
  without: readonly string[],
): Leaf {
  return { ...leaf, missingPrivileges: leaf.missingPrivileges.filter((privilege) => !without.includes(privilege)) }
}
