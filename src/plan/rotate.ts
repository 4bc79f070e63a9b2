import { parseBounds } from '../catalog/partition-bounds.ts'
import { spanOf } from '../catalog/partition-key.ts'
import type { Partition, PartitionedTable, PartitionRange } from '../catalog/partitioned-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { minus, plus } from '../grid/grid.ts'
import { displayInterval } from '../grid/interval.ts'
import { displayPosition, positionOf, type KeyKind, type Position } from '../grid/key.ts'
import type { BegunRetirement, Newest } from './rotate-begun.ts'
import { display, type TableName } from '../sql/names.ts'
import {
  expiredByAge,
  expiredByBounds,
  expiryKind,
  horizonOf,
  isClosed,
  liesBefore,
  type Horizon,
} from './rotate-expiry.ts'
import {
  archiveObjection,
  clockObjection,
  clockUnchecked,
  noExpiry,
  noSuchExpiry,
  plural,
  policyDiffers,
  setObjections,
  truncateObjection,
  unfinishedRun,
} from './rotate-objections.ts'
import { describeEvery, inferPolicy } from './rotate-policy.ts'
import type { Retire, RotateRequest } from './rotate-request.ts'
import { dropStep, finalizeStep, retireSteps } from './rotate-retire.ts'
import { newestTable, planRunway, type Creation } from './rotate-runway.ts'
import type { RotationStep } from './rotate-step.ts'
import type { SetPolicy } from './request.ts'
import { serverNotes, serverObjections } from './server-objections.ts'
import type { BriefStep, Fate, Objection } from './step.ts'
import { showBytes, showCount } from './units.ts'

/** All that a rotation depends on, read in one moment. */
export interface RotationSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly set: PartitionedTable
  readonly registered: SetPolicy | null
  /** The server's own time zone, in which an unregistered set may have been laid out. */
  readonly timezone: string
  /** The newest row in the partitions up to now; null where there is none, `unknown` where it could not be found quickly. */
  readonly newest: NewestRow | null | 'unknown'
  /** Whether there was time to look for it; a plan that is only shown does not take it. */
  readonly thorough: boolean
  /** Of a set by id: ids in a microsecond; null where that cannot be told. */
  readonly idRate: number | null
  /** Of a set by id: the newest time in partitions, as far as it is known, by oid. */
  readonly newestIn: ReadonlyMap<string, Newest>
  /** What earlier rotations have begun and not ended. */
  readonly begun: readonly BegunRetirement[]
  /** A conversion or the like that is under way. */
  readonly unfinished: { readonly id: string; readonly command: string } | null
  /** Names in the set's schema. */
  readonly taken: ReadonlySet<string>
}

export interface NewestRow {
  readonly key: Position
  /** Of a set by id: the time of that row by which it will expire. */
  readonly time: Position | null
}

/**
 * What a rotation of one set will do. Objections keep only that from being
 * done which they are about: whatever is among the steps is done all the same.
 */
export interface RotationPlan {
  readonly goal: string
  readonly table: TableName
  /** Null where it cannot be told. */
  readonly policy: SetPolicy | null
  /** False for a set that this rotation will register. */
  readonly registered: boolean
  /** Null where nothing expires. */
  readonly horizon: Horizon | null
  readonly finalize: readonly Finalization[]
  readonly create: readonly Creation[]
  /** Detached by an interrupted rotation, and still to be dropped. */
  readonly leftovers: readonly Leftover[]
  /** Oldest first. */
  readonly retire: readonly Retirement[]
  /** What would be retired, were it not for the objections. */
  readonly withheld: readonly Retirement[]
  /** Partitions that stay although they are old, or may surprise by staying. */
  readonly skipped: readonly Skipped[]
  /** When the wide partition of everything before can go as a whole. */
  readonly historyGoesOn: { readonly partition: TableName; readonly position: Position; readonly shown: string } | null
  readonly evidence: readonly string[]
  readonly fates: readonly Fate[]
  readonly objections: readonly Objection[]
  readonly notes: readonly string[]
  readonly steps: readonly RotationStep[]
}

export interface Finalization {
  readonly partition: Partition
  readonly step: BriefStep
}

export interface Leftover {
  readonly begun: BegunRetirement
  readonly step: BriefStep
}

export interface Retirement {
  readonly partition: Partition
  readonly method: Retire
  /** The bounds for people. */
  readonly shown: { readonly from: string; readonly to: string }
  readonly rows: number | null
  readonly bytes: number
  /** Of a set by id: the newest time in it. */
  readonly newest: string | null
  readonly steps: readonly RotationStep[]
}

export interface Skipped {
  readonly partition: TableName
  readonly reason: string
}

/** Plans the upkeep of one set. Pure: same situation, same plan; the only clock in it is the server's. */
export function planRotation(situation: RotationSituation, request: RotateRequest): RotationPlan {
  const { set, server, registered, unfinished } = situation
  const impossible = serverObjections(server, situation.journalSchema)
  const fatal = impossible.length > 0 ? impossible : setObjections(set, server.role)
  if (fatal.length > 0) return refuse(set.name, registered, fatal)
  if (unfinished !== null)
    return refuse(set.name, registered, [unfinishedRun(set.name, unfinished.id, unfinished.command)])
  if (registered !== null && registered.column !== set.key?.column)
    return refuse(set.name, registered, [policyDiffers(set, registered.column)])
  if (registered !== null)
    return withPolicy(
      situation,
      request,
      registered,
      `by ${registered.column}, ${describeEvery(registered.every)}, ${registered.premake} ahead (registered)`,
    )
  const inferred = inferPolicy(set, situation.timezone)
  if ('wayOut' in inferred) return refuse(set.name, registered, [inferred])
  return withPolicy(situation, request, { ...inferred.policy, keep: request.keep }, inferred.evidence)
}

/** A plan that does nothing, and says why. */
export function refuse(table: TableName, registered: SetPolicy | null, objections: readonly Objection[]): RotationPlan {
  return {
    goal: `rotate ${display(table)}`,
    table,
    policy: registered,
    registered: registered !== null,
    horizon: null,
    finalize: [],
    create: [],
    leftovers: [],
    retire: [],
    withheld: [],
    skipped: [],
    historyGoesOn: null,
    evidence: [],
    fates: [],
    objections,
    notes: [],
    steps: [],
  }
}

function withPolicy(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  evidence: string,
): RotationPlan {
  const { set, server } = situation
  const now = BigInt(server.now)
  const finalize = set.partitions
    .filter(({ detachPending }) => detachPending)
    .map((partition) => ({ partition, step: finalizeStep(set, partition) }))
  const head = headOf(situation)
  const create = planRunway(set, policy, { ...situation, now, head, role: server.role })
  const expiry = planExpiry(situation, request, policy, now)
  const leftovers = planLeftovers(situation, request, policy, expiry.horizon)
  const blocked = expiry.objections.length > 0
  const retire = blocked ? [] : expiry.candidates
  return {
    ...refuse(set.name, situation.registered, expiry.objections),
    policy,
    horizon: expiry.horizon,
    finalize,
    create,
    leftovers: leftovers.finish,
    retire,
    withheld: blocked ? expiry.candidates : [],
    skipped: [...expiry.skipped, ...leftovers.skipped],
    historyGoesOn: historyGoesOn(set, policy, expiry),
    evidence: [evidence, ...describeExpiry(expiry, request.retire)],
    notes: [...serverNotes(server), ...notesOn(situation, policy, expiry, request)],
    steps: [
      ...finalize.map(({ step }) => step),
      ...create.map(({ step }) => step),
      ...leftovers.finish.map(({ step }) => step),
      ...retire.flatMap(({ steps }) => steps),
    ],
  }
}

/** The greatest id in use. Rows tell it, and so does the sequence they get theirs from. */
function headOf({ newest, set }: RotationSituation): Position | null {
  const row = newest === null || newest === 'unknown' ? null : newest.key
  if (set.key?.kind !== 'id' || set.sequencePosition === null) return row
  return row === null || set.sequencePosition > row ? set.sequencePosition : row
}

// ---- what has expired ------------------------------------------------------------

interface Expiry {
  readonly horizon: Horizon | null
  readonly candidates: readonly Retirement[]
  readonly skipped: readonly Skipped[]
  readonly objections: readonly Objection[]
  /** Closed partitions by id of which nobody has found out yet how old they are. */
  readonly unknown: number
}

const NOTHING_EXPIRES: Expiry = { horizon: null, candidates: [], skipped: [], objections: [], unknown: 0 }

function planExpiry(situation: RotationSituation, request: RotateRequest, policy: SetPolicy, now: bigint): Expiry {
  const { set } = situation
  const keep = request.keep ?? policy.keep
  if (keep === null) return NOTHING_EXPIRES
  if (policy.kind === 'id' && policy.expireBy === null) return { ...NOTHING_EXPIRES, objections: [noExpiry(set)] }
  const kind = expiryKind(set, policy)
  if (kind === null) return { ...NOTHING_EXPIRES, objections: [noSuchExpiry(set, policy.expireBy ?? '')] }

  const horizon = horizonOf(kind, policy.timezone, now, keep)
  const { expired, unknown } = expiredPartitions(situation, policy, horizon)
  const old = expired.filter((partition) => !(request.retire === 'truncate' && partition.empty))
  const removable = old.filter((partition) => reasonToLeave(partition, request.retire) === null)
  const candidates = removable.map((partition) => retirement(situation, policy, horizon, partition, request.retire))
  return {
    horizon,
    candidates,
    skipped: [
      ...old.flatMap((partition) => {
        const reason = reasonToLeave(partition, request.retire)
        return reason === null ? [] : [{ partition: partition.name, reason }]
      }),
      ...overlapping(set, policy, horizon),
      ...withoutBounds(set),
    ],
    objections: retireObjections(situation, request, policy, horizon, removable).filter(
      ({ code, acceptable }) => !(acceptable && request.accept.includes(code)),
    ),
    unknown,
  }
}

function expiredPartitions(
  { set, newest, newestIn }: RotationSituation,
  policy: SetPolicy,
  horizon: Horizon,
): { readonly expired: readonly Partition[]; readonly unknown: number } {
  const attached = set.partitions.filter(({ detachPending }) => !detachPending)
  if (policy.kind !== 'id') return { expired: expiredByBounds(attached, horizon.position), unknown: 0 }
  // Only rows tell that ids have grown past a partition: a sequence may have been set ahead.
  const head = newest === null || newest === 'unknown' ? null : newest.key
  return {
    expired: expiredByAge(attached, head, newestIn, horizon.position),
    unknown: attached.filter((partition) => isClosed(partition, head) && !newestIn.has(partition.oid)).length,
  }
}

/** Why a partition stays although all its rows have expired. */
function reasonToLeave(partition: Partition, method: Retire): string | null {
  if (partition.kind === 'foreign') return 'it is a foreign table: its rows are elsewhere'
  if (partition.kind === 'partitioned') return 'it is itself partitioned: somebody else looks after it'
  if (!partition.actAsOwner) return 'it belongs to a role that we may not act for'
  if (method === 'drop' && partition.dependents.length > 0)
    return `other objects stand on it: ${partition.dependents.join(', ')}`
  return null
}

/** Partitions with expired rows beside rows that are kept, which is worth knowing where they are wide. */
function overlapping({ partitions }: PartitionedTable, { kind }: SetPolicy, horizon: Horizon): Skipped[] {
  if (kind === 'id') return []
  return partitions.flatMap(({ name, range, detachPending }) => {
    if (range === null || detachPending || liesBefore(range, horizon.position)) return []
    if (range.from !== null && range.from >= horizon.position) return []
    return [
      {
        partition: name,
        reason: `only a part of its range lies before the horizon: it ends at ${end(range, kind, horizon)}`,
      },
    ]
  })
}

function withoutBounds({ partitions }: PartitionedTable): Skipped[] {
  return partitions.flatMap(({ name, range, isDefault, boundsText }) => {
    if (isDefault)
      return [{ partition: name, reason: 'it is the default partition: no bounds say how old its rows are' }]
    return range === null ? [{ partition: name, reason: `its bounds are not understood: ${boundsText}` }] : []
  })
}

function end(range: PartitionRange, kind: KeyKind, { timezone }: Horizon): string {
  return range.to === null ? 'no end' : displayPosition(kind, range.to, timezone)
}

function retirement(
  { set, newestIn }: RotationSituation,
  policy: SetPolicy,
  horizon: Horizon,
  partition: Partition,
  method: Retire,
): Retirement {
  const newest = policy.kind === 'id' ? newestIn.get(partition.oid) : undefined
  const shownNewest =
    newest === undefined
      ? null
      : typeof newest === 'bigint'
        ? displayPosition(horizon.kind, newest, horizon.timezone)
        : 'no rows'
  const shown = shownBounds(partition.range, policy)
  const because =
    shownNewest === null
      ? `all its rows lie before ${shown.to}, and the horizon is ${horizon.shown}`
      : `its newest row is of ${shownNewest}, and the horizon is ${horizon.shown}`
  return {
    partition,
    method,
    shown,
    rows: partition.empty ? 0 : partition.estimatedRows,
    bytes: partition.bytes,
    newest: shownNewest,
    steps: retireSteps(set, partition, method, because),
  }
}

function shownBounds(range: PartitionRange | null, { kind, timezone }: SetPolicy): { from: string; to: string } {
  const show = (position: Position | null | undefined, none: string) =>
    position === null || position === undefined ? none : displayPosition(kind, position, timezone)
  return { from: show(range?.from, 'the beginning'), to: show(range?.to, 'the end') }
}

function retireObjections(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon,
  removable: readonly Partition[],
): Objection[] {
  const { set } = situation
  if (removable.length === 0) return []
  return [
    ...(request.retire !== 'detach' && !request.noArchive ? [archiveObjection(request.retire, removable.length)] : []),
    ...(request.retire === 'truncate' && set.inboundForeignKeys.length > 0 ? [truncateObjection(set)] : []),
    ...clockDoubts(situation, policy, horizon, removable),
  ]
}

/**
 * A clock that is years ahead makes every row look expired. So it is doubted
 * when nothing has been written for longer than is kept, or when the very
 * partition of the newest row would go.
 */
function clockDoubts(
  { set, newest, thorough, server }: RotationSituation,
  policy: SetPolicy,
  { kind, timezone, keep, position: horizon }: Horizon,
  removable: readonly Partition[],
): Objection[] {
  if (newest === 'unknown') return thorough ? [clockUnchecked(set, policy.column, removable.length)] : []
  if (newest === null) return []
  const time = policy.kind === 'id' ? newest.time : newest.key
  if (time === null) return []
  const now = BigInt(server.now)
  const silent = time < horizon && time < twoIntervalsAgo(policy, kind, now)
  const nothingLeft = removable.some(
    ({ range }) =>
      range !== null && range.to !== null && newest.key < range.to && newest.key >= (range.from ?? newest.key),
  )
  if (!silent && !nothingLeft) return []
  return [clockObjection({ now, newest: time, kind, timezone, keep, count: removable.length })]
}

function twoIntervalsAgo({ every, timezone }: SetPolicy, kind: KeyKind, now: bigint): Position {
  const here = positionOf(kind, now, timezone)
  if (every.kind === 'ids') return here
  return minus(minus(here, every.interval, kind, timezone), every.interval, kind, timezone)
}

// ---- what an interrupted rotation has left -----------------------------------------

function planLeftovers(
  { begun, set }: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
): { readonly finish: readonly Leftover[]; readonly skipped: readonly Skipped[] } {
  const detached = begun.filter(
    ({ method, state }) => method === 'drop' && (state === 'detached' || state === 'half detached'),
  )
  const judged = detached.map((entry) => ({ entry, reason: reasonToKeep(entry, request, policy, horizon) }))
  return {
    finish: judged.flatMap(({ entry, reason }) =>
      reason === null
        ? [{ begun: entry, step: dropStep({ name: entry.partition, foreignKeys: entry.foreignKeys }) }]
        : [],
    ),
    skipped: judged.flatMap(({ entry, reason }) =>
      reason === null
        ? []
        : [
            {
              partition: entry.partition,
              reason: `an interrupted rotation has detached it from ${display(set.name)}, and ${reason}`,
            },
          ],
    ),
  }
}

function reasonToKeep(
  { bounds }: BegunRetirement,
  { retire, noArchive }: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
): string | null {
  if (retire !== 'drop') return `it stays a table of its own with --retire ${retire}`
  if (!noArchive) return 'dropping it wants --no-archive'
  if (horizon === null) return 'nothing is said about how long to keep rows'
  if (policy.kind === 'id') return null // its newest row is looked at before it goes
  const parsed = parseBounds(bounds)
  const placed = parsed?.kind === 'range' ? spanOf(policy.kind, parsed) : null
  const expired = placed !== null && liesBefore({ to: placed.span.to, toIsExact: placed.toIsExact }, horizon.position)
  return expired ? null : `it lies inside the keep window: attach it again (${bounds})`
}

// ---- words ---------------------------------------------------------------------------

function historyGoesOn(
  { partitions }: PartitionedTable,
  { kind, timezone }: SetPolicy,
  { horizon, candidates }: Expiry,
): RotationPlan['historyGoesOn'] {
  const history = partitions.find(({ range, detachPending }) => range !== null && range.from === null && !detachPending)
  const to = history?.range?.to ?? null
  if (history === undefined || to === null || horizon === null || kind === 'id') return null
  if (candidates.some(({ partition }) => partition === history)) return null
  const position = plus(to, horizon.keep, kind, timezone)
  return { partition: history.name, position, shown: displayPosition(kind, position, timezone) }
}

function describeExpiry({ horizon, candidates }: Expiry, method: Retire): string[] {
  if (horizon === null) return ['nothing is said about how long to keep rows (--keep), so none are removed']
  const kept = `with ${displayInterval(horizon.keep)} kept the horizon is ${horizon.shown}, by the server’s clock`
  if (candidates.length === 0) return [kept, 'no partition lies before it as a whole, so none is retired']
  const unanalysed = candidates.some(({ rows }) => rows === null)
  const rows = candidates.reduce((sum, candidate) => sum + (candidate.rows ?? 0), 0)
  const bytes = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0)
  return [
    kept,
    `to ${method}: ${plural(candidates.length)}, about ${showCount(rows)} rows${unanalysed ? ' and those of partitions never analysed' : ''}, ${showBytes(bytes)}; 0 rows inside the keep window`,
  ]
}

function notesOn(
  { set, registered, newest }: RotationSituation,
  policy: SetPolicy,
  { candidates, unknown }: Expiry,
  request: RotateRequest,
): string[] {
  const keep = request.keep === null ? '' : `, with ${displayInterval(request.keep)} kept from then on`
  return [
    ...(registered === null ? [`the set will be registered${keep}, so that rotate --all looks after it too`] : []),
    ...(unknown > 0
      ? [`how old the rows of ${plural(unknown)} are is not known yet; it is found out when this is carried out`]
      : []),
    ...(newest === 'unknown' && candidates.length > 0
      ? [
          `the newest row could not be found quickly (no index begins with ${policy.column}), so whether the server’s clock agrees with it is found out when this is carried out`,
        ]
      : []),
    ...(newestTable(set)?.replicaIdentity === 'index'
      ? [
          'the replica identity of the partitions is an index, which new partitions do not get: say alter table … replica identity using index … for each',
        ]
      : []),
    ...(set.publications.length > 0 && candidates.length > 0
      ? [
          `published by ${set.publications.join(', ')}: ${request.retire === 'truncate' ? 'subscribers are told of a truncate, if the publication publishes it' : 'subscribers are not told that rows went, for detaching and dropping are no deletes'}`,
        ]
      : []),
  ]
}
