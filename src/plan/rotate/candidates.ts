import type { DefaultPartition } from '../../catalog/partitions/default-partition.ts'
import type { Partition, PartitionedTable, PartitionRange } from '../../catalog/partitions/partitioned-table.ts'
import type { Span } from '../../grid/gaps.ts'
import { displayPosition, fromText, toText, type KeyKind, type Position } from '../../grid/key.ts'
import { concernsRange, heldRows, heldText, type HoldAround } from '../language/hold.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { ident, literal, sql } from '../../sql/sql.ts'
import { shellWord } from '../../text/shell-word.ts'
import { shownKey } from './default-rows.ts'
import { unaccepted } from '../language/objection.ts'
import { expiredByAge, expiredByBounds, expiryKind, horizonOf, isClosed, liesBefore, type Horizon } from './horizon.ts'
import { noExpiry, noSuchExpiry } from './objections.ts'
import { retireObjections, shorterGrace, shorterKeep } from './expiry-objections.ts'
import { rewritingOf } from './columnar.ts'
import { notColumnar } from './columnar-objections.ts'
import { graceOf } from './grace.ts'
import type { Retire, RotateRequest } from './request.ts'
import { moveSteps, retireSteps, rewriteSteps, watchForGrace, type Retiring } from './retire.ts'
import { movingOf } from './moving.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { Objection, ShortLockStep } from '../language/step.ts'
import type { Archives } from './archiving.ts'
import type { RotationSituation, Retirement, Skipped } from './plan.ts'

/** The expired partitions, and those of them that are kept. */
export interface Expiry {
  readonly horizon: Horizon | null
  readonly candidates: readonly Retirement[]
  readonly skipped: readonly Skipped[]
  /** How many of those kept have expired as a whole. */
  readonly kept: number
  readonly objections: readonly Objection[]
  /** Closed partitions by id whose age is not known yet. */
  readonly unknown: number
}

const NOTHING_EXPIRES: Expiry = { horizon: null, candidates: [], skipped: [], kept: 0, objections: [], unknown: 0 }

export function planExpiry(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  now: bigint,
): Expiry {
  const { set } = situation
  const keep = request.keep ?? policy.keep
  if (keep === null || request.notNow !== undefined) return NOTHING_EXPIRES
  if (policy.kind === 'id' && policy.expireBy === null)
    return { ...NOTHING_EXPIRES, objections: [noExpiry(set, policy)] }
  const kind = expiryKind(set, policy)
  if (kind === null) return { ...NOTHING_EXPIRES, objections: [noSuchExpiry(set, policy)] }

  const horizon = horizonOf(kind, policy.timezone, now, keep)
  const shorter = [...shorterKeep(situation, request, horizon, now), ...shorterGrace(situation, request, now)]
  const { expired, unknown } = expiredPartitions(situation, policy, horizon)
  const old = expired.filter((partition) => !isDone(partition, request.retire))
  const holds = request.accept.includes('hold') ? [] : situation.holds
  const leave = (partition: Partition) =>
    reasonToLeave(partition, request.retire, holds, policy.kind) ?? unwatchable(partition, request, policy)
  const removable = old.filter((partition) => leave(partition) === null)
  const candidates = removable.map((partition) => retirement(situation, policy, horizon, partition, request))
  return {
    horizon,
    candidates,
    skipped: [
      ...old.flatMap((partition) => {
        const reason = leave(partition)
        return reason === null ? [] : [{ partition: partition.name, reason }]
      }),
      ...overlapping(set, policy, horizon),
      ...withoutBounds(situation, policy, horizon),
    ],
    kept: old.length - removable.length,
    objections: unaccepted(
      [...shorter, ...retireObjections(situation, request, policy, horizon, removable)],
      request.accept,
    ),
    unknown,
  }
}

/** An emptied one stays, as does one that has been moved, or rewritten. */
function isDone({ kind, empty, columnar }: Partition, retire: Retire): boolean {
  return (
    (retire === 'truncate' && empty) || (retire === 'move' && kind === 'foreign') || (retire === 'columnar' && columnar)
  )
}

function expiredPartitions(
  { set, newest, newestIn }: RotationSituation,
  policy: SetPolicy,
  horizon: Horizon,
): { readonly expired: readonly Partition[]; readonly unknown: number } {
  const attached = set.partitions.filter(({ detachPending }) => !detachPending)
  if (policy.kind !== 'id') return { expired: expiredByBounds(attached, horizon.position), unknown: 0 }
  // Only rows prove that ids have grown past a partition: a sequence may have been set ahead.
  const head = newest === null || newest === 'unknown' ? null : newest.key
  return {
    expired: expiredByAge(attached, head, newestIn, horizon.position),
    unknown: attached.filter((partition) => isClosed(partition, head) && !newestIn.has(partition.oid)).length,
  }
}

/** Why a partition is kept although all its rows have expired. */
function reasonToLeave(
  partition: Partition,
  method: Retire,
  holds: readonly HoldAround[],
  kind: KeyKind,
): string | null {
  if (partition.kind === 'foreign')
    return `it is a foreign table: its rows are stored elsewhere. ${howToRemoveForeign(partition.name)}`
  if (partition.tree?.children.some(({ kind }) => kind === 'foreign'))
    return 'one of its partitions is a foreign table: its rows are stored elsewhere'
  if (method === 'move' && partition.kind === 'partitioned')
    return 'it has partitions of its own, and only a table can be moved to another server'
  if (method === 'columnar' && partition.kind === 'partitioned')
    return 'it has partitions of its own, and only a table can be stored in columns'
  return reasonInTheWay(partition, method, holds, kind)
}

/** It would have to be noticed whether somebody writes to it, by a trigger, or by its row versions. */
function unwatchable({ name, columnar }: Partition, request: RotateRequest, policy: SetPolicy): string | null {
  const isWatched = request.archive !== null || request.retire === 'move' || graceOf(request, policy) !== null
  if (!columnar || !isWatched) return null
  return `it is columnar: whether it is written to while it is archived, moved or kept for a while cannot be told. Make it an ordinary table first, when nobody uses it: select alter_table_set_access_method(${literal(quoted(name).text).text}, 'heap');`
}

/** What else prevents that a partition is retired. */
export function reasonInTheWay(
  partition: Partition,
  method: Retire,
  holds: readonly HoldAround[],
  kind: KeyKind,
): string | null {
  if (!partition.actAsOwner) return 'it belongs to a role that this role cannot act for'
  const dependents = [...partition.dependents, ...(partition.tree?.children ?? []).flatMap((one) => one.dependents)]
  if (['drop', 'move', 'columnar'].includes(method) && dependents.length > 0)
    return `other objects depend on it: ${dependents.join(', ')}`
  const cannot = method === 'columnar' ? notColumnar(partition) : null
  if (cannot !== null) return cannot
  const hold = holds.find((one) => isHeld(partition, one, kind))
  return hold === undefined
    ? null
    : `${heldRows(hold)} are on hold ${heldText(hold)}; to retire it all the same: --accept hold`
}

/** Its rows are removed on the server that has them. */
function howToRemoveForeign(name: TableName): string {
  return sql`To remove them: drop foreign table ${quoted(name)}; and then, on its server, the table itself`.text
}

/** By a hold on the set, on what that is itself a partition of, or on the partition or a part of it. */
export function isHeld(
  { name, range }: { readonly name: TableName; readonly range: Span | null },
  hold: HoldAround,
  kind: KeyKind,
): boolean {
  if (hold.where === 'below') return hold.partition !== null && sameName(hold.partition, name)
  return hold.where === 'above' || concernsRange(hold, range, kind)
}

/** Wide partitions with both expired and kept rows, for information. */
function overlapping({ partitions }: PartitionedTable, { kind }: SetPolicy, horizon: Horizon): Skipped[] {
  if (kind === 'id') return []
  return partitions.flatMap(({ name, range, detachPending }) => {
    if (range === null || detachPending || liesBefore(range, horizon.position)) return []
    if (range.from !== null && range.from >= horizon.position) return []
    return [
      {
        partition: name,
        reason: `only part of its range is before the horizon: it ends at ${end(range, kind, horizon)}`,
      },
    ]
  })
}

function withoutBounds({ set, fallback }: RotationSituation, policy: SetPolicy, horizon: Horizon): Skipped[] {
  return set.partitions.flatMap(({ name, range, isDefault, boundsText }) => {
    if (isDefault)
      return [
        {
          partition: name,
          reason: `it is the default partition: its bounds do not tell the age of its rows${expiredInDefault(fallback, policy, horizon)}`,
        },
      ]
    return range === null ? [{ partition: name, reason: `its bounds are not supported: ${boundsText}` }] : []
  })
}

/** What removes rows of a DEFAULT partition that have expired; by id nothing tells how old its least one is. */
function expiredInDefault(fallback: DefaultPartition | null, { kind, column }: SetPolicy, horizon: Horizon): string {
  if (fallback?.ends == null || kind === 'id') return ''
  const { least } = fallback.ends
  if (!isBefore(kind, least, horizon.position)) return ''
  const condition = sql`${ident(column)} < ${literal(toText(kind, horizon.position))}`.text
  return `; its oldest row is of ${shownKey(kind, least, horizon.timezone)}. What is before the horizon is removed by: ebb purge ${shellWord(display(fallback.partition.name))} --where ${shellWord(condition)} …`
}

function isBefore(kind: KeyKind, text: string, horizon: Position): boolean {
  try {
    return fromText(kind, text) < horizon
  } catch {
    return text.startsWith('-') || text.endsWith(' BC')
  }
}

function end(range: PartitionRange, kind: KeyKind, { timezone }: Horizon): string {
  return range.to === null ? 'no end' : displayPosition(kind, range.to, timezone)
}

function retirement(
  situation: RotationSituation,
  policy: SetPolicy,
  horizon: Horizon,
  partition: Partition,
  request: RotateRequest,
): Retirement {
  const { newestIn, journalSchema } = situation
  const { retire: method, archive: to } = request
  const grace = graceOf(request, policy)
  const archives = to === null ? null : { to, journalSchema, horizon }
  const newest = policy.kind === 'id' ? newestIn.get(partition.oid) : undefined
  const shownNewest =
    newest === undefined
      ? null
      : typeof newest === 'bigint'
        ? displayPosition(horizon.kind, newest, horizon.timezone)
        : 'no rows'
  const shown = shownBounds(partition.range, policy)
  const later = grace === null ? null : watchForGrace(partition, journalSchema, grace)
  const because =
    shownNewest === null
      ? `all its rows are before ${shown.to}; the horizon is ${horizon.shown}`
      : `its newest row is of ${shownNewest}; the horizon is ${horizon.shown}`
  return {
    partition,
    method,
    shown,
    rows: partition.empty ? 0 : partition.estimatedRows,
    bytes: partition.bytes,
    newest: shownNewest,
    grace,
    ...stepsFor(situation, request, partition, because, archives, later),
  }
}

function stepsFor(
  { set, journalSchema, columnarFacts, server, taken }: RotationSituation,
  { retire: method, to }: RotateRequest,
  partition: Partition,
  because: string,
  archives: Archives | null,
  later: ShortLockStep | null,
): Retiring {
  if (method === 'move') return moveSteps(movingOf(set, partition, to ?? '', because, journalSchema))
  if (method !== 'columnar') return retireSteps(set, partition, method, because, archives, later)
  const { indexes = [] } = columnarFacts ?? {}
  return rewriteSteps(rewritingOf(set, partition, indexes, because, { role: server.role, taken }))
}

/** For people. */
export function shownBounds(range: Span | null, { kind, timezone }: SetPolicy): { from: string; to: string } {
  const show = (position: Position | null | undefined, none: string) =>
    position === null || position === undefined ? none : displayPosition(kind, position, timezone)
  return { from: show(range?.from, 'the beginning'), to: show(range?.to, 'the end') }
}
