import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display, quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { dropForeignKeys } from '../table/definitions.ts'
import { exclusive } from '../language/locks.ts'
import type { Retire } from './request.ts'
import type { RotationStep } from './plan.ts'
import type { DetachStep, Lock, ShortLockStep } from '../language/step.ts'

// The steps that take a partition out of its set. Never with CASCADE: what
// depends on a partition is a reason to leave it.

/** How to retire one partition, in order. */
export function retireSteps(
  set: PartitionedTable,
  partition: Partition,
  method: Retire,
  because: string,
): RotationStep[] {
  switch (method) {
    case 'truncate':
      return [truncateStep(partition, because)]
    case 'detach':
      return [detachStep(set, partition, because)]
    case 'drop':
      return [detachStep(set, partition, because), dropStep(partition)]
  }
}

/** Concurrently; where there is a default partition PostgreSQL refuses that, and a moment under lock has to do. */
function detachStep(set: PartitionedTable, partition: Partition, because: string): RotationStep {
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
    cost: 'milliseconds, once everybody has ended who is at work on the table when it begins',
    table: set.name,
    partition: partition.name,
    oid: partition.oid,
    statements: [sql`alter table ${quoted(set.name)} detach partition ${quoted(partition.name)} concurrently`.text],
    finalize: finalizeStep(set, partition),
  }
}

/** What is left to do of a detach that was interrupted. */
export function finalizeStep(set: PartitionedTable, partition: Partition): ShortLockStep {
  return {
    kind: 'short lock',
    key: `finalize:${display(partition.name)}`,
    title: `finish the interrupted detach of ${display(partition.name)}`,
    because: 'its rows can be neither seen nor written through the parent, and nothing else can be detached before',
    locks: [
      { table: set.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
      ...detachedLocks(set, partition),
    ],
    cost: 'milliseconds, once the transactions have ended that may still see it attached',
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
    cost: 'milliseconds: no row is read',
    // Of the two that an autovacuum may be at work on, the one that receives rows is the likelier.
    quiet: fallback.kind === 'table' ? fallback.name : null,
    acquire: [sql`lock table only ${quoted(set.name)} in access exclusive mode`.text],
    statements: [sql`alter table ${quoted(set.name)} detach partition ${quoted(partition.name)}`.text],
  }
}

// Detaching checks that nobody refers to the partition, and takes its own foreign keys off the tables they point to.
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

/** Its foreign keys go first, each locking the table it points to for a moment: `drop table` would lock them all in an order of its own. */
export function dropStep({ name, foreignKeys }: Pick<Partition, 'name' | 'foreignKeys'>): ShortLockStep {
  const place = quoted(name)
  return {
    kind: 'short lock',
    key: `drop:${display(name)}`,
    title: `drop ${display(name)}`,
    because: 'it is no part of the set any more',
    locks: [exclusive(name), ...foreignKeys.map(({ references }) => exclusive(references))],
    cost: 'milliseconds; its files are deleted after the commit',
    quiet: name,
    acquire: [sql`lock table only ${place} in access exclusive mode`.text],
    statements: [...dropForeignKeys(name, foreignKeys), sql`drop table ${place}`.text],
  }
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
    acquire: [sql`lock table only ${quoted(name)} in access exclusive mode`.text],
    statements: [sql`truncate table only ${quoted(name)}`.text],
  }
}
