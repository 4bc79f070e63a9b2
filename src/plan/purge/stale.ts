import type { LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import type { Column, Index, TableModel } from '../../catalog/table/table-model.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { ordered, own, type Ordering } from '../../sql/operators.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'
import type { GroupsOfRows } from '../archive/rows.ts'
import { momentBefore, momentOf } from '../language/moment.ts'
import { objection } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'
import { indexCure } from '../references/cascade-cost.ts'
import { showCount } from '../../text/units.ts'

/** Groups of rows, say one for each experiment, without activity for some time. */
export interface StaleGroups {
  /** The grouping column; rows where it is null are in no group. */
  readonly group: string
  /** The time of a row's activity. A row where it is null keeps its group. */
  readonly activity: string
  readonly idle: Interval
}

/** The same with the horizon, as SQL of the activity's type. */
export interface StaleSince extends StaleGroups {
  readonly table: TableName
  readonly horizon: string
  /** No row is without an activity. */
  readonly certain: boolean
  /** By what groups are compared. */
  readonly operators: Ordering | undefined
}

/**
 * Fixes the horizon.
 *
 * @param moment the server's clock as a literal, without its cast
 * @returns null where the columns are not there, or the activity is no time
 */
export function staleSince(table: TableModel, groups: StaleGroups, moment: string): StaleSince | null {
  const [group, activity] = [groups.group, groups.activity].map((name) => columnOf(table, name))
  if (group === undefined || activity === undefined) return null
  const horizon = momentOf(activity.type, momentBefore(moment, groups.idle))
  if (horizon === null) return null
  return {
    ...groups,
    table: table.name,
    horizon,
    certain: activity.notNull,
    operators: indexOf(table, groups.group, groups.activity)?.operators[0],
  }
}

/** The rows of groups without activity; checked again for each row. */
export function rowsOfStale(since: StaleSince): Predicate {
  const { group, activity, horizon } = since
  const [groupColumn, time] = [ident(group), ident(activity)]
  const old = sql`t.${time} ${own('<')} ${raw(horizon)} and t.${groupColumn} is not null`
  return predicate(sql`${old} and ${isStale(since, sql`t.${groupColumn}`)}`)
}

/** The rows of the parent table whose groups are without activity, and have rows at all. */
export function parentsOfStale(since: StaleSince, key: string): Predicate {
  const id = sql`t.${ident(key)}`
  const some = sql`${lookUp(since, id, raw('true'))} is not null`
  return predicate(sql`${some} and ${isStale(since, id)}`)
}

function isStale(since: StaleSince, group: Sql): Sql {
  const time = sql`ebb_g.${ident(since.activity)}`
  const active = sql`${lookUp(since, group, sql`${time} ${own('>=')} ${raw(since.horizon)}`)} is null`
  return since.certain ? active : sql`${active} and ${lookUp(since, group, sql`${time} is null`)} is null`
}

// No `exists`: PostgreSQL might answer it by reading the whole table first, for every batch. In the order of the index, for it
// takes the group and the time for independent: where groups are few it expects to find a row soon in the table itself, and
// reads that to its end for each row of a stale group.
function lookUp({ table, group, activity, operators }: StaleSince, value: Sql, which: Sql): Sql {
  return sql`(select true from ${quoted(table)} ebb_g where ebb_g.${ident(group)} ${ordered(operators, '=')} ${value} and ${which} order by ebb_g.${ident(activity)} limit 1)`
}

function predicate({ text }: Sql): Predicate {
  return { written: text, text, uses: null }
}

/** Counts the groups, and those without activity, leaping from one to the next along the index. */
export function countGroups(since: StaleSince): Sql {
  const [place, group] = [quoted(since.table), ident(since.group)]
  return sql`
with recursive ebb_each (id) as (
  (select ${group} from ${place} where ${group} is not null order by ${group} limit 1)
  union all
  select (select ${group} from ${place} where ${group} ${ordered(since.operators, '>')} e.id order by ${group} limit 1) from ebb_each e where e.id is not null
)
select count(*)::float8 as groups, count(*) filter (where ${isStale(since, sql`ebb_each.id`)})::float8 as stale from ebb_each where id is not null`
}

/** The groups without activity, for an archive of their rows. */
export function groupsOfStale(since: StaleSince): GroupsOfRows {
  const group = ident('t', since.group)
  const all = sql`select ${group} as id, pg_catalog.count(*)::pg_catalog.float8 as rows, (pg_catalog.sum(pg_catalog.count(*)) over ())::pg_catalog.float8 as total
  from ${quoted(since.table)} t where ${group} is not null group by ${group}`
  const sizes = sql`select ebb_e.id::pg_catalog.text as value, ebb_e.rows, ebb_e.total from (${all}) ebb_e where ${isStale(since, raw('ebb_e.id'))}`
  return { column: since.group, equals: ordered(since.operators, '=').text, sizes: sizes.text }
}

export interface GroupCount {
  readonly groups: number
  readonly stale: number
}

/** What is known about the groups, for a plan; null where counting them timed out. */
export function describeGroups(count: GroupCount | null): string {
  if (count === null) return 'the groups could not be counted within 5 s, or at all'
  return `${showCount(count.stale)} of ${showCount(count.groups)} groups have had no activity; one that becomes active again in time keeps its rows`
}

/** The leaves as if so many of their rows matched: of a condition on groups the planner knows nothing. */
export function withMatching(leaves: readonly LeafModel[], share: number): LeafModel[] {
  return leaves.map((leaf) => (leaf.rows === null ? leaf : { ...leaf, matching: Math.round(leaf.rows * share) }))
}

/** Why groups cannot be determined, or not cheaply. */
export function staleObjections(table: TableModel, { group, activity }: StaleGroups): Objection[] {
  const name = display(table.name)
  const missing = [group, activity].filter((column) => columnOf(table, column) === undefined)
  if (missing.length > 0)
    return missing.map((column) =>
      objection(`no-column:${column}`, `${name} has no column ${column}`, 'Check how it is spelled.'),
    )
  const { type = '' } = columnOf(table, activity) ?? {}
  if (momentOf(type, 'now()') === null)
    return [
      objection(
        'activity-type',
        `${activity} is of type ${type}, which is not a time`,
        'Name a column of type timestamptz, timestamp or date.',
      ),
    ]
  if (indexOf(table, group, activity) !== undefined) return []
  return [
    objection(
      'stale-index',
      `no index of ${name} leads to the latest activity of a group, so each row would be compared with all rows of its group`,
      indexCure({ partitioned: table.kind === 'partitioned table', name: table.name }, [group, activity]),
    ),
  ]
}

function indexOf({ indexes }: TableModel, group: string, activity: string): Index | undefined {
  return indexes.find(
    ({ columns, method, valid, partial }) =>
      valid && !partial && method === 'btree' && columns[0] === group && columns[1] === activity,
  )
}

function columnOf({ columns }: TableModel, name: string): Column | undefined {
  return columns.find((column) => column.name === name)
}

/** `groups of experiment_id without activity in seen_at for 90 days`. */
export function describeStale({ group, activity, idle }: StaleGroups): string {
  return `the groups by ${group} without activity in ${activity} for ${displayInterval(idle)}`
}
