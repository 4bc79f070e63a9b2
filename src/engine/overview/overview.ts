import { readPartitionSizes, type PartitionSize } from '../../catalog/partitions/partition-sizes.ts'
import { readServer, type ServerModel } from '../../catalog/server-model.ts'
import { calendarKind } from '../../catalog/table/calendar-kind.ts'
import { readClock } from '../../db/clock.ts'
import { readAll } from '../../db/query.ts'
import type { Session, Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import type { KeyKind } from '../../grid/key.ts'
import { paceIntervals, type PaceInterval } from '../../journal/pace-intervals.ts'
import {
  archivesByTable,
  removedPartitions,
  rotatedLately,
  type ArchivedOfTable,
  type RemovedPartition,
  type RotatedLately,
} from '../../journal/rotation-history.ts'
import { rememberedNewest } from '../../journal/rotations.ts'
import { hasRunFigures, readPieces, readRunFigures, type Pieces, type RunFigures } from '../../journal/run-figures.ts'
import type { SetPolicy } from '../../plan/language/policy.ts'
import type { Newest } from '../../plan/rotate/begun.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { status, type StatusReport } from '../runs/status.ts'

/** What a person wants to see of all that is managed here, with its history. */
export interface Overview {
  readonly status: StatusReport
  readonly server: Pick<ServerModel, 'versionText' | 'database' | 'inRecovery'>
  /** By the server's clock, in microseconds since the epoch. */
  readonly now: bigint
  /** Those of the status whose tables are there. */
  readonly sets: readonly SetOverview[]
  readonly archived: readonly ArchivedOfTable[]
  /** Of the runs of the status; null where an earlier version has written the journal. */
  readonly figures: readonly RunFigures[] | null
  /** Of the latest runs that worked in pieces. */
  readonly courses: readonly RunCourse[]
}

/** A table managed by rotate, with its partitions. */
export interface SetOverview {
  readonly table: TableName
  readonly policy: SetPolicy
  readonly rotatedAt: Date | null
  readonly partitions: readonly PartitionSize[]
  /** What the column is by which rows expire; null where none is. */
  readonly expiryKind: KeyKind | null
  /** By id: the newest time in partitions that receive no rows any more, by their oids. */
  readonly newestIn: ReadonlyMap<string, Newest>
  /** In the order in which they were removed. */
  readonly removed: readonly RemovedPartition[]
  /** Of the last `LATELY_DAYS` days; null where nothing was done. */
  readonly lately: RotatedLately | null
}

/** How a run went over time. */
export interface RunCourse {
  readonly runId: string
  readonly pieces: readonly Pieces[]
  readonly pace: readonly PaceInterval[]
}

export const LATELY_DAYS = 30
/** Runs whose course is read. */
const COURSES = 10
/** Spans of time into which the pieces of a run are put together. */
const SPANS = 60

/** Reads it in READ ONLY transactions: from a standby, too, and with no right but to read the journal. */
export async function readOverview(target: Target, options: EngineOptions): Promise<Overview> {
  const report = await status(target, options)
  return readPatiently(target, 'report', options, (session) =>
    inSnapshot(session, async () => ({
      status: report,
      server: await readServer(session, options.journalSchema),
      now: await readClock(session),
      ...(await readAllOf(session, options.journalSchema, report)),
    })),
  )
}

type FromJournal = Pick<Overview, 'sets' | 'archived' | 'figures' | 'courses'>

async function readAllOf(session: Session, schema: string, { sets, runs }: StatusReport): Promise<FromJournal> {
  const tables = sets.filter(({ exists }) => exists)
  const runIds = runs.map(({ id }) => id)
  // Without runs and without tables there may be no journal either.
  if (sets.length === 0 && runs.length === 0) return { sets: [], archived: [], figures: [], courses: [] }
  const figures = (await hasRunFigures(session, schema)) ? await readRunFigures(session, schema, runIds) : null
  return {
    sets: await readSets(session, schema, tables),
    archived: await archivesByTable(session, schema),
    figures,
    courses: await readCourses(session, schema, figures ?? []),
  }
}

async function readSets(
  session: Session,
  schema: string,
  sets: readonly Pick<SetOverview, 'table' | 'policy' | 'rotatedAt'>[],
): Promise<SetOverview[]> {
  const partitions = await readPartitionSizes(
    session,
    sets.map(({ table }) => table),
  )
  const removed = await removedPartitions(session, schema)
  const lately = await rotatedLately(session, schema, LATELY_DAYS)
  const found: SetOverview[] = []
  for (const [i, { table, policy, rotatedAt }] of sets.entries())
    found.push({
      ...{ table, policy, rotatedAt, partitions: partitions[i] ?? [] },
      expiryKind: policy.kind === 'id' ? await readExpiryKind(session, table, policy) : policy.kind,
      newestIn: policy.kind === 'id' ? await rememberedNewest(session, schema, table) : new Map(),
      removed: removed.filter((one) => sameName(one.table, table)),
      lately: lately.find((one) => sameName(one.table, table)) ?? null,
    })
  return found
}

async function readExpiryKind(
  session: Session,
  { schema, name }: TableName,
  { expireBy }: SetPolicy,
): Promise<KeyKind | null> {
  const [column] = await readAll<{ type: string }>(
    session,
    sql`select format_type(a.atttypid, a.atttypmod) as type from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${name} and a.attname = ${expireBy}`,
  )
  return column === undefined ? null : calendarKind(column.type)
}

async function readCourses(session: Session, schema: string, figures: readonly RunFigures[]): Promise<RunCourse[]> {
  const charted = figures.filter(({ pieces, pace }) => pieces !== null || pace !== null).slice(0, COURSES)
  const runIds = charted.map(({ runId }) => runId)
  if (runIds.length === 0) return []
  const pieces = await readPieces(session, schema, runIds, SPANS)
  const courses: RunCourse[] = []
  for (const runId of runIds) {
    const pace = await paceIntervals(session, schema, runId)
    courses.push({ runId, pieces: pieces.filter((one) => one.runId === runId), pace })
  }
  return courses
}
