import { readRelationSizes, type RelationSize } from '../../catalog/table/relation-size.ts'
import { inSnapshot, withSession, type Target } from '../../db/session.ts'
import { journalExists } from '../../journal/journal.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import { readPatiently, type Patience } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { readLeftBehind, type LeftBehind } from './left-behind.ts'

/** What a finished copy keeps for a rollback, with its size. */
export interface RetiredTable extends Omit<LeftBehind, 'retired'> {
  /** Null where it has been dropped and only its change capture is left. */
  readonly retired: RelationSize | null
}

/** What `retire` would drop, the oldest first. */
export async function retirable(
  target: Target,
  options: Pick<EngineOptions, 'journalSchema'> & Patience,
): Promise<RetiredTable[]> {
  const { journalSchema } = options
  return readPatiently(target, 'look for retired tables', options, (session) =>
    inSnapshot(session, async () => {
      if (!(await journalExists(session, journalSchema))) return []
      const left = await readLeftBehind(session, journalSchema)
      const names = left.flatMap(({ retired }) => (retired === null ? [] : [retired]))
      const sizes = await readRelationSizes(session, names)
      const sizeOf = (table: TableName | null) => sizes.find(({ name }) => table !== null && sameName(name, table))
      return left.map((run) => ({ ...run, retired: sizeOf(run.retired) ?? null }))
    }),
  )
}

/** The current sizes of tables, without dropped ones. */
export async function sizesOf(target: Target, tables: readonly TableName[]): Promise<RelationSize[]> {
  return withSession(target, 'look', (session) => inSnapshot(session, () => readRelationSizes(session, tables)))
}
