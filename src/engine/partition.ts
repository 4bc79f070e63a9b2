import { readKey, sampleIds } from '../catalog/key-model.ts'
import { readTable, resolveTable } from '../catalog/read-table.ts'
import { readServer, type ServerModel } from '../catalog/server-model.ts'
import { knowsTimezone, readPrivileges, readTakenNames, readUpserts } from '../catalog/situation.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { inSnapshot, withSession, type Session, type Target } from '../db/session.ts'
import { EbbError, EXIT, ObjectionsError, UsageError } from '../errors.ts'
import { endRun, journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import { registerSet } from '../journal/sets.ts'
import type { KeyEvidence } from '../plan/key-choice.ts'
import { isTimeType } from '../plan/key-objections.ts'
import { planPartition, type PartitionPlan, type PartitionSituation } from '../plan/partition.ts'
import type { PartitionRequest } from '../plan/request.ts'
import { canonicalJson, fromStored, toStored } from '../plan/stored.ts'
import { OLDEST_VERSION } from '../plan/server-objections.ts'
import { kindObjection } from '../plan/table-objections.ts'
import type { Pacing } from '../pacing/limits.ts'
import type { LockTimes, Observer } from '../report/events.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../version.ts'
import type { Patience } from './brief.ts'
import type { CopySizes } from './copy/sizes.ts'
import { executeRun, type ExecuteOptions, type StepResult } from './execute.ts'
import { atWork, type Workplace } from './workplace.ts'

export interface EngineOptions {
  /** Free disk where a copy would go, in bytes, if somebody knows: PostgreSQL does not tell. */
  readonly diskFree?: number
  readonly journalSchema: string
  readonly observer: Observer
  readonly signal: AbortSignal
  readonly patience?: Patience
  readonly copySizes?: CopySizes
  /** Of batches, chunks, and partitions that go. */
  readonly pacing?: Pacing
  /** The server's clock as it was read before, so that several plans mean the same moment: microseconds since the epoch. */
  readonly now?: string
}

export interface PartitionResult {
  readonly runId: string
  readonly plan: PartitionPlan
  /** Of this call; those an earlier call had done are not repeated. */
  readonly steps: readonly StepResult[]
  /** What the swap has cost the others; null when an earlier call did it. */
  readonly swap: LockTimes | null
  readonly nothingToDo: boolean
}

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export async function planPartitionOf(
  target: Target,
  written: WrittenName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<PartitionPlan> {
  return withSession(target, 'plan partition', async (session) => {
    const { server, name } = await arrive(session, written, options)
    return (await readPlan(session, server, name, request, options)).plan
  })
}

/**
 * Converts a table into partitions, or goes on with a conversion that was
 * interrupted, from the plan that was agreed to then.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function partition(
  target: Target,
  written: WrittenName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<PartitionResult> {
  const { server, name, found } = await withSession(target, 'plan partition', async (session) => {
    const arrived = await arrive(session, written, options)
    return { ...arrived, found: await findPlan(session, arrived.server, arrived.name, request, options) }
  })
  if (found.state === 'done') return { runId: found.runId, plan: found.plan, steps: [], swap: null, nothingToDo: true }
  if (found.plan.objections.length > 0) throw new ObjectionsError(found.plan.goal, found.plan)

  return atWork({ target, server, ...options, command: 'partition' }, name, async (place) => {
    const { session, journalSchema } = place
    await assertLatest(place, name, found.earlier)
    const runId =
      found.state === 'unfinished'
        ? found.runId
        : await startRun(session, journalSchema, {
            command: 'partition',
            table: name,
            request: toStored(request),
            plan: toStored(found.plan),
            version: VERSION,
          })
    return carryOut(runId, found.plan, place, options)
  })
}

/** Takes an agreed plan to its end. */
export async function carryOut(
  runId: string,
  plan: PartitionPlan,
  place: Workplace,
  options: { readonly patience?: Patience },
): Promise<PartitionResult> {
  const { session, journalSchema } = place
  const alongside: ExecuteOptions['alongside'] = {
    // From the moment of the swap the table is a set that rotate keeps.
    swap: () =>
      plan.conversion === null ? [] : [registerSet(session, journalSchema, plan.table, plan.conversion.policy, runId)],
  }
  const steps = await executeRun(runId, plan.steps, place, {
    alongside,
    ...(options.patience === undefined ? {} : { patience: options.patience }),
  })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps, swap: steps.find(({ key }) => key === 'swap')?.lock ?? null, nothingToDo: false }
}

/** The first look at the server and the table; a server that cannot be worked with is refused in the plan. */
export async function arrive(
  session: Session,
  written: WrittenName,
  options: EngineOptions,
): Promise<{ server: ServerModel; name: TableName }> {
  return inSnapshot(session, async () => {
    const server = await readServer(session, options.journalSchema)
    assertSupported(server)
    const { now = server.now } = options
    return { server: { ...server, now }, name: await resolveTable(session, written) }
  })
}

/** What follows asks for columns of the catalogue that older servers do not have. */
function assertSupported(server: ServerModel): void {
  if (server.version >= OLDEST_VERSION) return
  throw new EbbError(
    `this is PostgreSQL ${server.versionText}, and Ebb needs ${OLDEST_VERSION / 10_000} or later`,
    { state: 'Nothing has been changed.', next: 'Update the server first, or partition with other means.' },
    EXIT.objections,
  )
}

/** A new plan, or the one that was agreed to earlier; beside the latest run that was there when it was looked for. */
type Found = { readonly earlier: Run | undefined } & (
  | { readonly state: 'new'; readonly plan: PartitionPlan }
  | { readonly state: 'unfinished' | 'done'; readonly runId: string; readonly plan: PartitionPlan }
)

/**
 * Plans are made before the lease is had. Whoever had it before may have come
 * to an end in between, and then the plan is about a table of the past.
 *
 * @throws {EbbError} when the latest run of the table is not the one that was seen, or not as it was
 */
export async function assertLatest(place: Workplace, table: TableName, seen: Run | undefined): Promise<void> {
  const latest = await latestRun(place.session, place.journalSchema, table)
  if (latest?.id === seen?.id && latest?.status === seen?.status) return
  throw new EbbError(
    `another run has worked on ${display(table)} in the meantime`,
    {
      state: 'This command has changed nothing.',
      next: 'Look at ebb status, and run this command again if it is still wanted.',
    },
    EXIT.tryLater,
  )
}

async function findPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<Found> {
  const earlier = (await journalExists(session, options.journalSchema))
    ? await latestRun<PartitionPlan>(session, options.journalSchema, name)
    : undefined
  if (earlier?.status === 'running') {
    if (!isSame(earlier, request)) throw otherRun(earlier)
    return { state: 'unfinished', earlier, runId: earlier.id, plan: fromStored(earlier.plan) }
  }
  const { plan, table } = await readPlan(session, server, name, request, options)
  if (earlier?.status === 'done' && isSame(earlier, request) && table.kind === 'partitioned table')
    return { state: 'done', earlier, runId: earlier.id, plan: fromStored(earlier.plan) }
  return { state: 'new', earlier, plan }
}

function isSame(run: Run, request: PartitionRequest): boolean {
  return run.command === 'partition' && canonicalJson(run.request) === canonicalJson(toStored(request))
}

/** Another run has begun on the table and is not finished. */
export function otherRun(run: Run): EbbError {
  return new EbbError(
    `run ${run.id} (ebb ${run.command} ${display(run.table)}) is unfinished, and was started with other settings`,
    {
      state: 'This command has changed nothing.',
      next: `Finish it with ebb resume ${run.id}, or undo it with ebb abandon ${run.id}, before starting another.`,
    },
    EXIT.objections,
  )
}

async function readPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<{ plan: PartitionPlan; table: TableModel }> {
  const situation = await inSnapshot(session, () => readSituation(session, server, name, request, options))
  return { table: situation.table, plan: planPartition(situation, request) }
}

/** Everything that a conversion depends on, in the snapshot that is open. */
export async function readSituation(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: PartitionRequest,
  { journalSchema }: EngineOptions,
): Promise<PartitionSituation> {
  if (!(await knowsTimezone(session, request.timezone)))
    throw new UsageError(
      `the server knows no time zone ${JSON.stringify(request.timezone)}`,
      'Use a name from pg_timezone_names, such as Europe/Berlin.',
    )
  const table = await readTable(session, name, server.version)
  if (table === undefined)
    throw new UsageError(`${display(name)} has just been dropped or renamed`, 'Check what happened to it.')
  const privileges = await readPrivileges(session, table)
  const taken = await readTakenNames(session, name.schema)
  const readable = kindObjection(table) === undefined && privileges.actAsOwner && !privileges.rowsHidden
  const evidence = readable ? await readEvidence(session, server, table, request) : null
  const upserts = await readUpserts(session, table)
  return { server, journalSchema, table, privileges, evidence, upserts, taken }
}

async function readEvidence(
  session: Session,
  server: ServerModel,
  table: TableModel,
  request: PartitionRequest,
): Promise<KeyEvidence | null> {
  const has = (column: string | null) => table.columns.some(({ name }) => name === column)
  if (!has(request.by)) return null
  const key = await readKey(session, table, request.by)
  const time = table.columns.find(({ name }) => name === request.expireBy)
  const byId = request.expireBy !== null && isTimeType(time?.type) && /^(bigint|integer)$/.test(key.type) && key.indexed
  const samples = byId ? await sampleIds(session, table, request.by, request.expireBy) : []
  return { key, samples, now: BigInt(server.now) }
}
