import type { Overview } from '../../engine/overview/overview.ts'
import type { RetiredTable } from '../../engine/runs/retired.ts'
import type { TableName } from '../../sql/names.ts'

/** Something that is due, or that somebody should look at. */
export interface Notice {
  readonly level: 'critical' | 'warning' | 'due'
  readonly table: TableName | null
  readonly text: string
}

/** What the page is made of: nothing else is read for it. */
export interface ReportData {
  /** The server and the database, as they were given. */
  readonly place: string
  /** Of Ebb. */
  readonly version: string
  readonly overview: Overview
  readonly retired: readonly RetiredTable[]
  /** The worst first. */
  readonly notices: readonly Notice[]
  /** Whether they come from a comparison with a config. */
  readonly hasConfig: boolean
}
