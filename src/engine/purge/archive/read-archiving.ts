import type { GraphTable } from '../../../catalog/references/reference-graph.ts'
import { readNotReadBack } from '../../../catalog/table/not-read-back.ts'
import { readPresentTable } from '../../../catalog/table/read-table.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { readOne, type Session } from '../../../db/session.ts'
import type { Archiving, ArchivingDependent } from '../../../plan/purge/archive/archiving.ts'
import type { Cascade } from '../../../plan/references/cascade.ts'
import { sql } from '../../../sql/sql.ts'
import type { Planning } from '../../command.ts'
import { nameSuffix } from '../../name-suffix.ts'
import { readKeyColumns } from '../candidates/key-columns.ts'
import { mayCreateIn } from '../candidates/may-create.ts'

/** What has to be known to archive rows before they are deleted, and those that are deleted with them. */
export async function readArchiving(
  { session, server, options }: Planning,
  table: TableModel,
  { emptied }: Cascade,
): Promise<Archiving> {
  const { journalSchema } = options
  return {
    key: await readKeyColumns(session, table),
    place: { schema: journalSchema, name: `purge_keys_${nameSuffix(options)}` },
    mayCreateThere: await mayCreateIn(session, journalSchema),
    notReadBack: await readNotReadBack(session, table.name),
    listed: true,
    dependents: await readDependents(session, server.version, emptied.slice(1)),
  }
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
