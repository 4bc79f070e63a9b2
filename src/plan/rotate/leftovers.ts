import { parseBounds } from '../../catalog/partitions/bounds.ts'
import { spanOf } from '../../catalog/partitions/key.ts'
import type { BegunRetirement } from './begun.ts'
import { display } from '../../sql/names.ts'
import { liesBefore, type Horizon } from './horizon.ts'
import type { RotateRequest } from './request.ts'
import { dropStep } from './retire.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { RotationSituation, Leftover, Skipped } from './plan.ts'

/** Partitions that an interrupted rotation has detached and not dropped. */
export function planLeftovers(
  { begun, set }: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  horizon: Horizon | null,
  blocked: boolean,
): { readonly finish: readonly Leftover[]; readonly skipped: readonly Skipped[] } {
  const detached = begun.filter(
    ({ method, state }) => method === 'drop' && (state === 'detached' || state === 'detach pending'),
  )
  const judged = detached.map((entry) => ({ entry, reason: reasonToKeep(entry, request, policy, horizon, blocked) }))
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
              reason: `an interrupted rotation detached it from ${display(set.name)}, and ${reason}`,
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
  blocked: boolean,
): string | null {
  if (retire !== 'drop') return `it stays a separate table with --retire ${retire}`
  if (!noArchive) return 'dropping it requires --no-archive'
  if (horizon === null) return 'no retention period is set'
  if (blocked) return 'a blocking issue withholds what would be retired'
  if (policy.kind === 'id') return null // its newest row is checked before the drop
  const parsed = parseBounds(bounds)
  const placed = parsed?.kind === 'range' ? spanOf(policy.kind, parsed) : null
  const expired = placed !== null && liesBefore({ to: placed.span.to, toIsExact: placed.toIsExact }, horizon.position)
  return expired ? null : `it is inside the keep window: attach it again (${bounds})`
}
