import { isLocal } from '../catalog/citus.ts'
import { readForeignTable } from '../catalog/foreign-table.ts'
import { readCitus, readManagers } from '../catalog/managers.ts'
import { readPartitionedTable } from '../catalog/partitions/partitioned-table.ts'
import { readUnknownNodes } from '../catalog/partitions/planned-leaves.ts'
import { readSubscribedSequences } from '../catalog/table/subscribed-sequences.ts'
import { readForeignCode } from '../catalog/table/table-code.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { forAMoment } from '../db/for-a-moment.ts'
import { readOne } from '../db/query.ts'
import type { Session } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { holdsAround } from '../journal/holds.ts'
import { concernsRange, holdObjections, type HoldAround } from '../plan/language/hold.ts'
import { unaccepted } from '../plan/language/objection.ts'
import type { Objection } from '../plan/language/step.ts'
import { citusObjections } from '../plan/table/objections/citus.ts'
import { foreignObjections } from '../plan/table/objections/foreign.ts'
import { managerObjections } from '../plan/table/objections/manager.ts'
import { codeObjections } from '../plan/table/objections/code.ts'
import { subscribedSequenceObjections } from '../plan/table/objections/publication.ts'
import { unknownNodeObjections } from '../plan/table/objections/unknown-nodes.ts'
import { display, sameName, type TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import type { EngineOptions, PlanOptions } from './options.ts'

/** Commands that give the identity columns of a table new sequences. */
const REPLACES_SEQUENCES: ReadonlySet<string> = new Set(['partition', 'partition-copy', 'rebuild', 'rollback'])

type Accepting = Pick<EngineOptions, 'accept'>

/**
 * Objections to any command on a table: code of other roles that a superuser would run, rows that another server, or an
 * extension, stores elsewhere, and subscriptions to what would be replaced.
 */
export async function objectionsToTable(
  session: Session,
  server: ServerModel,
  table: TableName,
  { accept = [] }: Accepting,
  { name: command, ofAnyStorage = false }: { readonly name: string; readonly ofAnyStorage?: boolean },
): Promise<Objection[]> {
  return inSnapshot(session, async () => {
    const code = await objectionsToCode(session, server, table, accept)
    // The planner itself runs functions of indexes and checks, so EXPLAIN comes afterwards.
    if (code.length > 0) return code
    // Nothing is asked of another server then, nor is anything else said.
    const foreign = await readForeignTable(session, table)
    if (foreign !== null) return foreignObjections(command, table, foreign)
    const replaced = REPLACES_SEQUENCES.has(command)
      ? unaccepted(subscribedSequenceObjections(await readSubscribedSequences(session, table)), accept)
      : []
    if (replaced.length > 0) return replaced
    const citus = await readCitus(session, table)
    const ofCitus = citus === null ? [] : citusObjections(command, table, citus)
    if (ofCitus.length > 0 || ofAnyStorage) return ofCitus
    const managers = await readManagers(session, table)
    const managed = unaccepted(managerObjections(table, managers), accept)
    if (managers.some(({ by }) => by === 'TimescaleDB')) return managed
    if (!(await holdsRows(session, table))) return []
    // Where its rows are, Citus' own catalogue says, and not the plan.
    if (citus !== null && !isLocal(citus)) return managed
    return [...unknownNodeObjections(table, await readUnknownNodes(session, table)), ...managed]
  })
}

/** Objections to removing rows of a table: some were restored, and are on hold. */
export async function objectionsToRemoving(
  session: Session,
  { journalUsable }: ServerModel,
  table: TableName,
  { journalSchema, accept = [] }: PlanOptions,
): Promise<Objection[]> {
  // If the journal may not be read, the plan says so.
  if (!journalUsable) return []
  return unaccepted(holdObjections(await inSnapshot(session, () => readHolds(session, journalSchema, table))), accept)
}

/** The holds in force that rows of a table may be under, in the snapshot that is open. */
export async function readHolds(session: Session, journalSchema: string, table: TableName): Promise<HoldAround[]> {
  const holds: HoldAround[] = []
  for (const hold of await holdsAround(session, journalSchema, table))
    if (hold.where !== 'above' || (await concerns(session, hold, table))) holds.push(hold)
  return holds
}

/** One on the table that this is a partition of concerns its range. Of a partition of a partition nothing is decided by bounds. */
async function concerns(session: Session, hold: HoldAround, table: TableName): Promise<boolean> {
  const set = await readPartitionedTable(session, hold.table)
  const partition = set?.partitions.find(({ name }) => sameName(name, table))
  if (partition === undefined || set?.key == null) return true
  return concernsRange(hold, partition.range, set.key.kind)
}

async function objectionsToCode(
  session: Session,
  { superuser, role }: ServerModel,
  table: TableName,
  accept: readonly string[],
): Promise<Objection[]> {
  if (!superuser) return []
  const code = await forAMoment(session, `code of ${display(table)}`, () => readForeignCode(session, table))
  return unaccepted(codeObjections(code, role), accept)
}

/** Whether it is a table, partitioned or not; other relations have objections elsewhere. */
async function holdsRows(session: Session, { schema, name }: TableName): Promise<boolean> {
  const { holds } = await readOne<{ holds: boolean }>(
    session,
    sql`
    select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname = ${name} and c.relkind in ('r', 'p') and not pg_is_other_temp_schema(n.oid)) as holds`,
  )
  return holds
}

/**
 * Checks again when a run starts, or is resumed: code may have been added since the plan was made.
 *
 * @throws {EbbError} if there is some that was not accepted
 */
export async function assertOwnCode(
  session: Session,
  server: ServerModel,
  table: TableName,
  { accept = [] }: Accepting,
): Promise<void> {
  const objections = await objectionsToCode(session, server, table, accept)
  if (objections.length === 0) return
  throw new EbbError(
    objections.map(({ what }) => what).join('; '),
    { state: NOTHING_CHANGED, next: objections.map(({ fix }) => fix).join(' ') },
    'objections',
  )
}
