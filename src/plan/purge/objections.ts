import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { ComputedOtherwise } from '../../catalog/condition/computed-otherwise.ts'
import { publicationObjections } from '../table/published.ts'
import type { LeafFacts, LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import type { Reach } from '../../catalog/condition/selectivity.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { conditionObjections } from '../table/objections/condition.ts'
import { disabledConstraintObjections } from '../table/objections/disabled-constraints.ts'
import { reservedColumnObjections } from '../table/objections/column.ts'
import { objection, when } from '../language/objection.ts'
import type { PurgeRequest } from './request.ts'
import { indexInOrder } from './walk.ts'
import { shellWord } from '../../text/shell-word.ts'
import { serverObjections } from '../table/objections/server.ts'
import type { Objection } from '../language/step.ts'

/** Objects that are not tables with rows of their own; undefined for tables. */
function kindOfWrong({ name, kind }: TableModel): Objection | undefined {
  if (kind === 'table' || kind === 'partitioned table') return undefined
  const what = `${display(name)} is a ${kind}`
  if (kind === 'view' || kind === 'materialized view') return objection('view', what, 'Pass the underlying table.')
  return objection('no-table', `${display(name)} is not a table (${kind})`, 'Pass a table.')
}

/** Objections to reading the matching rows at all. */
export function objectionsToLooking(
  { server, journalSchema, table, itself, condition }: BeforeLooking,
  { noArchive, archive }: Pick<PurgeRequest, 'noArchive' | 'archive'>,
): Objection[] {
  const kind = kindOfWrong(table)
  const fundamental = [...serverObjections(server, journalSchema), ...(kind === undefined ? [] : [kind])]
  if (fundamental.length > 0) return fundamental
  return [
    ...conditionObjections(condition),
    ...computedOtherwiseObjections(condition.computedOtherwise),
    ...reservedColumnObjections(table),
    ...rightsObjections(itself, server.role),
    ...(noArchive || archive !== undefined ? [] : [archiveObjection()]),
  ]
}

/** A purge reads each partition by its own name, where such a column has another value than in the table. */
export function computedOtherwiseObjections(computedOtherwise: readonly ComputedOtherwise[]): Objection[] {
  return computedOtherwise.map(({ column, partition }) =>
    objection(
      `computed:${display(partition)}.${column}`,
      `${display(partition)} computes the virtual column ${column} by another expression than the table, so the condition means other rows there`,
      `Write the expression into the condition instead of ${column}, or give the partition that of the table: alter table only ${quoted(partition).text} alter column ${ident(column).text} set expression as (…);`,
    ),
  )
}

/** What is known without reading the table. */
export interface BeforeLooking {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  /** The table's own facts, partitioned or not. */
  readonly itself: LeafFacts
  readonly condition: ConditionFacts
}

/** Objections to deleting these rows, each with its fix. */
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

/** Triggers may delete rows that were not selected, which only PostgreSQL's own counters show. */
export function uncounted({ countsChanges, role }: ServerModel, triggers: readonly string[]): Objection[] {
  const [trigger] = triggers
  if (countsChanges || trigger === undefined) return []
  return [trackCounts(`what trigger ${trigger} does beyond the chosen rows`, role)]
}

/** `what` would go unnoticed. */
export function trackCounts(what: string, role: string): Objection {
  return objection(
    'track-counts',
    `PostgreSQL does not count the changes of transactions (track_counts is off), so ${what} would go unnoticed`,
    `As an administrator: alter role ${ident(role).text} set track_counts = on;`,
  )
}

function archiveObjection(): Objection {
  return objection(
    'archive',
    'the rows would be deleted without an archive',
    'Pass --archive <uri>; or, if they are no longer needed, pass --no-archive.',
  )
}

/**
 * That rows match which are in none of the tables found: nothing would be deleted,
 * and it would look as if there were nothing to delete. File sizes show it, too.
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
      `rows of ${display(name)} match, or may match, but PostgreSQL shows no table of this server that holds them`,
      'Delete them with the tools of the extension that stores them.',
    ),
  ]
}

function isWithoutBlocks({ kind, blocks }: LeafModel): boolean {
  return kind === 'table' && blocks === 0
}

/** By the planner's estimate so many rows match that it may be all of them. */
const NEARLY_ALL = 0.95

/** That the condition matches, or may match, every row. */
export function everything(
  table: TableModel,
  leaves: readonly LeafModel[],
  { sparesSome }: Reach,
  { allRows }: Pick<PurgeRequest, 'allRows'>,
): Objection[] {
  if (allRows || sparesSome === true) return []
  const name = display(table.name)
  const fix = `To delete all rows, pass --all-rows; if the table is not in use, truncate ${quoted(table.name).text} is faster.`
  if (sparesSome === false) return [objection('all-rows', `every row of ${name} matches the condition`, fix)]
  const rows = leaves.reduce((sum, leaf) => sum + (leaf.rows ?? 0), 0)
  const matching = leaves.reduce((sum, leaf) => sum + leaf.matching, 0)
  if (matching < rows * NEARLY_ALL) return []
  return [
    objection('all-rows', `every row of ${name} may match the condition: none that does not was found within 5 s`, fix),
  ]
}

function leafObjections(leaf: LeafModel, { orderBy }: PurgeRequest, role: string): Objection[] {
  if (leaf.kind !== 'table') return [foreignLeaf(leaf)]
  return [
    ...storageObjections(leaf),
    ...rightsObjections(leaf, role),
    ...ruleObjections(leaf),
    ...publicationObjections('deletes', leaf.name, leaf.published),
    ...(orderBy === null || leaf.stored !== undefined || indexInOrder(leaf, orderBy) !== undefined
      ? []
      : [noOrder(leaf, orderBy)]),
  ]
}

/** Whatever else could be said of it, concerns its server. */
function foreignLeaf({ name }: LeafModel): Objection {
  return objection(
    `foreign:${display(name)}`,
    `${display(name)} is a foreign table`,
    'Purge it in the database that holds it, or exclude it by the condition.',
  )
}

/** Row addresses, blocks and sizes have their meaning only in heap tables. */
export function storageObjections({ name, kind, accessMethod }: LeafFacts): Objection[] {
  if (kind !== 'table' || accessMethod === 'heap') return []
  return [
    objection(
      `access-method:${display(name)}`,
      `${display(name)} uses the access method ${accessMethod ?? 'of an extension'}`,
      'Only rows of heap tables can be reached one by one: delete them with SQL, or exclude the table by the condition.',
    ),
  ]
}

/** A rule may do something else, or nothing, in place of what is asked for; and where there is one, nothing is returned. */
export function ruleObjections({ name, deleteRules }: Pick<LeafFacts, 'name' | 'deleteRules'>): Objection[] {
  return deleteRules.map((rule) =>
    objection(
      `rule:${display(name)}.${rule}`,
      `rule ${rule} rewrites deletes on ${display(name)}`,
      `Disable it for the duration of the purge: alter table ${quoted(name).text} disable rule ${ident(rule).text};`,
    ),
  )
}

/** Rows are deleted directly from their partitions or children, so statement triggers of the parent do not fire. */
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
      what: `statement trigger ${trigger} of ${display(itself.name)} would not fire, because rows are deleted from its partitions directly`,
      fix: `If that is acceptable, pass --accept ${shellWord(code)}; otherwise create the trigger on each partition.`,
      acceptable: true,
    }
  })
}

/** What the role may not do there, or cannot see. */
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
        `row-level security hides rows of ${name} from ${role}, so the matching rows cannot be determined`,
        `Connect as a role with BYPASSRLS, or, if it is forced on the owner, lift that for the duration of the purge: alter table ${place} no force row level security;`,
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
      'Name one of its columns with --order-by, or omit it.',
    )
  const beginning = indexes.filter((index) => index.columns[0]?.name === column)
  const why =
    beginning.length === 0
      ? `no index of ${display(name)} that can be walked begins with ${column}`
      : beginning.some(({ coversMatches }) => coversMatches)
        ? `too many rows of ${display(name)} share a ${column}`
        : `matching rows of ${display(name)} may have no ${column}, and would not be found in its order`
  return objection(
    code,
    why,
    `Omit --order-by, or, with the primary key's columns appended to tell rows apart: create index concurrently on ${quoted(name).text} (${ident(column).text}, …);`,
  )
}
