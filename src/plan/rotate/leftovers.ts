import { parseBounds } from '../../catalog/partitions/bounds.ts'
import { spanOf } from '../../catalog/partitions/key.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { BegunRetirement } from './begun.ts'
import { display } from '../../sql/names.ts'
import { heldText, spanOfBounds, type HoldAround } from '../language/hold.ts'
import { isHeld } from './candidates.ts'
import { goesFrom, showMinute } from './grace.ts'
import { liesBefore, type Horizon } from './horizon.ts'
import type { RotateRequest } from './request.ts'
import { archivingOf, archivingSteps, type Archives } from './archiving.ts'
import { onCitus } from './on-citus.ts'
import { refillStep } from './reattach.ts'
import { dropStep } from './drop.ts'
import { dropArchived, watchAgain } from './retire.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { RotationSituation, RotationStep, Leftover, Skipped, Watching } from './plan.ts'

/** What becomes of partitions that are detached already. */
export interface Leftovers {
  readonly finish: readonly Leftover[]
  readonly watch: readonly Watching[]
  readonly skipped: readonly Skipped[]
}

/** Partitions that an earlier rotation has detached, and not dropped or truncated: their grace period, or it was interrupted. */
export function planLeftovers(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
  blocked: boolean,
): Leftovers {
  const { begun, set, journalSchema } = situation
  const detached = begun.filter(
    ({ method, state }) => !['detach', 'move', 'columnar'].includes(method) && !['attached', 'gone'].includes(state),
  )
  const judged = detached.map((entry) => ({
    entry,
    reason: reasonToKeep(entry, situation, request, policy, horizon, blocked),
  }))
  return {
    finish: judged.flatMap(({ entry, reason }) =>
      reason === null ? [leftover(set, entry, archivesOf(request, journalSchema, horizon), request)] : [],
    ),
    watch: judged.flatMap(({ entry, reason }) =>
      reason === null || entry.state !== 'detached' || entry.watched ? [] : watching(entry, journalSchema),
    ),
    skipped: judged.flatMap(({ entry, reason }) =>
      reason === null ? [] : [{ partition: entry.called, reason: `${whence(entry, set)}, and ${reason}` }],
    ),
  }
}

function whence({ grace, detachedAt }: BegunRetirement, set: PartitionedTable): string {
  return grace === null
    ? `an interrupted rotation detached it from ${display(set.name)}`
    : `it was detached on ${detachedAt.toISOString().slice(0, 10)}`
}

function watching(begun: BegunRetirement, journalSchema: string): Watching[] {
  const { partition, grace } = begun
  return grace === null ? [] : [{ begun, step: watchAgain(partition, journalSchema, grace) }]
}

/** In order. */
export function leftoverSteps({ archiving, step }: Leftover): RotationStep[] {
  return [...(archiving === null ? [] : archivingSteps(archiving)), step]
}

function archivesOf({ archive: to }: RotateRequest, journalSchema: string, horizon: Horizon | null): Archives | null {
  return to === null || horizon === null ? null : { to, journalSchema, horizon }
}

function leftover(
  set: PartitionedTable,
  begun: BegunRetirement,
  archives: Archives | null,
  { accept }: RotateRequest,
): Leftover {
  const { oid, partition: name, bounds: boundsText, estimatedRows, foreignKeys, method, grace } = begun
  const partition = { oid, name, boundsText, estimatedRows }
  const archiving = archives === null ? null : archivingOf(set, partition, archives)
  return {
    begun,
    archiving,
    unwritten: grace !== null && archiving === null && !accept.includes('written'),
    step:
      method === 'truncate'
        ? refillStep(set, partition, begun.divided)
        : archiving === null
          ? onCitus(set, dropStep({ name, foreignKeys }))
          : dropArchived(set, { name, foreignKeys }),
  }
}

/** Why it is not dropped, or truncated, now; null: it is. */
function reasonToKeep(
  entry: BegunRetirement,
  { holds, server }: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
  blocked: boolean,
): string | null {
  const { retire, archive, noArchive, notNow } = request
  if (entry.state === 'renamed') return renamed(entry)
  if (retire !== entry.method) return `it stays a separate table with --retire ${retire}`
  const from = goesFrom(entry, request, policy)
  if (from !== null && from > BigInt(server.now))
    return `is dropped from ${showMinute(from)} on. ${attachedAgain(entry)}`
  if (notNow !== undefined) return `nothing is retired: ${notNow}`
  if (!noArchive && archive === null) return 'removing its rows requires --archive or --no-archive'
  if (horizon === null) return 'no retention period is set'
  if (blocked) return 'a blocking issue withholds what would be retired'
  return rowsAreKept(entry, holds, request, policy, horizon)
}

/** Who has renamed it may want to keep it. */
function renamed({ partition, called }: BegunRetirement): string {
  return `it was ${display(partition)} then: renamed, it is not dropped. ${attachedAgain({ called })}; or drop it yourself`
}

function attachedAgain({ called }: Pick<BegunRetirement, 'called'>): string {
  return `To attach it again: ebb reattach ${display(called)}`
}

function rowsAreKept(
  { partition: name, bounds, method, written, watched, grace, dependents, called }: BegunRetirement,
  holds: readonly HoldAround[],
  { accept, archive }: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon,
): string | null {
  const range = spanOfBounds(policy.kind, bounds)
  const hold = accept.includes('hold') ? undefined : holds.find((one) => isHeld({ name, range }, one, policy.kind))
  if (hold !== undefined) return `rows are on hold ${heldText(hold)}; to retire it all the same: --accept hold`
  if (method === 'drop' && dependents.length > 0) return `other objects depend on it: ${dependents.join(', ')}`
  const unwritten = grace !== null && archive === null && !accept.includes('written')
  if (unwritten && written)
    return `it was written to since. ${attachedAgain({ called })}; to drop it all the same: --accept written`
  if (unwritten && !watched)
    return `whether it was written to since is not known, for nothing noticed writes: its grace period begins again. ${attachedAgain({ called })}; to drop it all the same: --accept written`
  if (policy.kind === 'id') return null // its newest row is checked before the drop
  const parsed = parseBounds(bounds)
  const placed = parsed?.kind === 'range' ? spanOf(policy.kind, parsed) : null
  const expired = placed !== null && liesBefore({ to: placed.span.to, toIsExact: placed.toIsExact }, horizon.position)
  return expired ? null : `it is inside the keep window. ${attachedAgain({ called })}`
}
