import { isLocal, readShardSizes } from '../../catalog/citus.ts'
import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readCitus } from '../../catalog/managers.ts'
import { readLeafFacts } from '../../catalog/partitions/purge-leaves.ts'
import { readNotReadBack } from '../../catalog/table/not-read-back.ts'
import { readPresentTable, vanished } from '../../catalog/table/read-table.ts'
import { readRelationSizes } from '../../catalog/table/relation-size.ts'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { archivesOfRun, type ReceiptEntry } from '../../journal/archives.ts'
import { endRun } from '../../journal/journal.ts'
import { COMMAND, planAbandonArchive, planArchive } from '../../plan/archive/archive.ts'
import type { ArchiveOrder, ArchiveSituation } from '../../plan/archive/situation.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import type { Plan } from '../../plan/language/step.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import { sql, type Sql } from '../../sql/sql.ts'
import type { Command, Planning } from '../command.ts'
import { isTooWide } from '../archive/wide-rows.ts'
import { withTriedStore } from '../archive/with-store.ts'
import { executeRun, type StepResult } from '../execute.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'

/** The outcome of an archive. */
export interface ArchiveResult {
  readonly runId: string
  readonly plan: Plan
  readonly steps: readonly StepResult[]
  readonly receipt: ReceiptEntry
}

/** Archives rows of a table and removes nothing. */
export const archive: Command<ArchiveOrder, Plan, ArchiveSituation, ArchiveResult> = {
  name: COMMAND,
  refused: (plan) => plan,
  read: readSituation,
  plan: planArchive,
  async verify({ session, server }, name, situation, order) {
    const table = await readPresentTable(session, name, server.version)
    const predicate = await readPredicate(order, situation.server.now)
    await assertHarmless(session, name, predicate)
    assertFoundAgain(name, situation, [server, table, predicate, await readLeafFacts(session, [name])])
  },
  // A run whose store is mistyped could only be abandoned.
  beforeBegin: ({ signal }, { to }) => withTriedStore(to, signal, async () => {}),
  async carryOut(run, plan) {
    const { session, journalSchema, runId } = run
    const steps = await executeRun(run, plan.steps)
    const receipt = (await archivesOfRun(session, journalSchema, runId)).at(-1)?.receipt
    if (receipt == null) throw new Error('an archive has a receipt')
    await endRun(session, journalSchema, runId, 'done', { receipt })
    return { runId, plan, steps, receipt }
  },
  abandon: (run) => planAbandonArchive(run.id, run.table),
}

function readPredicate({ where }: ArchiveOrder, now: string): Promise<Predicate> | null {
  return where === null ? null : parsePredicate(where, momentLiteral(now))
}

async function readSituation(
  { session, server, options: { journalSchema } }: Planning,
  name: TableName,
  order: ArchiveOrder,
): Promise<ArchiveSituation> {
  const predicate = await readPredicate(order, server.now)
  return inSnapshot(session, async () => {
    const table = await readPresentTable(session, name, server.version)
    const [itself] = await readLeafFacts(session, [name])
    const citus = await readCitus(session, name)
    const stored = citus !== null && !isLocal(citus)
    const size = stored ? await readStoredSize(session, name) : (await readRelationSizes(session, [name]))[0]
    if (itself === undefined || size === undefined) throw vanished(name)
    const condition = await readCondition(session, name, predicate)
    const readable = !itself.missingPrivileges.includes('select') && !itself.rowsHidden
    return {
      server,
      journalSchema,
      table,
      itself,
      foreign: await readForeign(session, name),
      notReadBack: await readNotReadBack(session, name),
      tooWide:
        readable &&
        condition.volatile.length === 0 &&
        (await isTooWide(session, order.to, {
          table: name,
          chosen: predicate === null ? null : `where (${predicate.text}\n)`,
          settings: condition.settings,
        })),
      predicate,
      condition,
      rows:
        predicate === null || !readable
          ? size.estimatedRows
          : stored
            ? null
            : await readRowEstimate(session, name, predicate, condition.settings),
      bytes: size.bytes,
      ...(stored ? { stored: { columnar: await readColumnar(session, name) } } : {}),
    }
  })
}

/** Of all shards, as far as their nodes answer. */
async function readStoredSize(
  session: Session,
  name: TableName,
): Promise<{ bytes: number; estimatedRows: number | null }> {
  const sizes = [...(await readShardSizes(session, await readLeaves(session, name))).values()]
  return {
    bytes: sizes.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
    estimatedRows: sizes.reduce<number | null>(
      (sum, { rows }) => (sum === null || rows === null ? null : sum + rows),
      0,
    ),
  }
}

/** Foreign tables among its partitions. */
function readForeign(session: Session, name: TableName): Promise<TableName[]> {
  return readPartitions(session, name, sql`p.relkind = 'p' and c.relkind = 'f'`)
}

/** Those without partitions of their own: itself, where it has none. */
function readLeaves(session: Session, name: TableName): Promise<TableName[]> {
  return readPartitions(session, name, sql`c.relkind <> 'p'`)
}

/** Tables in columns, which have no row versions, among them. */
function readColumnar(session: Session, name: TableName): Promise<TableName[]> {
  return readPartitions(
    session,
    name,
    sql`exists (select from pg_am m where m.oid = c.relam and m.amname = 'columnar')`,
  )
}

function readPartitions(session: Session, name: TableName, which: Sql): Promise<TableName[]> {
  return readAll<TableName>(
    session,
    sql`
    select n.nspname as schema, c.relname as name
    from pg_class p cross join lateral (select relid::oid from pg_partition_tree(p.oid) union select p.oid) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
    where p.oid = to_regclass(${quoted(name).text}) and ${which} order by 1, 2`,
  )
}
