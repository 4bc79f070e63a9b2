import { isLocal, type CitusTable } from '../../catalog/citus.ts'
import { readCitus } from '../../catalog/managers.ts'
import { readRunway, type Runway } from '../../catalog/partitions/runway.ts'
import { readUnplannedRows, type UnplannedRows } from '../../catalog/partitions/unplanned-rows.ts'
import type { Session, Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { archivesInProgress } from '../../journal/archives.ts'
import { holdsInForce } from '../../journal/holds.ts'
import { doneSteps, journalExists, recentRuns, type Run, type RunStatus } from '../../journal/journal.ts'
import { tablesAtWork } from '../../journal/lease.ts'
import { allBegunRetirements } from '../../journal/rotations.ts'
import { readFigures } from '../../journal/purges.ts'
import { presentAction } from '../purge/progress.ts'
import { registeredSets, type RegisteredSet } from '../../journal/sets.ts'
import type { Hold } from '../../plan/language/hold.ts'
import { actionText } from '../../plan/purge/action-sql.ts'
import { goesFrom } from '../../plan/rotate/grace.ts'
import { distinctNames, sameName, type TableName } from '../../sql/names.ts'
import type { PurgePlan } from '../../plan/purge/purge.ts'
import { dropHelper } from '../../plan/references/helper-index.ts'
import type { Leftover } from '../../plan/copy/leftovers.ts'
import { readLeftovers } from './leftovers.ts'
import { readRetired, type RetiredTable } from './retired.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import type { StorablePlan } from '../command.ts'
import { fromStored } from '../../plan/language/stored.ts'
import { FORMAT, SWAPS } from '../stored-plan.ts'

/** The runs of a database, and the tables managed there. */
export interface StatusReport {
  readonly runs: readonly RunStatusLine[]
  readonly sets: readonly SetStatus[]
  /** Change captures of no run that the journal knows. */
  readonly leftovers: readonly Leftover[]
  /** Restored rows that no command removes before a date. */
  readonly holds: readonly Hold[]
  /** Partitions that rotate has detached and not dropped yet. */
  readonly detached: readonly DetachedPartition[]
  /** Archives without a receipt, or without the removal document of what was removed. */
  readonly archives: readonly ArchiveStatus[]
}

/** A table that was a partition. */
export interface DetachedPartition {
  readonly table: TableName
  /** Its present name. */
  readonly partition: TableName
  readonly bytes: number
  readonly detachedAt: Date
  /** What a rotation does with it then; a truncated one is attached again. */
  readonly method: 'drop' | 'truncate'
  /** From when on rotate may drop it; null: with the next rotation, for the last one was interrupted. */
  readonly goesAt: Date | null
  /** Why it is not dropped then. */
  readonly kept: 'renamed' | 'written' | null
}

/** What the next run of the command that has begun an archive finishes. */
export interface ArchiveStatus {
  readonly id: string
  /** Null where the command has no run. */
  readonly runId: string | null
  readonly command: string
  readonly table: TableName
  readonly store: string
  readonly begunAt: Date
  /** Otherwise its objects are left over. */
  readonly hasReceipt: boolean
}

/** A table managed by rotate. */
export interface SetStatus extends RegisteredSet {
  /** Null where the table does not exist. */
  readonly runway: Runway | null
  /** Rows in its DEFAULT partition. */
  readonly unplanned: UnplannedRows | null
  /** How Citus stores it; null where PostgreSQL does. */
  readonly citus: CitusTable | null
}

/** A run in short. */
export interface RunStatusLine {
  readonly id: string
  readonly command: string
  readonly table: TableName
  readonly status: RunStatus
  readonly startedAt: Date
  readonly endedAt: Date | null
  readonly stepsDone: number
  readonly steps: number
  readonly lastError: string | null
  /**
   * For a conversion interrupted before its swap: the key from which on rows are rejected until it is resumed or
   * abandoned.
   */
  readonly refusesFrom: string | null
  /** Of an unfinished purge: tables that have a temporary index until it is resumed or abandoned. */
  readonly helped: readonly TableName[]
  /** Its tables have changed places already: `abandon` would not undo that. */
  readonly swapped: boolean
  /** Whether it is unfinished, and a run is running on its table. */
  readonly atWork: boolean
  /** Rows processed in batches so far: deleted, marked, or recorded; null for other commands. */
  readonly rows: number | null
}

/** Unfinished and recent runs, and the tables managed by rotate. */
export async function status(target: Target, options: EngineOptions): Promise<StatusReport> {
  return readPatiently(target, 'status', options, (session) =>
    inSnapshot(session, () => readStatus(session, options.journalSchema)),
  )
}

/** The same with the retired tables, by one session and as of one moment. */
export async function statusWithRetired(
  target: Target,
  options: EngineOptions,
): Promise<StatusReport & { readonly retired: readonly RetiredTable[] }> {
  const { journalSchema } = options
  return readPatiently(target, 'status', options, (session) =>
    inSnapshot(session, async () => {
      const report = await readStatus(session, journalSchema)
      const exists = await journalExists(session, journalSchema, 'look')
      return { ...report, retired: exists ? await readRetired(session, journalSchema) : [] }
    }),
  )
}

async function readStatus(session: Session, schema: string): Promise<StatusReport> {
  // First: it says what a role lacks that may not read the journal.
  const exists = await journalExists(session, schema, 'look')
  const leftovers = await readLeftovers(session, schema)
  if (!exists) return { runs: [], sets: [], holds: [], detached: [], leftovers, archives: [] }
  const sets: SetStatus[] = []
  for (const set of await registeredSets(session, schema)) {
    const runway = set.exists ? await readRunway(session, set.table, set.policy) : null
    const citus = set.exists ? await readCitus(session, set.table) : null
    sets.push({
      ...set,
      runway,
      citus: citus === null || isLocal(citus) ? null : citus,
      unplanned: set.exists ? await readUnplannedRows(session, set.table) : null,
    })
  }
  const busy = await tablesAtWork(session, schema)
  const runs: RunStatusLine[] = []
  for (const run of await recentRuns(session, schema)) runs.push(await statusLine(session, schema, run, busy))
  const archives = await readArchives(session, schema, busy)
  const detached = await readDetached(session, schema, sets)
  const holds = await holdsInForce(session, schema)
  return { runs, sets, holds, detached, leftovers, archives }
}

async function readDetached(
  session: Session,
  schema: string,
  sets: readonly RegisteredSet[],
): Promise<DetachedPartition[]> {
  const begun = await allBegunRetirements(session, schema)
  const detached = begun.filter(({ state }) => ['detached', 'renamed'].includes(state))
  return detached.flatMap(({ method, ...entry }) => {
    if (method !== 'drop' && method !== 'truncate') return []
    const policy = sets.find(({ table }) => sameName(table, entry.table))?.policy ?? null
    const goes = goesFrom(entry, { grace: null, accept: [], retire: 'drop' }, policy)
    return [
      {
        table: entry.table,
        partition: entry.called,
        bytes: entry.bytes,
        detachedAt: entry.detachedAt,
        method,
        goesAt: goes === null ? null : new Date(Number(goes / 1000n)),
        kept: entry.state === 'renamed' ? 'renamed' : entry.grace !== null && entry.written ? 'written' : null,
      },
    ]
  })
}

/** Without those that a run is at work on. */
async function readArchives(session: Session, schema: string, busy: readonly TableName[]): Promise<ArchiveStatus[]> {
  const entries = await archivesInProgress(session, schema)
  return entries
    .filter(({ table }) => !busy.some((one) => sameName(one, table)))
    .map(({ id, runId, command, table, store, begunAt, receipt }) => {
      return { id, runId, command, table, store, begunAt, hasReceipt: receipt !== null }
    })
}

async function statusLine(
  session: Session,
  schema: string,
  run: Run,
  busy: readonly TableName[],
): Promise<RunStatusLine> {
  const { id, command, table, status, startedAt, endedAt, lastError } = run
  const done = await doneSteps(session, schema, id)
  return {
    id,
    command,
    table,
    status,
    startedAt,
    endedAt,
    lastError,
    refusesFrom: await refusedFrom(run, done),
    helped: helpedBy(run, done),
    swapped: SWAPS.some((key) => done.has(key)),
    stepsDone: done.size,
    steps: run.stepCount ?? done.size,
    atWork: status === 'running' && busy.some((one) => sameName(one, table)),
    rows: isDeleting(run, done) ? (await readFigures(session, schema, id)).rows : null,
  }
}

/** Or marking, or recording keys for their own sake. */
function isDeleting({ command, plan, format }: Run, done: ReadonlySet<string>): boolean {
  const action = actionText(command)
  if (action === undefined || format !== FORMAT) return action !== undefined
  return presentAction({ command, plan: fromStored(plan) as StorablePlan }, done) === action
}

function helpedBy({ plan, format, status }: Run, done: ReadonlySet<string>): TableName[] {
  if (format !== FORMAT || status !== 'running') return []
  const { helpers = [] } = fromStored(plan) as Partial<PurgePlan>
  return distinctNames(helpers.filter((one) => !done.has(dropHelper(one).key)).map(({ table }) => table))
}

/** From the command, while the run is unfinished. */
async function refusedFrom(run: Run, done: ReadonlySet<string>): Promise<string | null> {
  if (run.format !== FORMAT || run.status !== 'running') return null
  const plan = fromStored(run.plan) as StorablePlan
  // Loads every command, which is most of Ebb.
  const { commandNamed } = await import('../commands/registry.ts')
  return commandNamed(run.command)?.refusesFrom?.({ ...run, plan }, done) ?? null
}
