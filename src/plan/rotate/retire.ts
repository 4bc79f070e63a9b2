import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { exclusive } from '../language/locks.ts'
import { BESIDE_DEFAULT_MS } from './beside-default.ts'
import type { Rewriting } from './columnar.ts'
import { dropStep } from './drop.ts'
import type { Removing } from './moved.ts'
import type { Moving } from './moving.ts'
import type { Retire } from './request.ts'
import { onCitus } from './on-citus.ts'
import { archivingOf, archivingSteps, forgetWrites, watchStep, type Archives } from './archiving.ts'
import type { Retirement, RotationStep } from './plan.ts'
import { refillStep } from './reattach.ts'
import type { DetachStep, Lock, ShortLockStep } from '../language/step.ts'

// The steps that retire a partition. Never with CASCADE: a partition with dependent objects is kept.

/** How one partition is retired. */
export type Retiring = Pick<Retirement, 'archiving' | 'moving' | 'rewriting' | 'removing' | 'steps'>

const WITHOUT = { archiving: null, moving: null, rewriting: null, removing: null }

/** The steps to move one partition, in order. */
export function moveSteps(moving: Moving): Retiring {
  return { ...WITHOUT, moving, steps: [moving.guard, moving.copy, moving.exchange] }
}

/** The steps to rewrite one partition in columns, in order. */
export function rewriteSteps(rewriting: Rewriting): Retiring {
  return { ...WITHOUT, rewriting, steps: [rewriting.copy, rewriting.exchange, rewriting.drop] }
}

/** The steps to remove one that was moved before, in order. */
export function removeSteps(release: ShortLockStep, removing: Removing): Retiring {
  return { ...WITHOUT, removing, steps: [release, removing.drop] }
}

/**
 * The steps to retire one partition, in order; `archives` is null where it is not archived, and `later` watches it where it
 * is dropped by a later rotation.
 */
export function retireSteps(
  set: PartitionedTable,
  partition: Partition,
  method: Exclude<Retire, 'move' | 'columnar'>,
  because: string,
  archives: Archives | null,
  later: ShortLockStep | null,
): Retiring {
  if (method === 'detach') return { ...WITHOUT, steps: [detachStep(set, partition, because)] }
  if (later !== null) return { ...WITHOUT, steps: [detachStep(set, partition, because), later] }
  if (archives !== null) return archiveAndRemove(set, partition, method, because, archives)
  if (method === 'truncate') return { ...WITHOUT, steps: [onCitus(set, truncateStep(partition, because))] }
  return { ...WITHOUT, steps: [detachStep(set, partition, because), onCitus(set, dropStep(partition))] }
}

/** Watches a partition until its grace period is over. */
export function watchForGrace({ oid, name }: Pick<Partition, 'oid' | 'name'>, journalSchema: string, grace: Interval) {
  const step = watchAgain(name, journalSchema, grace)
  return { ...step, statements: [forgetWrites(oid, journalSchema), ...step.statements] }
}

/** The same of one that was detached before: a write that was noticed still counts. */
export function watchAgain(name: TableName, journalSchema: string, grace: Interval): ShortLockStep {
  const because = `it is dropped ${displayInterval(grace)} after the detach, unless it is written to`
  return watchStep(name, journalSchema, because)
}

function archiveAndRemove(
  set: PartitionedTable,
  partition: Partition,
  method: 'drop' | 'truncate',
  because: string,
  archives: Archives,
): Retiring {
  const archiving = archivingOf(set, partition, archives)
  const last =
    method === 'drop' ? dropArchived(set, partition) : refillStep(set, partition, partition.kind === 'partitioned')
  return {
    ...WITHOUT,
    archiving,
    steps: [detachStep(set, partition, because), ...archivingSteps(archiving), last],
  }
}

/** On Citus its rows are counted once more under the lock; nobody reads or writes it through the table then. */
export function dropArchived(set: PartitionedTable, partition: Pick<Partition, 'name' | 'foreignKeys'>): ShortLockStep {
  return onCitus(set, { ...dropStep(partition), ...(set.citus === undefined ? {} : { workTimeoutMs: COUNTED_MS }) })
}

/** As long as anybody may wait for a lock at all: limited by that. */
const COUNTED_MS = 3_600_000

/** Concurrently; PostgreSQL refuses that if there is a default partition, so then under a short lock. */
function detachStep(set: PartitionedTable, partition: Partition, because: string): RotationStep {
  if (set.citus !== undefined) return onCitus(set, detachOnAllNodes(set, partition, because))
  const fallback = set.partitions.find(({ isDefault }) => isDefault)
  return fallback === undefined
    ? detachOnline(set, partition, because)
    : detachUnderLock(set, partition, fallback, because)
}

function detachOnline(set: PartitionedTable, partition: Partition, because: string): DetachStep {
  return {
    kind: 'detach',
    key: `detach:${display(partition.name)}`,
    title: `detach ${display(partition.name)}`,
    because,
    locks: [
      { table: set.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' },
      ...detachedLocks(set, partition),
    ],
    cost: 'milliseconds, once the transactions using the table at its start have ended',
    table: set.name,
    partition: partition.name,
    oid: partition.oid,
    statements: [sql`alter table ${quoted(set.name)} detach partition ${quoted(partition.name)} concurrently`.text],
    finalize: finalizeStep(set, partition),
  }
}

/** Finishes an interrupted detach. */
export function finalizeStep(set: PartitionedTable, partition: Partition): ShortLockStep {
  return {
    kind: 'short lock',
    key: `finalize:${display(partition.name)}`,
    title: `finish the interrupted detach of ${display(partition.name)}`,
    because: 'its rows can be neither read nor written through the parent, and nothing else can be detached before',
    locks: [
      { table: set.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
      ...detachedLocks(set, partition),
    ],
    cost: 'milliseconds, once the transactions that may still see it attached have ended',
    quiet: partition.kind === 'table' ? partition.name : null,
    acquire: [],
    statements: [sql`alter table ${quoted(set.name)} detach partition ${quoted(partition.name)} finalize`.text],
  }
}

function detachUnderLock(
  set: PartitionedTable,
  partition: Partition,
  fallback: Partition,
  because: string,
): ShortLockStep {
  return {
    kind: 'short lock',
    key: `detach:${display(partition.name)}`,
    title: `detach ${display(partition.name)}`,
    because: `${because}; not concurrently, because there is a default partition, ${display(fallback.name)}`,
    locks: [exclusive(set.name), exclusive(fallback.name), ...detachedLocks(set, partition)],
    cost:
      set.inboundForeignKeys.length === 0
        ? 'milliseconds: no row is read'
        : 'milliseconds, if an index finds what references its rows; if it takes longer, it is given up',
    // An autovacuum may be running on either; the one that receives rows is more likely.
    quiet: fallback.kind === 'table' ? fallback.name : null,
    acquire: [sql`lock table only ${quoted(set.name)} in access exclusive mode`.text],
    workTimeoutMs: BESIDE_DEFAULT_MS,
    statements: [sql`alter table ${quoted(set.name)} detach partition ${quoted(partition.name)}`.text],
  }
}

/** Citus refuses it concurrently. Whoever reads or writes the table has a lock on it, and not on shards alone: it is locked first. */
function detachOnAllNodes(set: PartitionedTable, partition: Partition, because: string): ShortLockStep {
  return {
    kind: 'short lock',
    key: `detach:${display(partition.name)}`,
    title: `detach ${display(partition.name)}`,
    because: `${because}; not concurrently, which Citus refuses`,
    locks: [exclusive(set.name), ...detachedLocks(set, partition)],
    cost: 'milliseconds on each node: no row is read',
    quiet: null,
    acquire: [sql`lock table only ${quoted(set.name)} in access exclusive mode`.text],
    statements: [sql`alter table ${quoted(set.name)} detach partition ${quoted(partition.name)}`.text],
  }
}

// Detaching checks that no row references the partition, and removes its own foreign keys from the referenced tables.
function detachedLocks(set: PartitionedTable, partition: Partition): Lock[] {
  return [
    exclusive(partition.name),
    ...set.references.map((table): Lock => ({
      table,
      mode: 'SHARE ROW EXCLUSIVE',
      blocks: 'writes',
      held: 'milliseconds',
    })),
    ...set.inboundForeignKeys.map(({ table }) => exclusive(table)),
  ]
}

function truncateStep({ name }: Partition, because: string): ShortLockStep {
  return {
    kind: 'short lock',
    key: `truncate:${display(name)}`,
    title: `truncate ${display(name)}`,
    because,
    locks: [exclusive(name)],
    cost: 'milliseconds; its files are deleted after the commit',
    quiet: name,
    acquire: [sql`lock table ${quoted(name)} in access exclusive mode`.text],
    statements: [sql`truncate table ${quoted(name)}`.text],
  }
}
