import type { LeafModel } from '../../../catalog/partitions/purge-leaves.ts'
import type { ReferenceGraph } from '../../../catalog/references/reference-graph.ts'
import type { ServerModel } from '../../../catalog/server-model.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { display, quoted, type TableName } from '../../../sql/names.ts'
import { ident } from '../../../sql/sql.ts'
import { shellWord } from '../../../text/shell-word.ts'
import { notRestorable, tooWideForParquet } from '../../archive/objections.ts'
import { objection, when } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'
import type { Cascade } from '../../references/cascade.ts'
import type { WalkedReference } from '../../references/graph.ts'
import { trackCounts } from '../objections.ts'
import { journalCreate } from '../set-steps.ts'
import type { Archiving, ArchivingDependent } from './archiving.ts'

/** What the rows are of. */
export interface ToBeArchived {
  readonly archiving: Archiving
  readonly table: TableModel
  readonly leaves: readonly LeafModel[]
  readonly graph: ReferenceGraph
  readonly cascade: Cascade
  readonly server: ServerModel
}

/** Why rows of the table, and those that depend on them, cannot be archived first. */
export function archivingObjections({ archiving, table, leaves, graph, cascade, server }: ToBeArchived): Objection[] {
  const {
    key,
    place,
    mayCreateThere,
    notReadBack,
    tooWide = false,
    tooWideDependents = [],
    dependents = [],
  } = archiving
  return [
    ...when(key === null, () => withoutKey('archive-key', table.name)),
    ...notRestorable(table, notReadBack),
    ...when(tooWide, () => tooWideForParquet(table.name)),
    ...when(!mayCreateThere, () => journalCreate(place.schema, server)),
    ...when(table.kind === 'table' && leaves.some(({ oid }) => oid !== table.oid), () => inherited(table.name)),
    ...dependents.flatMap((one) => dependentObjections(one, server.role)),
    ...tooWideDependents.map((name) => ofDependent(tooWideForParquet(name), name)),
    ...cascade.walked.flatMap(unlinked),
    ...when(!graph.counts && dependents.length > 0, () =>
      trackCounts('a row that is deleted without having been archived', server.role),
    ),
  ]
}

function dependentObjections({ name, key, notReadBack, maySelect }: ArchivingDependent, role: string): Objection[] {
  return [
    ...when(key === null, () => withoutKey(`archive-key:${display(name)}`, name)),
    ...when(!maySelect, () =>
      objection(
        `archive-select:${display(name)}`,
        `${role} may not read all columns of ${display(name)}, whose rows would be deleted too`,
        `As its owner: grant select on ${quoted(name).text} to ${ident(role).text};`,
      ),
    ),
    ...notRestorable({ name }, notReadBack).map((one) => ofDependent(one, name)),
  ]
}

function ofDependent(one: Objection, name: TableName): Objection {
  return { ...one, code: `${one.code}:${display(name)}` }
}

function withoutKey(code: string, table: TableName): Objection {
  return objection(
    code,
    `${display(table)} has neither a primary key nor a unique index over columns that cannot be null, so an archived row could not be found again to be deleted`,
    'Add a key first, without blocking anybody: create unique index concurrently …, and alter … set not null by way of a validated check. Or pass --no-archive if the rows are no longer needed.',
  )
}

/** Tables that inherit may have columns of their own, which partitions cannot. */
function inherited(table: TableName): Objection {
  return objection(
    'archive-inheritance',
    `rows to be deleted are in tables that inherit from ${display(table)}, which may have further columns`,
    'Purge each of these tables by its own name: its rows have an archive of their own.',
  )
}

/** Rows that stay lose a value that no archive has. */
function unlinked({ reference, from, to, fate }: WalkedReference): Objection[] {
  if (fate !== 'set null' && fate !== 'set default') return []
  const code = `archive-${fate.replace(' ', '-')}:${display(from.name)}.${reference.name}`
  const columns = reference.pairs.map(({ referring }) => referring).join(', ')
  return [
    {
      code,
      what: `rows of ${display(from.name)} stay, and which row of ${display(to.name)} they referenced (${columns}) would be in no archive: on delete ${fate}`,
      fix: `If that is acceptable, pass --accept ${shellWord(code)}; to keep such rows: --protect ${shellWord(display(from.name))}; to have it archived: ebb archive ${shellWord(display(from.name))} --where "${columns} is not null" --archive … before.`,
      acceptable: true,
    },
  ]
}
