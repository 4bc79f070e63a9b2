import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { LeafFacts, LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import type { Reach } from '../../catalog/condition/selectivity.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { conditionObjections } from '../table/condition-objections.ts'
import { disabledConstraintObjections } from '../table/disabled-constraints.ts'
import { objection, when } from '../language/objection.ts'
import type { PurgeRequest } from './purge.ts'
import { indexInOrder } from './walk.ts'
import { shellWord } from '../../text/shell-word.ts'
import { serverObjections } from '../table/server-objections.ts'
import type { Objection } from '../language/step.ts'

/** What is no table with rows of its own; undefined where there is nothing wrong with it. */
function kindOfWrong({ name, kind }: TableModel): Objection | undefined {
  if (kind === 'table' || kind === 'partitioned table') return undefined
  const what = `${display(name)} is a ${kind}`
  if (kind === 'view' || kind === 'materialized view') return objection('view', what, 'Name the table below it.')
  if (kind === 'foreign table') return objection('foreign-table', what, 'Purge it in the database that it is in.')
  return objection('no-table', `${display(name)} is no table (${kind})`, 'Name a table.')
}

/** What is in the way of looking for the rows at all. */
export function objectionsToLooking(
  { server, journalSchema, table, itself, condition }: BeforeLooking,
  { noArchive }: Pick<PurgeRequest, 'noArchive'>,
): Objection[] {
  const kind = kindOfWrong(table)
  const fundamental = [...serverObjections(server, journalSchema), ...(kind === undefined ? [] : [kind])]
  if (fundamental.length > 0) return fundamental
  return [
    ...conditionObjections(condition),
    ...rightsObjections(itself, server.role),
    ...(noArchive ? [] : [archiveObjection()]),
  ]
}

/** What is known without any look into the table. */
export interface BeforeLooking {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  /** The table's own facts, partitioned or not. */
  readonly itself: LeafFacts
  readonly condition: ConditionFacts
}

/** What is in the way of deleting these rows, with the way out of each. */
export function purgeObjections(
  table: TableModel,
  leaves: readonly LeafModel[],
  reach: Reach,
  request: PurgeRequest,
  server: ServerModel,
): Objection[] {
  const { role } = server
  return [
    ...uncounted(
      server,
      leaves.flatMap(({ deleteTriggers }) => deleteTriggers),
    ),
    ...everything(table, leaves, reach, request),
    ...disabledConstraintObjections(leaves.flatMap(({ disabledConstraints }) => disabledConstraints)),
    ...leaves.flatMap((leaf) => leafObjections(leaf, request, role)),
  ]
}

/** Triggers may take rows along that nobody chose, and only PostgreSQL's own count tells. */
export function uncounted({ countsChanges, role }: ServerModel, triggers: readonly string[]): Objection[] {
  const [trigger] = triggers
  if (countsChanges || trigger === undefined) return []
  return [trackCounts(`what trigger ${trigger} does beyond the rows that were chosen`, role)]
}

/** `what` would go unnoticed. */
export function trackCounts(what: string, role: string): Objection {
  return objection(
    'track-counts',
    `PostgreSQL does not count what transactions change (track_counts is off), so ${what} would go unnoticed`,
    `As an administrator: alter role ${ident(role).text} set track_counts = on;`,
  )
}

function archiveObjection(): Objection {
  return objection(
    'archive',
    'the rows would be gone for good, and archives cannot be written by this version',
    'If they are not needed any more, say --no-archive.',
  )
}

/**
 * That rows match which are in none of the tables found: nothing would be done,
 * and it would look as if nothing were to be done. Sizes of files tell, too.
 */
export function rowsElsewhere(
  { name }: TableModel,
  leaves: readonly LeafModel[],
  { selectsSome }: Pick<Reach, 'selectsSome'>,
): Objection[] {
  const inNone = leaves.length === 0 ? selectsSome !== false : selectsSome === true && leaves.every(isWithoutBlocks)
  if (!inNone) return []
  return [
    objection(
      'rows-elsewhere',
      `rows of ${display(name)} match, or may, and PostgreSQL shows no table of this server in which they are`,
      'Delete them by means of whatever stores them.',
    ),
  ]
}

function isWithoutBlocks({ kind, blocks }: LeafModel): boolean {
  return kind === 'table' && blocks === 0
}

/** So many of the rows match, by the planner's estimate, that it may be all. */
const NEARLY_ALL = 0.95

/** That the condition spares nothing, or may do so. */
export function everything(
  table: TableModel,
  leaves: readonly LeafModel[],
  { sparesSome }: Reach,
  { allRows }: Pick<PurgeRequest, 'allRows'>,
): Objection[] {
  if (allRows || sparesSome === true) return []
  const name = display(table.name)
  const fix = `If all rows are to go, say --all-rows; where nobody needs the table meanwhile, truncate ${quoted(table.name).text} is done in a moment.`
  if (sparesSome === false) return [objection('all-rows', `every row of ${name} matches the condition`, fix)]
  const rows = leaves.reduce((sum, leaf) => sum + (leaf.rows ?? 0), 0)
  const matching = leaves.reduce((sum, leaf) => sum + leaf.matching, 0)
  if (matching < rows * NEARLY_ALL) return []
  return [objection('all-rows', `every row of ${name} may match the condition: within 5 s no other was found`, fix)]
}

function leafObjections(leaf: LeafModel, { orderBy }: PurgeRequest, role: string): Objection[] {
  const name = display(leaf.name)
  const place = quoted(leaf.name).text
  return [
    ...when(leaf.kind !== 'table', () =>
      objection(
        `foreign:${name}`,
        `${name} is a foreign table`,
        'Purge it in the database it is in, or exclude it by the condition.',
      ),
    ),
    ...storageObjections(leaf),
    ...rightsObjections(leaf, role),
    ...ruleObjections(leaf),
    ...when(leaf.deletesRefused, () =>
      objection(
        `replica-identity:${name}`,
        `${name} is published with its deletes and has no replica identity, so PostgreSQL refuses to delete from it`,
        `Give it one: a primary key, or alter table ${place} replica identity using index …; or publish no deletes.`,
      ),
    ),
    ...(orderBy === null || indexInOrder(leaf, orderBy) !== undefined ? [] : [noOrder(leaf, orderBy)]),
  ]
}

/** Addresses of rows, blocks and sizes mean what they mean in heap alone. */
export function storageObjections({ name, kind, accessMethod }: LeafFacts): Objection[] {
  if (kind !== 'table' || accessMethod === 'heap') return []
  return [
    objection(
      `access-method:${display(name)}`,
      `${display(name)} is stored by the access method ${accessMethod ?? 'of an extension'}`,
      'Only rows of heap tables can be reached one by one: delete them with SQL, or exclude the table by the condition.',
    ),
  ]
}

function ruleObjections({ name, deleteRules }: LeafFacts): Objection[] {
  return deleteRules.map((rule) =>
    objection(
      `rule:${display(name)}.${rule}`,
      `rule ${rule} makes something else of a delete on ${display(name)}`,
      `Switch it off for the time of the purge: alter table ${quoted(name).text} disable rule ${ident(rule).text};`,
    ),
  )
}

/** Rows are deleted from the partitions, or children, that they are in, and what is to happen by the table above does not. */
export function objectionsAbove(itself: LeafFacts, leaves: readonly LeafModel[]): Objection[] {
  if (leaves.every(({ oid }) => oid === itself.oid)) return []
  const rules = leaves.some(({ oid }) => oid === itself.oid) ? [] : ruleObjections(itself)
  return [...rules, ...sleepingTriggers(itself)]
}

function sleepingTriggers(itself: LeafFacts): Objection[] {
  return itself.statementTriggers.map((trigger) => {
    const code = `statement-trigger:${display(itself.name)}.${trigger}`
    return {
      code,
      what: `statement trigger ${trigger} of ${display(itself.name)} would not fire, for rows are deleted from its partitions directly`,
      fix: `If that does no harm, go ahead with --accept ${shellWord(code)}; else create the trigger on each partition.`,
      acceptable: true,
    }
  })
}

/** What the role may not do there, or does not see. */
export function rightsObjections(leaf: LeafFacts, role: string): Objection[] {
  const name = display(leaf.name)
  const place = quoted(leaf.name).text
  return [
    ...when(leaf.missingPrivileges.length > 0, () =>
      objection(
        `privilege:${name}`,
        `${role} lacks ${leaf.missingPrivileges.join(', ')} on ${name}`,
        `As its owner: grant select, update, delete on ${place} to ${ident(role).text}; update is needed to lock rows before they are deleted.`,
      ),
    ),
    ...when(leaf.rowsHidden, () =>
      objection(
        `row-security:${name}`,
        `row-level security hides rows of ${name} from ${role}, so which ones match cannot be told`,
        `Connect as a role with BYPASSRLS, or, if it is forced on the owner, lift that for the time of the purge: alter table ${place} no force row level security;`,
      ),
    ),
  ]
}

function noOrder({ name, indexes, columns }: LeafModel, column: string): Objection {
  const code = `order-by:${display(name)}`
  if (!columns.includes(column))
    return objection(
      code,
      `${display(name)} has no column ${column}`,
      'Say --order-by with one of its columns, or leave it away.',
    )
  const beginning = indexes.filter((index) => index.columns[0]?.name === column)
  const why =
    beginning.length === 0
      ? `no index of ${display(name)} that could be walked along begins with ${column}`
      : beginning.some(({ coversMatches }) => coversMatches)
        ? `too many rows of ${display(name)} share a ${column}`
        : `rows of ${display(name)} that match may have no ${column}, and would not be found in its order`
  return objection(
    code,
    why,
    `Leave --order-by away, or, with the primary key's columns behind it to tell rows apart: create index concurrently on ${quoted(name).text} (${ident(column).text}, …);`,
  )
}
