import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readUnknownFor } from '../../catalog/partitions/planned-leaves.ts'
import { readLeafFacts, readLeaves } from '../../catalog/partitions/purge-leaves.ts'
import { readReach } from '../../catalog/condition/selectivity.ts'
import { readTable, vanished } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Session } from '../../db/session.ts'
import type { ChosenRows, Refused } from '../../plan/purge/chosen-rows.ts'
import { unknownNodeObjections } from '../../plan/table/objections/unknown-nodes.ts'
import { objectionsToLooking } from '../../plan/purge/objections.ts'
import type { Objection } from '../../plan/language/step.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { TableName } from '../../sql/names.ts'
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
  // Shows with a caret where the condition does not fit the table.
  await readRowEstimate(session, name, predicate, settings)
  const unknown = await readUnknownFor(session, name, predicate.text, settings)
  if (unknown.length > 0) return unknownNodeObjections(name, unknown)
  const leaves = await readLeaves(session, name, predicate, settings, orderBy)
  return { predicate, leaves, reach: await readReach(session, name, leaves, predicate, settings) }
}

function lenient<Leaf extends { readonly missingPrivileges: readonly string[] }>(
  leaf: Leaf,
  without: readonly string[],
): Leaf {
  return { ...leaf, missingPrivileges: leaf.missingPrivileges.filter((privilege) => !without.includes(privilege)) }
}
