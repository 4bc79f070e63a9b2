import type { MarkFacts } from '../../catalog/table/mark-facts.ts'
import { publicationObjections } from '../table/published.ts'
import type { Column, TableModel } from '../../catalog/table/table-model.ts'
import type { Interval } from '../../grid/interval.ts'
import { pathForCode } from '../../sql/condition-settings.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { ident, sql } from '../../sql/sql.ts'
import { abandonment, endTheRun } from '../language/abandonment.ts'
import type { ChosenRows, Refused } from './chosen-rows.ts'
import { describeReading } from '../table/objections/condition.ts'
import { disabledConstraintObjections } from '../table/objections/disabled-constraints.ts'
import { intervalText, momentOf } from '../language/moment.ts'
import { objection, when } from '../language/objection.ts'
import { everything, rightsObjections, rowsElsewhere, storageObjections, uncounted } from './objections.ts'
import { checkStep, refusedPlan, vacuumSteps, type PurgePlan } from './purge.ts'
import type { MatchingRows } from './request.ts'
import { keyObjections, storedNotes } from './stored.ts'
import { chooseWalk } from './walk.ts'
import { ALONE, type MarkAction, type PurgeWork } from './work.ts'
import { serverNotes } from '../table/objections/server.ts'
import { describeStale, type StaleGroups } from './stale.ts'
import { assertDistinctKeys, type Objection, type Plan, type PurgeStep, type Step } from '../language/step.ts'
import { showAbout } from '../../text/units.ts'
import { aboutMatching, knownMatchingRows, matchingRows } from './matching-rows.ts'

/** The user's request. */
export interface MarkRequest {
  readonly rows: MatchingRows | StaleParents
  /** The column of the mark: a boolean becomes true, a time the start of the run. */
  readonly column: string
  readonly allRows: boolean
  readonly vacuum: boolean
}

/** The rows referenced by stale groups of another table. */
export interface StaleParents extends StaleGroups {
  readonly kind: 'stale-parents'
  /** The table whose rows are grouped. */
  readonly table: TableName
}

export interface MarkSituation extends ChosenRows {
  readonly facts: readonly MarkFacts[]
}

/** How a column marks a row. */
export interface Mark {
  /** True of a row that is not marked. */
  readonly missing: string
  /** True of one that is. */
  readonly there: string
  readonly action: MarkAction
}

/**
 * Null where the column cannot hold a mark.
 *
 * @param moment a timestamptz literal, cast included
 */
export function markBy({ name, type, generated }: Column, moment: string): Mark | null {
  const column = ident(name).text
  if (generated) return null
  if (type === 'boolean')
    return {
      missing: `${column} is not true`,
      there: `${column} is true`,
      action: { kind: 'mark', set: `${column} = true` },
    }
  const value = momentOf(type, moment)
  if (value === null) return null
  return {
    missing: `${column} is null`,
    there: `${column} is not null`,
    action: { kind: 'mark', set: `${column} = ${value}` },
  }
}

/** The condition that a row is marked, for at least this long, as a user would write it; null where the column does not show it. */
export function markedLongerAgo(column: Column, olderThan: Interval | null): string | null {
  const mark = markBy(column, 'now()')
  if (mark === null || olderThan === null) return mark?.there ?? null
  const horizon = momentOf(column.type, `(now() - interval '${intervalText(olderThan)}')`)
  return horizon === null ? null : `${ident(column.name).text} < ${horizon}`
}

/** The rows that a condition selects and that are not marked yet. */
export function notYetMarked(predicate: Predicate, { missing }: Mark): Predicate {
  return { ...predicate, text: `(${predicate.text}\n) and ${missing}` }
}

/** Plans marking the matching rows, batch by batch. Pure. */
export function planMark(situation: MarkSituation, request: MarkRequest, mark: Mark): PurgePlan {
  const { table, leaves, reach, predicate, condition, server } = situation
  const objections = [
    ...everything(table, leaves, reach, request).map((one) => ({
      ...one,
      fix: 'To mark all rows, pass --all-rows.',
    })),
    ...rowsElsewhere(table, leaves, reach),
    ...objectionsTo(situation),
  ]
  if (objections.length > 0) return refuseMark({ server, table, objections }, request)
  const base = { goal: goalOf(table.name, request), table: table.name, dependents: [], objections }
  if (reach.selectsSome === false || leaves.length === 0)
    return { ...base, evidence: ['all matching rows are marked already'], notes: [], steps: [], purge: null }
  const chosen = leaves.map((leaf) => chooseWalk(leaf, null))
  const work: PurgeWork = {
    table: table.name,
    oid: table.oid,
    where: predicate.text,
    settings: condition.settings,
    leaves: chosen.map(({ leaf }) => leaf),
    dependents: ALONE,
    action: mark.action,
  }
  // The number of groups is known.
  const rows = request.rows.kind === 'matching' ? aboutMatching(leaves) : showAbout(matchingRows(leaves))
  const steps: Step[] = [
    markStep(work, rows),
    ...vacuumSteps({ leaves, table }, request, 'old row versions').map((step) => ({
      ...step,
      settings: pathForCode(work.settings),
    })),
    checkStep(work),
  ]
  assertDistinctKeys(steps)
  return {
    ...base,
    evidence: [
      `marked: ${predicate.text}`,
      ...describeReading(condition),
      `to mark: ${rows}${basisOf(situation, request)}`,
      `the mark: ${mark.action.set}`,
      ...chosen.map(({ leaf, why }) => `${display(leaf.name)}: ${why}`).slice(0, MOST_SHOWN),
    ],
    notes: notesOn(situation, request),
    steps,
    purge: work,
  }
}

function basisOf({ leaves }: MarkSituation, { rows }: MarkRequest): string {
  if (rows.kind === 'stale-parents') return ', by the number of groups'
  return knownMatchingRows(leaves) === null ? '' : ', by the planner’s estimate'
}

const MOST_SHOWN = 10

/** A plan with objections only. */
export function refuseMark(refused: Refused, request: MarkRequest): PurgePlan {
  return refusedPlan(goalOf(refused.table.name, request), refused)
}

/** That the column cannot hold a mark. */
export function columnObjection(table: TableModel, name: string): Objection {
  const column = table.columns.find((one) => one.name === name)
  const what =
    column === undefined
      ? `${display(table.name)} has no column ${name}`
      : `${name} cannot hold a mark: it is ${column.generated ? 'generated' : `of type ${column.type}`}`
  return objection(
    'mark-column',
    what,
    `Name a column of type boolean, timestamptz, timestamp or date. A new one costs nothing: alter table ${quoted(table.name).text} add column deleted_at timestamptz;`,
  )
}

/** Abandoning an unfinished run: batches are atomic. */
export function planAbandonMark(runId: string, table: TableName): Plan {
  return abandonment(runId, table, 'rows already marked stay marked; nothing else has been changed', [
    endTheRun('abandon:mark'),
  ])
}

function goalOf(table: TableName, { rows, column }: MarkRequest): string {
  if (rows.kind === 'matching') return `mark the rows of ${display(table)} where ${rows.where}, in ${column}`
  return `flag in ${display(table)}.${column} ${describeStale(rows)} in ${display(rows.table)}`
}

function markStep(work: PurgeWork, rows: string): PurgeStep {
  return {
    kind: 'purge',
    key: 'mark',
    title: `mark rows of ${display(work.table)} in batches`,
    because: 'each batch is a short transaction of its own',
    locks: [{ table: work.table, mode: 'ROW EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' }],
    cost: `${rows}; each leaves a dead row version, and an entry in every index unless the update is HOT`,
    statements: [],
    work,
  }
}

function objectionsTo({ leaves, facts, server }: MarkSituation): Objection[] {
  return [
    ...keyObjections(leaves),
    ...uncounted(
      server,
      facts.flatMap(({ triggers }) => triggers),
    ),
    ...leaves.flatMap((leaf) => [
      ...when(leaf.kind !== 'table', () =>
        objection(
          `foreign:${display(leaf.name)}`,
          `${display(leaf.name)} is a foreign table`,
          'Mark its rows in the database that holds them, or exclude them by the condition.',
        ),
      ),
      ...storageObjections(leaf),
      ...rightsObjections(leaf, server.role),
    ]),
    ...disabledConstraintObjections(facts.flatMap(({ disabledConstraints }) => disabledConstraints)),
    ...facts.flatMap(({ name, rules, published }) => [
      ...rules.map((rule) =>
        objection(
          `rule:${display(name)}.${rule}`,
          `rule ${rule} rewrites updates on ${display(name)}`,
          sql`Switch it off meanwhile: alter table ${quoted(name)} disable rule ${ident(rule)};`.text,
        ),
      ),
      ...publicationObjections('updates', name, published),
    ]),
  ]
}

function notesOn({ server, table, facts, leaves }: MarkSituation, { column }: MarkRequest): string[] {
  const triggers = [...new Set(facts.flatMap((fact) => fact.triggers))]
  return [
    ...serverNotes(server),
    ...(triggers.length === 0 ? [] : [`triggers fire as for any update: ${triggers.join(', ')}`]),
    ...(table.publications.length === 0
      ? []
      : [
          `each marked row is an update event for subscribers of ${table.publications.map(({ name }) => name).join(', ')}`,
        ]),
    ...storedNotes(leaves),
    'rows already marked are left as they are; rows locked by other sessions are skipped and retried',
    `readers have to exclude marked rows: ebb view creates a view that does; ebb purge --marked ${column} deletes them later`,
  ]
}
