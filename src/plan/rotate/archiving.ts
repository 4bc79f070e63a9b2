import { WRITE_TRIGGER } from '../../catalog/partitions/own-parts.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { toText } from '../../grid/key.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, raw, sql } from '../../sql/sql.ts'
import type { ArchiveRequest } from '../archive/request.ts'
import { hiveFolder } from '../archive/names.ts'
import { archiveStep } from '../archive/step.ts'
import type { ArchiveStep, ShortLockStep } from '../language/step.ts'
import type { Horizon } from './horizon.ts'

// A partition is archived when it is detached: nothing reaches it through the table any more. It can still be written
// to by its name, and by foreign keys that cascade; a trigger notices, and then it is archived again. Refusing such
// writes would make statements of the application fail that have nothing to do with it: a row that others reference
// could not be deleted.

/** Where partitions are archived, and what their receipts say. */
export interface Archives {
  readonly to: ArchiveRequest
  readonly journalSchema: string
  readonly horizon: Horizon
}

/** Watching a partition, and archiving it. */
export interface Archiving {
  /** Null where Citus stores it, and allows no triggers: there its rows are compared before and after (plan/table/fingerprint.ts). */
  readonly guard: ShortLockStep | null
  readonly archive: ArchiveStep
}

type Detached = Pick<Partition, 'oid' | 'name' | 'boundsText' | 'estimatedRows'>

/** In the journal and in receipts. */
const COMMAND = 'rotate'

export function archivingOf(set: PartitionedTable, partition: Detached, archives: Archives): Archiving {
  const { oid, name, boundsText, estimatedRows } = partition
  const { to, journalSchema, horizon } = archives
  return {
    guard: set.citus === undefined ? guardStep(partition, journalSchema) : null,
    archive: archiveStep({
      command: COMMAND,
      kind: 'table',
      rows: {
        table: name,
        oid,
        ...(to.hive === true && set.key !== null ? { folder: folderOf(set, set.key.column, boundsText) } : {}),
        partitionOf: { ...set.name, bounds: boundsText },
        chosen: null,
        where: null,
        horizon: toText(horizon.kind, horizon.position),
        estimatedRows,
      },
      settings: {},
      to,
    }),
  }
}

/** In order. */
export function archivingSteps({ guard, archive }: Archiving): (ShortLockStep | ArchiveStep)[] {
  return [...(guard === null ? [] : [guard]), archive]
}

function folderOf({ name, columns }: PartitionedTable, key: string, bounds: string): string {
  return hiveFolder(
    name,
    key,
    columns.map((column) => column.name),
    bounds,
  )
}

/** When its lock is taken, all earlier writers have ended; later ones leave a mark in the journal. */
export function guardStep({ name }: Pick<Detached, 'name'>, journalSchema: string): ShortLockStep {
  const because = 'it can still be written to by its name; what is written after the archive has to be archived as well'
  const watching = watchStep(name, journalSchema, because, 'insert or update or delete')
  return { ...watching, key: `guard:${display(name)}` }
}

/**
 * Notices from now on that it is written to. A row that a cascade deletes from a partition which stays for a while is no
 * reason to keep it.
 */
export function watchStep(
  name: TableName,
  journalSchema: string,
  because: string,
  writes: 'insert or update' | 'insert or update or delete' = 'insert or update',
): ShortLockStep {
  const [place, trigger] = [quoted(name), raw(WRITE_TRIGGER)]
  return {
    kind: 'short lock',
    key: `watch:${display(name)}`,
    title: `watch ${display(name)} for writes`,
    because,
    locks: [{ table: name, mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', held: 'milliseconds' }],
    cost: 'milliseconds',
    quiet: name,
    acquire: [sql`lock table ${place} in share row exclusive mode`.text],
    statements: [
      sql`create or replace trigger ${trigger} after ${raw(writes)} on ${place} for each row execute function ${ident(journalSchema, 'mark_archived_write')}()`
        .text,
      sql`alter table ${place} enable always trigger ${trigger}`.text,
    ],
  }
}

/** Watches it no longer. */
export function dropGuard(name: TableName): string {
  return sql`drop trigger if exists ${raw(WRITE_TRIGGER)} on ${quoted(name)}`.text
}

/** Forgets what was written before it is watched. Of one that has partitions, those are marked. */
export function forgetWrites(oid: string, journalSchema: string): string {
  return `delete from ${ident(journalSchema, 'archived_write').text} where relation_oid in (select ${BigInt(oid)}::oid union select relid from pg_partition_tree(${BigInt(oid)}::oid))`
}
