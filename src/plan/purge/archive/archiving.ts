import type { NotReadBack } from '../../../catalog/table/not-read-back.ts'
import type { TableName } from '../../../sql/names.ts'
import type { ArchiveRequest } from '../../archive/request.ts'
import type { StoredKind } from '../stored-list.ts'
import type { KeyWalkColumn } from '../work.ts'

// A purge with an archive. Which rows are archived is written down in three ways, and what is deleted is what was:
//
//   - Rows that stand alone: their versions are listed in the snapshot that archives them. Only after the receipt are
//     rows deleted, by walking the list, and only those whose newest version is the one that was listed.
//   - Rows of a candidate set, and those with dependent rows: keys are recorded first, with a fingerprint of each row;
//     what they hold is archived, in one snapshot, and what has changed until then is dropped from the set. With
//     --cascade the rows that depend on them are archived in the same snapshot, and their keys recorded in it, in a set for
//     each table. Only after the receipt are rows deleted, by walking the set, and only those that hold what was archived.
//   - Rows that Citus stores: their keys, versions and fingerprints are listed beside them, on their nodes (stored-list.ts). The
//     nodes share no snapshot, and need none: each row is deleted only if it holds what was archived of it.
//
// An entry goes with its row, in the same statement, so those left name the rows that were archived and not deleted,
// however often the run was interrupted.

/** What has to be known for it. */
export interface Archiving {
  /** The columns that identify a row; null where none do. */
  readonly key: readonly KeyWalkColumn[] | null
  /** The table for the keys; those of dependent rows have its name and a number. */
  readonly place: TableName
  readonly mayCreateThere: boolean
  readonly notReadBack: readonly NotReadBack[]
  /** One of the rows is certainly too wide for the format. */
  readonly tooWide?: boolean
  /** The same of rows that depend on them: in which tables. */
  readonly tooWideDependents?: readonly TableName[]
  /** Row versions can be listed. Plans of earlier versions record keys in any case, and are resumed so. */
  readonly listed?: true
  /** How Citus stores the table, where it does: the list is stored like it. */
  readonly stored?: StoredKind
  /** The tables whose rows may be deleted with those of the table. */
  readonly dependents?: readonly ArchivingDependent[]
}

/** The same of a table around. */
export interface ArchivingDependent extends Pick<Archiving, 'key' | 'notReadBack'> {
  readonly oid: string
  readonly name: TableName
  readonly maySelect: boolean
}

/** For the plan: where the rows go. */
export function describeArchiving({ uri, format, compression, encryptTo }: ArchiveRequest): string {
  const how = [
    format,
    ...(compression === 'none' ? [] : [compression]),
    ...(encryptTo.length === 0 ? [] : ['encrypted']),
  ]
  return `archived first to ${uri} (${how.join(', ')}); only rows that are unchanged since are deleted`
}
