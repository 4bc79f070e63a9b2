import type { Partition } from '../../catalog/partitions/partitioned-table.ts'
import { displayInterval } from '../../grid/interval.ts'
import { heldRows, heldText, spanOfBounds } from '../language/hold.ts'
import { objection, unaccepted, when } from '../language/objection.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { Objection } from '../language/step.ts'
import type { Newest } from './begun.ts'
import { isHeld, reasonInTheWay, shownBounds } from './candidates.ts'
import { clockDoubts } from './expiry-objections.ts'
import { expiredByAge, expiredByBounds, horizonOf, type Horizon } from './horizon.ts'
import { releaseStep, removingOf, type MovedPartition, type Removing } from './moved.ts'
import type { Retirement, RotationSituation, Skipped } from './plan.ts'
import type { RotateRequest } from './request.ts'
import { removeSteps } from './retire.ts'
import { plural } from '../../text/units.ts'

// Rows that were moved can expire, too, after a longer time: those of partitions that a rotation of this database has
// moved to the server that is asked for. Everything else that is stored elsewhere is left alone.

/** What of the moved partitions is to be removed. */
export interface MovedExpiry {
  readonly candidates: readonly Retirement[]
  /** What earlier rotations have left there. */
  readonly leftThere: readonly Removing[]
  readonly skipped: readonly Skipped[]
  readonly objections: readonly Objection[]
  readonly evidence: readonly string[]
}

const NOTHING_MOVED: MovedExpiry = { candidates: [], leftThere: [], skipped: [], objections: [], evidence: [] }

/** @param kept the horizon of the rows that are here */
export function planMovedExpiry(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  kept: Horizon | null,
  now: bigint,
): MovedExpiry {
  const released = situation.moved.filter(({ released, oid }) => released && oid === null)
  if (kept === null || request.keepMoved === undefined || request.to === undefined)
    return { ...NOTHING_MOVED, skipped: released.map((one) => leftAlone(one, 'a rotation with --keep-moved drops it')) }

  const horizon = horizonOf(kept.kind, policy.timezone, now, request.keepMoved)
  if (horizon.position > kept.position)
    return { ...NOTHING_MOVED, objections: [shorterThanKeep(request.keepMoved, kept)] }
  const expired = expiredOf(situation, policy, horizon).map((partition) => ({
    partition,
    ...judge(situation, request, policy, partition),
  }))
  const candidates = expired.flatMap(({ partition, moved }) =>
    moved === null ? [] : [removal(situation, policy, horizon, partition, moved)],
  )
  const left = released.map((moved) => ({ moved, reason: reasonToWait(moved, situation, request, policy) }))
  return {
    candidates,
    leftThere: left.flatMap(({ moved, reason }) =>
      reason === null ? [removingOf(situation.set, policy, horizon, moved)] : [],
    ),
    skipped: [
      ...expired.flatMap(({ partition, reason }) => (reason === null ? [] : [{ partition: partition.name, reason }])),
      ...left.flatMap(({ moved, reason }) => (reason === null ? [] : [leftAlone(moved, reason)])),
    ],
    objections: unaccepted(objectionsTo(situation, request, policy, kept, candidates), request.accept),
    evidence: [
      `with ${displayInterval(horizon.keep)} kept of moved rows (--keep-moved), their horizon is ${horizon.shown}: to drop here and on ${request.to}: ${plural(candidates.length, 'partition')}`,
    ],
  }
}

function expiredOf({ set, newest, moved }: RotationSituation, policy: SetPolicy, { position }: Horizon): Partition[] {
  const foreign = set.partitions.filter(({ kind, detachPending }) => kind === 'foreign' && !detachPending)
  if (policy.kind !== 'id') return expiredByBounds(foreign, position)
  const head = newest === null || newest === 'unknown' ? null : newest.key
  const newestIn = new Map<string, Newest>(
    moved.flatMap(({ oid, newest }) => (oid === null || newest === null ? [] : [[oid, newest] as const])),
  )
  return expiredByAge(foreign, head, newestIn, position)
}

/** What is known of the table there; or why the partition is left as it is. */
function judge(
  { moved, holds }: RotationSituation,
  { to, accept }: RotateRequest,
  { kind }: SetPolicy,
  partition: Partition,
): { readonly moved: MovedPartition | null; readonly reason: string | null } {
  const known = moved.find(({ oid }) => oid === partition.oid)
  if (known === undefined)
    return { moved: null, reason: 'it is a foreign table that no rotation of this database has made' }
  if (known.server !== to) return { moved: null, reason: `its rows are on ${known.server}` }
  const reason = reasonInTheWay(partition, 'drop', accept.includes('hold') ? [] : holds, kind)
  return { moved: reason === null ? known : null, reason }
}

function removal(
  { set }: RotationSituation,
  policy: SetPolicy,
  horizon: Horizon,
  partition: Partition,
  moved: MovedPartition,
): Retirement {
  const shown = shownBounds(partition.range, policy)
  const because = `its rows have expired on ${moved.server}, too; their horizon is ${horizon.shown}`
  return {
    partition,
    method: 'drop',
    shown,
    rows: partition.estimatedRows,
    bytes: partition.bytes,
    newest: null,
    grace: null,
    ...removeSteps(releaseStep(set, partition, because), removingOf(set, policy, horizon, moved)),
  }
}

/** Why a table that nothing here reads any more is not dropped now. */
function reasonToWait(
  { server, there, bounds }: MovedPartition,
  { holds }: RotationSituation,
  { to, accept }: RotateRequest,
  { kind }: SetPolicy,
): string | null {
  if (server !== to) return `a rotation to ${server} drops it`
  if (accept.includes('hold')) return null
  const hold = holds.find((one) => isHeld({ name: there, range: spanOfBounds(kind, bounds) }, one, kind))
  return hold === undefined ? null : `${heldRows(hold)} are on hold ${heldText(hold)}`
}

function leftAlone({ server, there }: MovedPartition, reason: string): Skipped {
  return { partition: there, reason: `it is on ${server}, where nothing reads it any more; ${reason}` }
}

function objectionsTo(
  situation: RotationSituation,
  { noArchive }: RotateRequest,
  policy: SetPolicy,
  kept: Horizon,
  candidates: readonly Retirement[],
): Objection[] {
  if (candidates.length === 0) return []
  const partitions = candidates.map(({ partition }) => partition)
  return [
    ...when(!noArchive, () => notArchived(candidates.length)),
    ...clockDoubts(situation, policy, kept, partitions, 0),
  ]
}

function notArchived(count: number): Objection {
  return objection(
    'archive',
    `${plural(count, 'partition')} on the other server would be lost with --keep-moved, and what was moved is not archived`,
    'Pass --no-archive if the rows may be removed without an archive, or once they have one: ebb archive, with --url, on that server. Or omit --keep-moved, and they stay there.',
  )
}

function shorterThanKeep(keepMoved: NonNullable<RotateRequest['keepMoved']>, kept: Horizon): Objection {
  const [moved, here] = [displayInterval(keepMoved), displayInterval(kept.keep)]
  return objection(
    'keep-moved',
    `--keep-moved says ${moved}, and rows are moved when they are ${here} old: they would be removed at once`,
    'Pass the age at which rows are removed, which has to be greater than --keep.',
  )
}
