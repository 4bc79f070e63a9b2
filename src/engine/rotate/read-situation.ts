import { isReadable, readAtLeast, readGreatest, readNewest, lookWithin } from '../../catalog/partitions/rows.ts'
import {
  hasExclusion,
  readDefaultPartition,
  type DefaultPartition,
} from '../../catalog/partitions/default-partition.ts'
import { readColumnarFacts } from '../../catalog/partitions/columnar-facts.ts'
import { readMoveFacts } from '../../catalog/partitions/move-facts.ts'
import { putOnAllNodes } from '../../catalog/partitions/stored-leaves.ts'
import {
  readPartitionedTable,
  type Partition,
  type PartitionedTable,
} from '../../catalog/partitions/partitioned-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { readCompanionNames } from '../../catalog/situation.ts'
import { readClock } from '../../db/clock.ts'
import { forAMoment } from '../../db/for-a-moment.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { fromText, positionOf, type Position } from '../../grid/key.ts'
import { asIfOwned } from '../onlooker.ts'
import { validateTimezone } from '../../grid/grid.ts'
import { entriesAbout } from '../../journal/entries.ts'
import { journalExists, latestRun } from '../../journal/journal.ts'
import { holdsAround } from '../../journal/holds.ts'
import { movedPartitions } from '../../journal/moved.ts'
import { begunRetirements, rememberedNewest } from '../../journal/rotations.ts'
import { registeredSets } from '../../journal/sets.ts'
import { expiryKind, isClosed } from '../../plan/rotate/horizon.ts'
import { MOST_MOVED } from '../../plan/rotate/beside-default.ts'
import { inferPolicy } from '../../plan/rotate/policy.ts'
import { headOf } from '../../plan/rotate/rotate.ts'
import { missingRunway, textRange } from '../../plan/rotate/runway.ts'
import type { NewestRow, RotationSituation } from '../../plan/rotate/plan.ts'
import type { Newest } from '../../plan/rotate/begun.ts'
import type { SetPolicy } from '../../plan/language/policy.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** How long to scan for what only rows can tell, without an index. A glance does not ask for sizes either. */
export type Thoroughness = 'glance' | 'quick' | 'thorough'

const LOOKING_MS: Readonly<Record<Thoroughness, number>> = { glance: 4_000, quick: 4_000, thorough: 60_000 }

export interface Reading {
  /** A policy that counts instead of the registered one. */
  readonly instead?: SetPolicy | undefined
  /** Of a saved plan, by which it is planned again; by default now. */
  readonly moment?: string | undefined
  /** For display only (onlooker.ts). */
  readonly onlyLooks?: boolean | undefined
  /** The foreign server that partitions are moved to. */
  readonly to?: string | undefined
  /** Whether they are rewritten in columns. */
  readonly columnar?: boolean | undefined
}

/**
 * What a rotation of the set depends on, from one snapshot; undefined if the table is not partitioned.
 */
export async function readSituation(
  session: Session,
  server: ServerModel,
  name: TableName,
  journalSchema: string,
  thoroughness: Thoroughness,
  { instead, moment, onlyLooks = false, to, columnar = false }: Reading = {},
): Promise<RotationSituation | undefined> {
  return inSnapshot(session, async () => {
    const found = await readJournal(session, journalSchema, name, onlyLooks ? 'look' : 'work')
    const journal = instead === undefined ? found : { ...found, registered: instead }
    const kind = journal.registered?.kind ?? null
    const present = await readPartitionedTable(session, name, kind, thoroughness !== 'glance')
    if (present === undefined) return undefined
    const set = onlyLooks ? asIfOwned(present) : present
    const timezone = await readTimezone(session)
    const now = await readClock(session)
    const situation = {
      server: { ...server, now: moment ?? String(now) },
      readAt: String(now),
      journalSchema,
      set,
      timezone,
      thorough: thoroughness === 'thorough',
      ...journal,
    }
    const taken = await readCompanionNames(session, name)
    const policy = policyOf(set, journal.registered, timezone)
    const rows =
      policy === null ? NO_ROWS : await readRows(session, set, policy, journal.newestIn, now, LOOKING_MS[thoroughness])
    const fallback =
      policy === null ? null : await readFallback(session, situation, policy, rows, LOOKING_MS[thoroughness])
    const moving = to === undefined ? {} : { moveFacts: await readMoveFacts(session, name, to) }
    const rewriting = columnar ? { columnarFacts: await readColumnarFacts(session, name) } : {}
    const moved = await readMoved(session, journalSchema, set, to)
    return { ...situation, taken, ...rows, fallback, moved, ...moving, ...rewriting }
  })
}

/** Not asked of a table without foreign partitions that is not moved: of most. */
async function readMoved(session: Session, schema: string, set: PartitionedTable, to: string | undefined) {
  const isMoved = to !== undefined || set.partitions.some(({ kind }) => kind === 'foreign')
  return isMoved && (await journalExists(session, schema, 'look')) ? movedPartitions(session, schema, set.name) : []
}

/** What is known of the rows in a DEFAULT partition, in the ranges for which partitions are missing. */
async function readFallback(
  session: Session,
  { set, journalSchema, server }: Pick<RotationSituation, 'set' | 'journalSchema' | 'server'>,
  policy: SetPolicy,
  { newest, idRate }: RowPart,
  patienceMs: number,
): Promise<DefaultPartition | null> {
  const partition = set.partitions.find(({ isDefault }) => isDefault)
  if (partition === undefined || set.key === null) return null
  if (partition.empty && !(await hasExclusion(session, partition))) return null
  const deadline = performance.now() + patienceMs
  const cells = missingRunway(set, policy, { now: BigInt(server.now), head: headOf({ newest, set }), idRate })
  const ranges = cells.map((cell) => textRange(set, policy.kind, cell))
  const left = () => deadline - performance.now()
  return readDefaultPartition(session, partition, set.key, ranges, MOST_MOVED + 1, journalSchema, left)
}

type JournalPart = Pick<RotationSituation, 'registered' | 'holds' | 'begun' | 'unfinished' | 'newestIn'>

async function readJournal(
  session: Session,
  schema: string,
  name: TableName,
  to: 'work' | 'look',
): Promise<JournalPart> {
  if (!(await journalExists(session, schema, to)))
    return { registered: null, holds: [], begun: [], unfinished: null, newestIn: new Map() }
  const entries = await entriesAbout(session, schema, name)
  const run = entries.runs ? await latestRun(session, schema, name) : undefined
  return {
    registered: (await registeredSets(session, schema, name))[0]?.policy ?? null,
    holds: entries.holds ? await holdsAround(session, schema, name) : [],
    begun: entries.retirements ? await begunRetirements(session, schema, name) : [],
    unfinished: run?.status === 'running' ? { id: run.id, command: run.command } : null,
    newestIn: entries.closed ? await rememberedNewest(session, schema, name) : new Map(),
  }
}

/** The server's time zone setting for this role, which our sessions do not use; UTC if it is not the name of a zone. */
export function readTimezone(session: Session): Promise<string> {
  return forAMoment(session, 'time zone', () => askTimezone(session))
}

async function askTimezone(session: Session): Promise<string> {
  const { zone } = await readOne<{ zone: string }>(
    session,
    sql`select reset_val as zone from pg_settings where name = 'TimeZone'`,
  )
  try {
    validateTimezone(zone)
    return zone
  } catch {
    return 'UTC' // 'localtime', 'posixrules' and offsets are settings too
  }
}

function policyOf(set: PartitionedTable, registered: SetPolicy | null, timezone: string): SetPolicy | null {
  if (set.key === null || !set.actAsOwner) return null
  if (registered !== null) return registered.column === set.key.column ? registered : null
  const inferred = inferPolicy(set, timezone)
  return 'fix' in inferred ? null : inferred.policy
}

// ---- what only rows can tell ---------------------------------------------------------

type RowPart = Pick<RotationSituation, 'newest' | 'idRate' | 'newestIn'>

const NO_ROWS: RowPart = { newest: null, idRate: null, newestIn: new Map() }

async function readRows(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  remembered: ReadonlyMap<string, Newest>,
  now: bigint,
  patienceMs: number,
): Promise<RowPart> {
  const deadline = performance.now() + patienceMs
  const left = () => deadline - performance.now()
  // Citus has a row's values made into text on the node that has it, in the time zone there.
  if (set.citus !== undefined) await putOnAllNodes(session, {})
  const newest = await readNewestRow(session, set, policy, now, left)
  const head = newest === null || newest === 'unknown' ? null : newest
  if (policy.kind !== 'id') return { newest, idRate: null, newestIn: remembered }
  return {
    newest,
    idRate: head === null ? null : await readRate(session, set, policy, head, now, left),
    newestIn: head === null ? remembered : await lookedAt(session, set, policy, head.key, remembered, left),
  }
}

/**
 * Partitions are searched from the newest down to the first with a row; future ones may be empty, or hold a row of
 * the year 2099.
 */
async function readNewestRow(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  now: bigint,
  left: () => number,
): Promise<NewestRow | null | 'unknown'> {
  const here = policy.kind === 'id' ? null : positionOf(policy.kind, now, policy.timezone)
  const begun = set.partitions.filter(
    (partition) =>
      isReadable(partition) && partition.range !== null && (here === null || (partition.range.from ?? here) <= here),
  )
  const time = expiryKind(set, policy)
  const timeColumn = time === null ? null : policy.expireBy // it may have been renamed or dropped
  for (const { name } of begun.toReversed()) {
    const row = await lookWithin(session, left(), () => readGreatest(session, name, policy.column, timeColumn))
    if (row === 'unknown') return 'unknown'
    if (row === undefined) continue
    return {
      key: fromText(policy.kind, row.key),
      time: row.time === null || time === null ? null : placed(() => fromText(time, row.time ?? '')),
    }
  }
  return null
}

/** Ids per microsecond in a set by id; null if unknown, or not found within a few seconds. */
export async function readIdRate(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  now: bigint,
): Promise<number | null> {
  const deadline = performance.now() + LOOKING_MS.quick
  const left = () => deadline - performance.now()
  const newest = await readNewestRow(session, set, policy, now, left)
  return newest === null || newest === 'unknown' ? null : readRate(session, set, policy, newest, now, left)
}

/** Ids per microsecond over the last partition: the current rate, including idle hours. */
async function readRate(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  head: NewestRow,
  now: bigint,
  left: () => number,
): Promise<number | null> {
  const { expireBy, every } = policy
  if (every.kind === 'ids' || expireBy === null || expiryKind(set, policy) !== 'timestamptz') return null
  const width = set.partitions.reduce(
    (last, { range }) => (range?.from != null && range.to != null ? range.to - range.from : last),
    0n,
  )
  const earlier = await lookWithin(session, left(), () =>
    readAtLeast(session, set.name, policy.column, head.key - width, expireBy),
  )
  if (earlier === 'unknown' || earlier?.time == null) return null
  const then = placed(() => fromText('timestamptz', earlier.time ?? ''))
  const ids = head.key - BigInt(earlier.key)
  return then === null || then >= now || ids <= 0n ? null : Number(ids) / Number(now - then)
}

/** The newest times of closed partitions not yet in the journal; as many as the time allows, oldest first. */
async function lookedAt(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  head: Position,
  remembered: ReadonlyMap<string, Newest>,
  left: () => number,
): Promise<ReadonlyMap<string, Newest>> {
  const found = new Map(remembered)
  for (const partition of closedUnknown(set, policy, head, remembered)) {
    const newest = await lookWithin(session, left(), () => readAge(session, set, policy, partition))
    if (newest === 'unknown') break
    found.set(partition.oid, newest)
  }
  return found
}

/** Closed partitions whose newest row has not been looked up. */
export function closedUnknown(
  set: PartitionedTable,
  policy: SetPolicy,
  head: Position,
  known: ReadonlyMap<string, Newest>,
): Partition[] {
  if (expiryKind(set, policy) === null) return []
  return set.partitions.filter(
    (partition) =>
      partition.kind !== 'foreign' &&
      !partition.detachPending &&
      isClosed(partition, head) &&
      !known.has(partition.oid),
  )
}

/** The newest expiry time in a partition by id. */
export async function readAge(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  partition: Pick<Partition, 'name'>,
): Promise<Newest> {
  const column = set.columns.find(({ name }) => name === policy.expireBy)
  const kind = expiryKind(set, policy)
  if (column === undefined || kind === null) throw new Error('a set by id without an expiring column has no ages')
  return readNewest(session, partition.name, column, kind)
}

function placed(read: () => Position): Position | null {
  try {
    return read()
  } catch {
    return null // infinity, or a year beyond the calendar: no evidence of anything
  }
}
