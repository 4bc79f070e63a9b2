import { parseBounds } from '../../catalog/partitions/bounds.ts'
import { spanOf } from '../../catalog/partitions/key.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { BegunRetirement } from './begun.ts'
import { display } from '../../sql/names.ts'
import { liesBefore, type Horizon } from './horizon.ts'
import type { RotateRequest } from './request.ts'
import { archivingOf, refillStep, type Archives } from './archiving.ts'
import { dropStep } from './retire.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { RotationSituation, RotationStep, Leftover, Skipped } from './plan.ts'

/** Partitions that an interrupted rotation has detached, and not dropped or truncated. */
export function planLeftovers(
  { begun, set, journalSchema }: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
  blocked: boolean,
): { readonly finish: readonly Leftover[]; readonly skipped: readonly Skipped[] } {
  const detached = begun.filter(
    ({ method, state }) => method !== 'detach' && (state === 'detached' || state === 'detach pending'),
  )
  const judged = detached.map((entry) => ({ entry, reason: reasonToKeep(entry, request, policy, horizon, blocked) }))
  return {
    finish: judged.flatMap(({ entry, reason }) =>
      reason === null ? [leftover(set, entry, archivesOf(request, journalSchema, horizon))] : [],
    ),
    skipped: judged.flatMap(({ entry, reason }) =>
      reason === null
        ? []
        : [
            {
              partition: entry.partition,
              reason: `an interrupted rotation detached it from ${display(set.name)}, and ${reason}`,
            },
          ],
    ),
  }
}

/** In order. */
export function leftoverSteps({ archiving, step }: Leftover): RotationStep[] {
  return archiving === null ? [step] : [archiving.guard, archiving.archive, step]
}

function archivesOf({ archive: to }: RotateRequest, journalSchema: string, horizon: Horizon | null): Archives | null {
  return to === null || horizon === null ? null : { to, journalSchema, horizon }
}

function leftover(set: PartitionedTable, begun: BegunRetirement, archives: Archives | null): Leftover {
  const { oid, partition: name, bounds: boundsText, estimatedRows, foreignKeys, method } = begun
  const partition = { oid, name, boundsText, estimatedRows }
  const archiving = archives === null ? null : archivingOf(set, partition, archives)
  return {
    begun,
    archiving,
    step: method === 'truncate' ? refillStep(set, partition) : dropStep({ name, foreignKeys }),
  }
}

function reasonToKeep(
  { bounds, method }: BegunRetirement,
  { retire, archive, noArchive, notNow }: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
  blocked: boolean,
): string | null {
  if (notNow !== undefined) return `nothing is retired: ${notNow}`
  if (retire !== method) return `it stays a separate table with --retire ${retire}`
  if (!noArchive && archive === null) return 'removing its rows requires --archive or --no-archive'
  if (horizon === null) return 'no retention period is set'
  if (blocked) return 'a blocking issue withholds what would be retired'
  if (policy.kind === 'id') return null // its newest row is checked before the drop
  const parsed = parseBounds(bounds)
  const placed = parsed?.kind === 'range' ? spanOf(policy.kind, parsed) : null
  const expired = placed !== null && liesBefore({ to: placed.span.to, toIsExact: placed.toIsExact }, horizon.position)
  return expired ? null : `it is inside the keep window: attach it again (${bounds})`
}
