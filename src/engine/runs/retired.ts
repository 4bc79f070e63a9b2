import { readRelationSizes, type RelationSize } from '../../catalog/table/relation-size.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { archivesOfRun } from '../../journal/archives.ts'
import { journalExists, runById } from '../../journal/journal.ts'
import { fromStored } from '../../plan/language/stored.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import { readPatiently, type Patience } from '../locks/patiently.ts'
import type { StorablePlan } from '../command.ts'
import type { EngineOptions } from '../options.ts'
import { readLeftBehind, type LeftBehind } from './left-behind.ts'

/** What a finished copy keeps for a rollback, with its size. */
export interface RetiredTable extends Omit<LeftBehind, 'retired'> {
  /** Null where it has been dropped and only its change capture is left. */
  readonly retired: RelationSize | null
  /** Where the rows left out are archived, with their receipt once there is one; null where they are not to be. */
  readonly archive: { readonly to: string; readonly receipt: string | null } | null
}

/** What `retire` would drop, the oldest first; `look` for display only, by a role that may read the journal and no more. */
export async function retirable(
  target: Target,
  options: Pick<EngineOptions, 'journalSchema'> & Patience,
  to: 'work' | 'look' = 'work',
): Promise<RetiredTable[]> {
  const { journalSchema } = options
  return readPatiently(target, 'look for retired tables', options, (session) =>
    inSnapshot(session, async () => {
      if (!(await journalExists(session, journalSchema, to))) return []
      return readRetired(session, journalSchema)
    }),
  )
}

/** The same from a journal that is there, in a snapshot. */
export async function readRetired(session: Session, schema: string): Promise<RetiredTable[]> {
  const left = await readLeftBehind(session, schema)
  if (left.length === 0) return []
  const names = left.flatMap(({ retired }) => (retired === null ? [] : [retired]))
  const sizes = await readRelationSizes(session, names)
  const sizeOf = (table: TableName | null) => sizes.find(({ name }) => table !== null && sameName(name, table))
  const retired: RetiredTable[] = []
  for (const run of left)
    retired.push({
      ...run,
      retired: sizeOf(run.retired) ?? null,
      archive: await readArchive(session, schema, run.runId),
    })
  return retired
}

async function readArchive(session: Session, schema: string, runId: string): Promise<RetiredTable['archive']> {
  const run = await runById(session, schema, runId)
  const { rebuild = null } = fromStored(run?.plan ?? {}) as StorablePlan
  if (rebuild?.archive == null || rebuild.forward.keep === null) return null
  const archives = await archivesOfRun(session, schema, runId)
  const found = archives.findLast(({ receipt }) => receipt !== null)
  return { to: rebuild.archive.to.uri, receipt: found?.receipt?.uri ?? null }
}

/** The current sizes of tables, without dropped ones. */
export async function sizesOf(target: Target, tables: readonly TableName[]): Promise<RelationSize[]> {
  return withSession(target, 'look', (session) => inSnapshot(session, () => readRelationSizes(session, tables)))
}
