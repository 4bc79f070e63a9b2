import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { ArchiveRequest } from './request.ts'
import type { Relation, RowsToArchive } from './rows.ts'

/** An archive of rows of one relation. */
export interface ArchiveWork {
  /** By which it is known in the journal and in the receipt. */
  readonly command: string
  readonly kind: Relation['kind']
  readonly rows: RowsToArchive
  /** Of the condition that selects them. */
  readonly settings: ConditionSettings
  readonly to: ArchiveRequest
}
