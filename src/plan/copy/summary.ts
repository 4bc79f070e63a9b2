import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Interval } from '../../grid/interval.ts'
import type { TableName } from '../../sql/names.ts'
import type { ArchiveRequest } from '../archive/request.ts'
import type { RowsToArchive } from '../archive/rows.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { Facts, Plan } from '../language/step.ts'
import type { AsideNames } from '../table/dependents.ts'
import type { CopyWork } from './work.ts'

export interface RebuildPlan extends Plan {
  /** Null where there are objections. */
  readonly rebuild: RebuildSummary | null
}

/** What later runs need: to undo preparations, to roll back, to drop the retired table. */
export interface RebuildSummary {
  /** Of the table that is copied from, which may be renamed meanwhile. */
  readonly sourceOid: string
  /** The table as it was when the run was planned. */
  readonly original: TableModel
  readonly shadow: TableName
  readonly retired: TableName
  readonly aside: AsideNames
  /** From the table into the shadow. */
  readonly forward: CopyWork
  /** From the new table into the retired one, from the swap on. */
  readonly back: CopyWork
  /** Where the new table is partitioned: how rotate keeps it. */
  readonly policy: SetPolicy | null
  /** Disk that it needs beside the table, by estimate. The log and WAL come on top. */
  readonly diskBytes: number
  /** After the end of the run; null: the retired table stays until `ebb retire` drops it. */
  readonly retireAfter: Interval | null
  /** How the rows left out are archived; null where they are not. Runs of earlier versions have none. */
  readonly archive?: LeftOutArchive | null
  /** What is true of the new table when all is done. */
  readonly outcome: Facts
}

/** How the rows that a copy leaves out are archived. */
export interface LeftOutArchive {
  /** In the journal and in the receipt. */
  readonly command: 'rebuild' | 'split' | 'partition'
  readonly to: ArchiveRequest
  /** The table that the rows were in, as it was called before the swap. */
  readonly table: TableName
  readonly partitionOf: RowsToArchive['partitionOf']
  /** Where rows are left out because they have expired. */
  readonly horizon: string | null
  readonly estimatedRows: number | null
}
