import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display, quoted } from '../../sql/names.ts'
import { objection, when } from '../language/objection.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { Objection, ShortLockStep } from '../language/step.ts'
import { graceOf } from './grace.ts'
import type { RotateRequest } from './request.ts'

// What is different for a set that Citus stores: each statement is carried out on all its nodes, which creates, detaches or
// drops a table for each shard.

/** While readers and writers of the whole table wait. */
const DETACHED_MS = 1_000
/** While they do not: a node makes, or drops, as many tables as it has shards. */
const BESIDE_MS = 60_000

/** The same step on all nodes, if Citus stores the set. */
export function onCitus(set: PartitionedTable, step: ShortLockStep): ShortLockStep {
  if (set.citus === undefined) return step
  const workTimeoutMs = step.workTimeoutMs ?? (step.key.startsWith('detach:') ? DETACHED_MS : BESIDE_MS)
  // An autovacuum of a shard is waited for: to cancel it would take a lock on each node for a second.
  return { ...step, quiet: null, workTimeoutMs, onAllNodes: true }
}

/** Why no partition is created, or retired. */
export function citusSetObjections(set: PartitionedTable): Objection[] {
  if (set.citus === undefined) return []
  const name = display(set.name)
  const fallback = set.partitions.find(({ isDefault }) => isDefault)
  return [
    ...(fallback === undefined
      ? []
      : [
          objection(
            'citus-default',
            `${name} has a DEFAULT partition, ${display(fallback.name)}, and Citus stores it: whether it has rows for a new partition would be found out on all nodes under lock`,
            `If it has no rows: alter table ${quoted(set.name).text} detach partition ${quoted(fallback.name).text}; if it has some, create partitions for them and insert them there by hand afterwards.`,
          ),
        ]),
    ...when(
      set.partitions.some(({ kind }) => kind !== 'table'),
      () =>
        objection(
          'citus-divided',
          `partitions of ${name}, which Citus stores, are themselves partitioned, or foreign tables`,
          'Create and attach, detach and drop its partitions by SQL on the coordinator, one statement at a time.',
        ),
    ),
  ]
}

/** Why expired partitions are kept, while partitions ahead are created: Citus allows no triggers on what it distributes. */
export function citusRetireObjections(set: PartitionedTable, request: RotateRequest, policy: SetPolicy): Objection[] {
  if (set.citus === undefined) return []
  const what = `partitions of ${display(set.name)}, which Citus stores`
  return [
    ...when(request.archive !== null && request.retire === 'truncate', () =>
      objection(
        'citus-archive',
        `${what}, are not archived and truncated: attached again, one could be written to unnoticed`,
        'Omit --retire truncate: archived partitions are dropped, and new ones created ahead.',
      ),
    ),
    ...when(request.retire === 'move', () =>
      objection(
        'citus-move',
        `${what}, are not moved to another server: Citus allows no foreign partitions, nor a trigger that notices writes`,
        'Move them by hand, and read both through a view.',
      ),
    ),
    ...when(graceOf(request, policy) !== null, () =>
      objection(
        'citus-grace',
        `${what}, are dropped at once or not at all: nothing there notices a write to one that is detached`,
        'Omit --grace; or keep them as tables with --retire detach, and drop them when you no longer need them.',
      ),
    ),
  ]
}
