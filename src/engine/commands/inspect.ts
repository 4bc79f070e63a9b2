import { readPatiently } from '../locks/patiently.ts'
import { isTimeType } from '../../catalog/table/calendar-kind.ts'
import {
  readActivity,
  readLongTransactions,
  type Activity,
  type LongTransaction,
} from '../../catalog/inspect-activity.ts'
import { readPartitionMap, type MapEntry } from '../../catalog/partitions/inspect-partitions.ts'
import { readReferences, type Reference } from '../../catalog/references/inspect-references.ts'
import { isKeyType, readKey, sampleIds, type KeyModel } from '../../catalog/table/key-model.ts'
import { readPresentTable, resolveTable } from '../../catalog/table/read-table.ts'
import { isLocal, readNodeShares, readShardSizes, type CitusTable, type NodeShare } from '../../catalog/citus.ts'
import { readCitus, readManagers, type Manager } from '../../catalog/managers.ts'
import { readLooks, readServer, type ServerModel } from '../../catalog/server-model.ts'
import { readPrivileges, readUpserts } from '../../catalog/situation.ts'
import type { Column, TableModel } from '../../catalog/table/table-model.ts'
import { readOne } from '../../db/query.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { adviseKeys, singlePrimaryKey, type KeyAdvice, type KeyCandidate } from '../../plan/advise/key-advice.ts'
import { risksOf, type Risk } from '../../plan/advise/risks.ts'
import type { Observer } from '../../events.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { assertOwnCode } from '../first-look.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { sql } from '../../sql/sql.ts'

/** A table and its analysis. */
export interface Inspection {
  readonly server: ServerModel
  readonly table: TableModel
  /** Whether the role may see all rows: it has SELECT, and no policy hides any. */
  readonly rowsReadable: boolean
  /** Columns that could be a key; empty if rows may not be read, or the table is already partitioned. */
  readonly keys: readonly KeyModel[]
  readonly activity: Activity
  /** Foreign keys of other tables onto this one. */
  readonly references: readonly Reference[]
  readonly longTransactions: readonly LongTransaction[]
  /** The partitions of a partitioned table. */
  readonly partitions: readonly MapEntry[]
  /** How it could be partitioned, best first. */
  readonly advice: readonly KeyAdvice[]
  readonly risks: readonly Risk[]
  /** What else creates or drops its partitions, or removes its rows. */
  readonly managers: readonly Manager[]
  /** How Citus stores it, and where: null where PostgreSQL does. */
  readonly citus: (CitusTable & { readonly shares: readonly NodeShare[] }) | null
}

export interface InspectOptions {
  readonly journalSchema: string
  readonly accept?: readonly string[]
  readonly observer: Observer
  readonly signal: AbortSignal
}

/** Inspects a table, in one READ ONLY transaction. Columns without an index are scanned for a few seconds at most. */
export async function inspect(target: Target, written: WrittenName, options: InspectOptions): Promise<Inspection> {
  return readPatiently(target, 'inspect', options, (session) =>
    inSnapshot(session, async () => {
      const server = await readServer(session, options.journalSchema)
      const name = await resolveTable(session, written)
      await assertOwnCode(session, server, name, options)
      const table = await readPresentTable(session, name, server.version)
      return look(session, server, table, options)
    }),
  )
}

async function look(
  session: Session,
  server: ServerModel,
  shell: TableModel,
  options: InspectOptions,
): Promise<Inspection> {
  const rowsReadable = await mayReadRows(session, shell)
  const citus = await readStoredByCitus(session, shell.name)
  const partitions = await readPartitionMap(session, shell.name)
  const table = await sizedByCitus(session, citus, shell, partitions)
  const hasKeys = table.kind === 'table' && rowsReadable && citus === null
  const candidates = hasKeys ? await readCandidates(session, table, options) : []
  const situation = {
    server,
    journalSchema: options.journalSchema,
    table,
    rowsReadable,
    privileges: await readPrivileges(session, table),
    keys: distinctKeys(candidates),
    activity: await readActivity(session, table.name),
    references: await readReferences(session, table.name),
    longTransactions: await readLongTransactions(session, table.name),
    partitions,
    looks: await readLooks(session),
    managers: await readManagers(session, table.name),
  }
  const isOurs = citus === null && !situation.managers.some(({ by }) => by === 'TimescaleDB')
  const { keys, activity, references, longTransactions } = situation
  const upserts = await readUpserts(session, table)
  return {
    server,
    table,
    rowsReadable,
    keys,
    activity,
    references,
    longTransactions,
    partitions,
    advice: table.kind === 'table' && isOurs ? adviseKeys({ table, candidates, upserts, now: BigInt(server.now) }) : [],
    risks: risksOf(situation),
    managers: situation.managers,
    citus: citus === null ? null : { ...citus, shares: await readNodeShares(session, table.name) },
  }
}

async function readStoredByCitus(session: Session, name: TableName): Promise<CitusTable | null> {
  const citus = await readCitus(session, name)
  return citus === null || isLocal(citus) || citus.kind === 'shard' ? null : citus
}

/** With the size and rows of its shards: the file here is empty. */
async function sizedByCitus(
  session: Session,
  citus: CitusTable | null,
  table: TableModel,
  partitions: readonly MapEntry[],
): Promise<TableModel> {
  if (citus === null) return table
  const { bytes = null, rows = null } = (await readShardSizes(session, [table.name])).get(quoted(table.name).text) ?? {}
  const counts = partitions.length === 0 ? [rows] : partitions.map((partition) => partition.estimatedRows)
  const estimatedRows = counts.reduce((sum, some) => (sum === null || some === null ? null : sum + some), 0)
  return { ...table, estimatedRows, size: { ...table.size, heap: bytes ?? 0, indexes: 0, toast: 0 } }
}

/** Rows are read for ranges only, and only if no policy hides any. */
async function mayReadRows(session: Session, table: TableModel): Promise<boolean> {
  const { may } = await readOne<{ may: boolean }>(
    session,
    sql`select has_table_privilege(${quoted(table.name).text}, 'select') and not row_security_active(${quoted(table.name).text}) as may`,
  )
  return may
}

/** Columns without an index need a full scan; beyond this number only the planner's statistics are used. */
const MOST_COLUMNS = 12
/** Scanning less is not noticeable. */
const LONG_READ_BYTES = 200_000_000

async function readCandidates(session: Session, table: TableModel, options: InspectOptions): Promise<KeyCandidate[]> {
  const candidates: KeyCandidate[] = []
  for (const column of possibleKeys(table)) {
    options.signal.throwIfAborted()
    if (!leadsIndex(table, column) && table.size.heap > LONG_READ_BYTES)
      options.observer({
        table: table.name,
        runId: null,
        type: 'note',
        text: `no index leads with ${column.name}: scanning for a few seconds`,
      })
    const key = await readKey(session, table, column.name)
    candidates.push({ key, expireBy: null, samples: [] })
  }
  const byId = await readGrowingId(session, table, candidates)
  return byId === undefined ? candidates : [byId, ...candidates]
}

function possibleKeys(table: TableModel): Column[] {
  const worth = (column: Column) => (leadsIndex(table, column) ? 2 : 0) + (isTimeType(column.type) ? 1 : 0)
  return table.columns
    .filter(({ type, generated }) => isKeyType(type) && !generated)
    .sort((a, b) => worth(b) - worth(a))
    .slice(0, MOST_COLUMNS)
}

function leadsIndex(table: TableModel, { name }: Column): boolean {
  return table.indexes.some(({ columns }) => columns[0] === name)
}

/** An integer primary key, with the time that correlates best. */
async function readGrowingId(
  session: Session,
  table: TableModel,
  candidates: readonly KeyCandidate[],
): Promise<KeyCandidate | undefined> {
  const id = singlePrimaryKey(table)
  const key = candidates.find((candidate) => candidate.key.column === id)?.key
  const time = bestTime(table, candidates)
  if (key === undefined || time === undefined || !/^(bigint|integer)$/.test(key.type)) return undefined
  return { key, expireBy: time, samples: await sampleIds(session, table, key.column, time) }
}

function bestTime(table: TableModel, candidates: readonly KeyCandidate[]): string | undefined {
  const notNull = (column: string) => table.columns.some(({ name, notNull }) => name === column && notNull)
  const worth = ({ column, correlation }: KeyModel) => (notNull(column) ? 2 : 0) + (correlation ?? 0)
  return candidates
    .map(({ key }) => key)
    .filter(({ type }) => isTimeType(type))
    .sort((a, b) => worth(b) - worth(a))[0]?.column
}

function distinctKeys(candidates: readonly KeyCandidate[]): KeyModel[] {
  return candidates.filter(({ expireBy }) => expireBy === null).map(({ key }) => key)
}

/** The current partitions of a table. */
export async function partitionMapOf(target: Target, table: TableName): Promise<MapEntry[]> {
  return withSession(target, 'inspect', (session) => inSnapshot(session, () => readPartitionMap(session, table)))
}

/** Resolves a name for the role that connects. Only the catalogue is read, so nothing that is locked is waited for. */
export async function resolveName(target: Target, written: WrittenName): Promise<TableName> {
  return withSession(target, 'resolve', (session) => inSnapshot(session, () => resolveTable(session, written)))
}
