import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readBeside } from '../../catalog/partitions/default-partition.ts'
import { readPartitionedTable, type PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { readCompanionNames } from '../../catalog/situation.ts'
import { readDefinition } from '../../catalog/table/definition.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { recordedDigest } from '../../journal/archives.ts'
import { holdRows } from '../../journal/holds.ts'
import { endRun } from '../../journal/journal.ts'
import { readRestored, type Restored } from '../../journal/restores.ts'
import { recordRotation } from '../../journal/rotations.ts'
import type { ArchivedTable } from '../../plan/archive/receipt.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import type { ColumnNumbers } from '../../plan/restore/columns.ts'
import { ATTACH_AGAIN, placeOf } from '../../plan/restore/partition.ts'
import { planAbandonRestore, planRestore, type RestorePlan } from '../../plan/restore/restore.ts'
import type { RestoreRequest, RestoreRights, RestoreSituation, TableToRestore } from '../../plan/restore/situation.ts'
import { boundsCondition } from '../../plan/rotate/reattach.ts'
import { display, distinctNames, quoted, sameName, type TableName } from '../../sql/names.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import { raw, sql } from '../../sql/sql.ts'
import type { Command, Planning } from '../command.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'
import { assertIdle } from '../plan-command.ts'
import { destinationsOf, readTypesOf } from '../restore/destinations.ts'
import { readReceiptAt } from '../restore/open-receipt.ts'
import type { TableContext } from '../table-context.ts'

/** The outcome of a restore. */
export interface RestoreResult {
  readonly runId: string
  readonly plan: RestorePlan
  readonly steps: readonly StepResult[]
  /** Over all calls of the run. */
  readonly restored: Restored
}

/** Puts archived rows back into existing tables: the run is one of the first of them. */
export const restore: Command<RestoreRequest, RestorePlan, RestoreSituation, RestoreResult> = {
  name: 'restore',
  refused: (plan) => ({ ...plan, restore: null }),
  ofAnyStorage: true,
  read: readSituation,
  plan: planRestore,
  besides: readBesides,
  others: ({ table, restore }) =>
    distinctNames((restore?.holds ?? []).map((held) => held.table)).filter((other) => !sameName(other, table)),
  async verify(planning, name, situation, request) {
    const now = { ...planning.server, now: situation.server.now }
    const again = await readSituation({ ...planning, server: now }, name, request)
    const [first] = again.tables
    await assertHarmless(planning.session, name, first?.predicate ?? null)
    assertFoundAgain(name, situation, again)
  },
  async carryOut(run, plan) {
    const { session, journalSchema, runId } = run
    const steps = await executeRun(run, plan.steps, alongside(plan, runId))
    const restored = await readRestored(session, journalSchema, runId)
    await endRun(session, journalSchema, runId, 'done', restored)
    return { runId, plan, steps, restored }
  },
  abandon: (run) => planAbandonRestore(run.id, run.table),
}

/** The receipt decides which rows they are; a table that was empty may have been filled by somebody since. */
async function readBesides(
  session: Session,
  { receipt, tables: [first, ...others], tables }: RestoreSituation,
): Promise<Readonly<Record<string, string>>> {
  const besides: Record<string, string> = { 'the receipt': receipt.sha256 }
  for (const { table, empty } of tables) besides[`whether ${display(table.name)} is empty`] = String(empty)
  for (const { table } of others) {
    if (first !== undefined && sameName(table.name, first.table.name)) continue
    const { oid, digest } = await readDefinition(session, table.name)
    besides[`the definition of ${display(table.name)}`] = `${oid} ${digest}`
  }
  return besides
}

/**
 * Rows are on hold from the transaction on that makes the first of them, or a partition for them; that one is among those
 * that the journal says were created.
 */
function alongside({ steps, restore }: RestorePlan, runId: string): Alongside {
  const { holds = [], hold = null, created = null } = restore ?? {}
  const holdThem = ({ session, journalSchema }: TableContext) =>
    hold === null ? [] : holds.map((held) => holdRows(session, journalSchema, runId, { ...held, keep: hold }))
  const recordIt = ({ session, journalSchema }: TableContext) =>
    created === null ? [] : [recordRotation(session, journalSchema, { ...created, ...NEW })]
  return Object.fromEntries(
    steps.map(({ key }) => [
      key,
      (context: TableContext) => [...holdThem(context), ...(key === ATTACH_AGAIN ? recordIt(context) : [])],
    ]),
  )
}

const NEW = { action: 'created', bytes: null, estimatedRows: null } as const

/** The receipt is read before the snapshot: a store may be slow. */
async function readSituation(
  { session, server, options: { journalSchema } }: Planning,
  name: TableName,
  request: RestoreRequest,
): Promise<RestoreSituation> {
  const { receipt, sha256, unremoved, keptBy } = await readReceiptAt(request.receipt)
  const predicate = request.where === null ? null : await parsePredicate(request.where, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const tables: TableToRestore[] = []
    for (const { archived, into } of await destinationsOf(session, receipt, request, name)) {
      if (into !== name) await assertIdle(session, journalSchema, [into])
      const there = await readTable(session, into, server.version, predicate)
      const set = archived.partitionOf === null ? null : ((await readPartitionedTable(session, into)) ?? null)
      tables.push({
        ...there,
        set,
        ...(await readPlace(session, set, archived)),
        archived,
        types: await readTypesOf(session, archived),
        keptBy: keptBy(archived),
        predicate,
      })
    }
    const recorded = await recordedDigest(session, journalSchema, receipt.id)
    return { server, journalSchema, receipt: { encoding: receipt.encoding, sha256, recorded, unremoved }, tables }
  })
}

/** What matters where the partition of archived rows is created again. */
async function readPlace(
  session: Session,
  set: PartitionedTable | null,
  archived: ArchivedTable,
): Promise<Pick<TableToRestore, 'beside' | 'taken'>> {
  if (set === null || placeOf(set, archived) !== 'missing') return { beside: null, taken: new Set() }
  const condition = raw(boundsCondition(set, archived.partitionOf?.bounds ?? ''))
  return {
    beside: await readBeside(session, set, condition),
    taken: await readCompanionNames(session, archived),
  }
}

type There = Pick<TableToRestore, 'table' | 'numbers' | 'rights' | 'empty' | 'condition'>

async function readTable(
  session: Session,
  name: TableName,
  version: number,
  predicate: Predicate | null,
): Promise<There> {
  const table = await readPresentTable(session, name, version)
  const condition = await readCondition(session, name, predicate)
  if (predicate !== null) await readRowEstimate(session, name, predicate, condition.settings)
  const rights = await readRights(session, name)
  return {
    table,
    numbers: await readNumbers(session, name),
    rights,
    // Without the right to look, that is the objection.
    empty: !rights.insert || (await isEmpty(session, name)),
    condition,
  }
}

async function readNumbers(session: Session, name: TableName): Promise<ColumnNumbers> {
  const rows = await readAll<{ name: string; number: number }>(
    session,
    sql`select attname as name, attnum::int as number from pg_attribute
    where attrelid = to_regclass(${quoted(name).text}) and attnum > 0 and not attisdropped`,
  )
  return Object.fromEntries(rows.map((row) => [row.name, row.number]))
}

async function readRights(session: Session, name: TableName): Promise<RestoreRights> {
  const table = quoted(name).text
  return readOne(
    session,
    sql`select has_table_privilege(${table}, 'insert') and has_table_privilege(${table}, 'select') as insert,
      has_table_privilege(${table}, 'update') as update,
      has_database_privilege(current_database(), 'temporary') as "createTemporary",
      row_security_active(to_regclass(${table})) as "rowsHidden"`,
  )
}

async function isEmpty(session: Session, name: TableName): Promise<boolean> {
  const { empty } = await readOne<{ empty: boolean }>(
    session,
    sql`select not exists (select from ${quoted(name)}) as empty`,
  )
  return empty
}
