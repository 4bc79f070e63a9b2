import type { Partition } from '../../catalog/partitions/partitioned-table.ts'
import { display, quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { exclusive } from '../language/locks.ts'
import type { ShortLockStep } from '../language/step.ts'
import { dropForeignKeys } from '../table/definitions.ts'

/**
 * Its foreign keys are dropped first, each briefly locking its referenced table: `drop table` would lock them all in
 * an arbitrary order.
 */
export function dropStep({ name, foreignKeys }: Pick<Partition, 'name' | 'foreignKeys'>): ShortLockStep {
  const place = quoted(name)
  return {
    kind: 'short lock',
    key: `drop:${display(name)}`,
    title: `drop ${display(name)}`,
    because: 'it is no longer part of the table',
    locks: [exclusive(name), ...foreignKeys.map(({ references }) => exclusive(references))],
    cost: 'milliseconds; its files are deleted after the commit',
    quiet: name,
    acquire: [sql`lock table ${place} in access exclusive mode`.text],
    statements: [...dropForeignKeys(name, foreignKeys), sql`drop table ${place}`.text],
  }
}
