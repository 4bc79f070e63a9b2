import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { Lock } from './step.ts'

/** ACCESS EXCLUSIVE, for milliseconds: blocks all reads and writes. */
export function exclusive(table: TableName): Lock {
  return { table, mode: 'ACCESS EXCLUSIVE', blocks: 'reads and writes', held: 'milliseconds' }
}

/** The statement that takes it, on a partitioned table and all its partitions. */
export function lockExclusively(table: TableName): string {
  return sql`lock table ${quoted(table)} in access exclusive mode`.text
}
