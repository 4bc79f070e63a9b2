import type { Partition } from '../../catalog/partitions/partitioned-table.ts'
import { minus } from '../../grid/grid.ts'
import { positionOf, type KeyKind, type Position } from '../../grid/key.ts'
import { when } from '../language/objection.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { Objection } from '../language/step.ts'
import { columnarObjections } from './columnar-objections.ts'
import { isShorter, type Horizon } from './horizon.ts'
import { moveObjections } from './move-objections.ts'
import {
  archiveObjection,
  clockObjection,
  clockUnchecked,
  rowsHidden,
  shorterGraceObjection,
  shorterKeepObjection,
  truncateObjection,
} from './objections.ts'
import { citusRetireObjections } from './on-citus.ts'
import type { RotationSituation } from './plan.ts'
import type { RotateRequest } from './request.ts'

// Why expired partitions are not retired as asked: less would be kept than is registered, the clock is in doubt, or the way
// to retire them does not suit the table.

/**
 * Whether it would remove rows that the registered policy keeps. Where none is registered, one
 * may be passed with the name of a table; `--all` names no table.
 */
export function shorterKeep(
  { set, registered }: RotationSituation,
  { keep, tables }: RotateRequest,
  horizon: Horizon,
  now: bigint,
): Objection[] {
  if (registered === null || keep === null) return []
  const shorter = registered.keep === null ? tables === 'all' : isShorter(keep, registered.keep, horizon, now)
  return when(shorter, () => shorterKeepObjection(set.name, keep, registered.keep))
}

export function shorterGrace(
  { set, registered }: RotationSituation,
  { grace }: RotateRequest,
  now: bigint,
): Objection[] {
  const before = registered?.grace
  if (before === undefined || grace === null || !isShorter(grace, before, CALENDAR, now)) return []
  return [shorterGraceObjection(set.name, grace, before)]
}

const CALENDAR = { kind: 'timestamptz', timezone: 'UTC' } as const

export function retireObjections(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon,
  removable: readonly Partition[],
): Objection[] {
  const { set } = situation
  // A clock that is wrong must not end a grace period either.
  const inGrace = situation.begun.filter(({ grace, state }) => grace !== null && state === 'detached').length
  const doubts = removable.length + inGrace === 0 ? [] : clockDoubts(situation, policy, horizon, removable, inGrace)
  if (removable.length === 0) return doubts
  const onCitus = citusRetireObjections(set, request, policy)
  const { retire } = request
  const [isMoved, isRewritten] = [retire === 'move', retire === 'columnar']
  const isRead = isMoved || isRewritten || request.archive !== null
  const hidden = isRead ? removable.filter((partition) => partition.rowsHidden) : []
  return [
    ...onCitus,
    ...when(hidden.length > 0, () =>
      rowsHidden(hidden, `not all of them could be ${isMoved || isRewritten ? 'copied' : 'archived'}`),
    ),
    ...(isMoved ? moveObjections(set, request.to ?? '', situation.moveFacts) : []),
    ...(isRewritten ? columnarObjections(set, situation.columnarFacts, removable) : []),
    ...(['drop', 'truncate'].includes(retire) && !request.noArchive && request.archive === null
      ? [archiveObjection(retire, removable.length)]
      : []),
    ...(retire === 'truncate' && set.inboundForeignKeys.length > 0 ? [truncateObjection(set)] : []),
    ...doubts,
  ]
}

/**
 * A clock that is years ahead makes every row look expired. So it is questioned if nothing has been written for
 * longer than rows are kept, or if the partition of the newest row would be retired.
 */
export function clockDoubts(
  { set, newest, thorough, server }: RotationSituation,
  policy: SetPolicy,
  { kind, timezone, keep, position: horizon }: Horizon,
  removable: readonly Partition[],
  inGrace: number,
): Objection[] {
  const count = removable.length + inGrace
  if (newest === 'unknown') return thorough ? [clockUnchecked(set, policy.column, count)] : []
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
  return [clockObjection({ now, newest: time, kind, timezone, keep, count })]
}

function twoIntervalsAgo({ every, timezone }: SetPolicy, kind: KeyKind, now: bigint): Position {
  const here = positionOf(kind, now, timezone)
  if (every.kind === 'ids') return here
  return minus(minus(here, every.interval, kind, timezone), every.interval, kind, timezone)
}
