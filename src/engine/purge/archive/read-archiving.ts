import type { GraphTable } from '../../../catalog/references/reference-graph.ts'
import { readCitus } from '../../../catalog/managers.ts'
import { readNotReadBack } from '../../../catalog/table/not-read-back.ts'
import { readPresentTable } from '../../../catalog/table/read-table.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { readOne } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import type { Archiving, ArchivingDependent } from '../../../plan/purge/archive/archiving.ts'
import { chosenBySet, setOfLeaves } from '../../../plan/purge/archive/rows.ts'
import type { ArchiveRequest } from '../../../plan/archive/request.ts'
import { candidateObjections, walkThrough, type CandidateSet } from '../../../plan/purge/candidate-set.ts'
import { isStored } from '../../../plan/purge/stored.ts'
import type { Cascade } from '../../../plan/references/cascade.ts'
import { dependentRows } from '../../../plan/references/dependent-rows.ts'
import type { ConditionSettings } from '../../../sql/condition-settings.ts'
import type { Predicate } from '../../../sql/predicate.ts'
import type { LeafModel } from '../../../catalog/partitions/purge-leaves.ts'
import { isTooWide } from '../../archive/wide-rows.ts'
import type { TableName } from '../../../sql/names.ts'
import { sql } from '../../../sql/sql.ts'
import type { Planning } from '../../command.ts'
import { nameSuffix } from '../../name-suffix.ts'
import { readKeyColumns } from '../candidates/key-columns.ts'
import { mayCreateIn } from '../candidates/may-create.ts'

/** The rows to delete, as far as they are known before that. */
interface RowsToLook {
  readonly table: TableModel
  readonly cascade: Cascade
  readonly predicate: Predicate
  readonly settings: ConditionSettings
  readonly leaves: readonly LeafModel[]
  readonly candidates?: CandidateSet
}

/** What has to be known to archive rows before they are deleted, and those that are deleted with them. */
export async function readArchiving(
  { session, server, options }: Planning,
  rows: RowsToLook,
  to: ArchiveRequest,
): Promise<Archiving> {
  const { journalSchema } = options
  const { table, cascade } = rows
  const dependents = await readDependents(session, server.version, cascade.emptied.slice(1))
  return {
    key: await readKeyColumns(session, table),
    place: { schema: journalSchema, name: `purge_keys_${nameSuffix(options)}` },
    mayCreateThere: await mayCreateIn(session, journalSchema),
    notReadBack: await readNotReadBack(session, table.name),
    ...(await readTooWide(session, rows, dependents, to)),
    listed: true,
    ...(await readStoredKind(session, rows)),
    dependents,
  }
}

/** How Citus stores the table. */
export async function readStoredKind(
  session: Session,
  { table, leaves }: Pick<RowsToLook, 'table' | 'leaves'>,
): Promise<Pick<Archiving, 'stored'>> {
  const citus = leaves.some(isStored) ? await readCitus(session, table.name) : null
  return citus === null ? {} : { stored: { kind: citus.kind, distributionColumn: citus.distributionColumn } }
}

/** Of which tables one of the rows is too wide for the format. */
async function readTooWide(
  session: Session,
  rows: RowsToLook,
  dependents: readonly ArchivingDependent[],
  to: ArchiveRequest,
): Promise<Pick<Archiving, 'tooWide' | 'tooWideDependents'>> {
  const selected = selectedBy(rows)
  if (selected === null) return { tooWide: false }
  const { chosen, settings } = selected
  const tooWide = await isTooWide(session, to, { table: rows.table.name, chosen, settings })
  // Those that may not be read are an objection by themselves.
  if (dependents.some(({ maySelect }) => !maySelect)) return { tooWide }
  const below = dependentRows(rows.cascade, chosen)
  const tooWideDependents: TableName[] = []
  for (const { oid, name } of dependents)
    if (await isTooWide(session, to, { table: name, chosen: below.get(oid) ?? null, settings }))
      tooWideDependents.push(name)
  return { tooWide, tooWideDependents }
}

/** The rows of the table; null where a set cannot be used, which is an objection by itself. */
function selectedBy({
  table,
  predicate,
  settings,
  leaves,
  candidates,
}: RowsToLook): { readonly chosen: string; readonly settings: ConditionSettings } | null {
  if (candidates === undefined) return { chosen: `where (${predicate.text}\n)`, settings }
  if (leaves.length === 0 || candidateObjections(candidates, table).length > 0) return null
  const chosen = chosenBySet(setOfLeaves(leaves.map((leaf) => walkThrough(candidates, leaf).leaf)), null)
  return { chosen, settings: candidates.settings }
}

/** The same of the tables around. */
export async function readDependents(
  session: Session,
  version: number,
  tables: readonly Pick<GraphTable, 'oid' | 'name'>[],
): Promise<ArchivingDependent[]> {
  const dependents: ArchivingDependent[] = []
  for (const { oid, name } of tables) {
    const { may } = await readOne<{ may: boolean }>(
      session,
      sql`select has_table_privilege(${oid}::oid, 'select') as may`,
    )
    dependents.push({
      oid,
      name,
      key: may ? await readKeyColumns(session, await readPresentTable(session, name, version)) : [],
      notReadBack: await readNotReadBack(session, name),
      maySelect: may,
    })
  }
  return dependents
}
