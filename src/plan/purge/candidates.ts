import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'
import { abandonment } from '../language/abandonment.ts'
import type { ChosenRows, Refused } from './chosen-rows.ts'
import { describeReading } from '../table/objections/condition.ts'
import { noKeyObjection } from '../copy/key.ts'
import { objection, when } from '../language/objection.ts'
import { refusedPlan, type PurgePlan } from './purge.ts'
import { createSet, journalCreate, recordStep, settleStep, type PlannedSet } from './set-steps.ts'
import { chooseWalk } from './walk.ts'
import { ALONE, type KeyWalkColumn, type PurgeWork } from './work.ts'
import { rowsElsewhere, storageObjections } from './objections.ts'
import { serverNotes } from '../table/objections/server.ts'
import type { Objection, OnlineStep, Plan } from '../language/step.ts'
import { showRows } from '../../text/units.ts'

/** The user's request. */
export interface CandidateRequest {
  /** The rows to record, as after WHERE. */
  readonly where: string
}

export interface CandidatePlan extends PurgePlan {
  /** Null where there are objections, or no row matches. */
  readonly set: PlannedSet | null
}

export interface CandidateSituation extends ChosenRows {
  /** The columns that identify a row; null where none do. */
  readonly key: readonly KeyWalkColumn[] | null
  /** The table for the keys. */
  readonly place: TableName
  readonly mayCreateThere: boolean
}

/** Plans recording the keys of the matching rows. Pure; no row is touched. */
export function planCandidates(situation: CandidateSituation, { where }: CandidateRequest): CandidatePlan {
  const { table, leaves, reach, predicate, condition, key, place, server } = situation
  const objections = objectionsTo(situation)
  if (objections.length > 0 || key === null) return refuseCandidates({ server, table, objections }, { where })
  const base = { goal: goalOf(table.name, where), table: table.name, dependents: [], objections }
  if (reach.selectsSome === false || leaves.length === 0)
    return { ...base, evidence: ['no row matches'], notes: [], steps: [], purge: null, set: null }
  const chosen = leaves.map((leaf) => chooseWalk(leaf, null))
  const work: PurgeWork = {
    table: table.name,
    oid: table.oid,
    where: predicate.text,
    settings: condition.settings,
    leaves: chosen.map(({ leaf }) => leaf),
    dependents: ALONE,
    action: { kind: 'record', into: place, key: key.map(({ name }) => name) },
  }
  const set = {
    place,
    key,
    leaves: leaves.map(({ name }) => name),
    settings: condition.settings,
    condition: predicate.text,
  }
  const matching = leaves.reduce((sum, leaf) => sum + leaf.matching, 0)
  return {
    ...base,
    evidence: [
      `recorded: ${predicate.text}`,
      ...describeReading(condition),
      `about ${showRows(matching)} to record, by the planner’s estimate; each takes its key plus about 20 bytes`,
      `rows are identified by ${key.map(({ name }) => ident(name).text).join(', ')}; changes are detected by comparing the whole row`,
      ...chosen.map(({ leaf, why }) => `${display(leaf.name)}: ${why}`).slice(0, MOST_SHOWN),
    ],
    notes: [
      ...serverNotes(server),
      'no row is deleted, changed or locked',
      'rows that come to match during the run may be missing',
    ],
    steps: [createSet(table.name, set), recordStep(work), settleStep(place)],
    purge: work,
    set,
  }
}

const MOST_SHOWN = 10

/** A plan with objections only. */
export function refuseCandidates(refused: Refused, { where }: CandidateRequest): CandidatePlan {
  return { ...refusedPlan(goalOf(refused.table.name, where), refused), set: null }
}

function goalOf(table: TableName, where: string): string {
  return `record candidate rows of ${display(table)} where ${where}`
}

function objectionsTo({ table, leaves, reach, key, place, mayCreateThere, server }: CandidateSituation): Objection[] {
  return [
    ...(key === null ? [{ ...noKeyObjection(table), what: noKey(table.name) }] : []),
    ...when(!mayCreateThere, () => journalCreate(place.schema, server)),
    ...rowsElsewhere(table, leaves, reach),
    ...leaves.flatMap(storageObjections),
    ...leaves
      .filter(({ kind }) => kind !== 'table')
      .map(({ name }) =>
        objection(
          `foreign:${display(name)}`,
          `${display(name)} is a foreign table`,
          'Run this in the database that holds it, or exclude it by the condition.',
        ),
      ),
  ]
}

function noKey(table: TableName): string {
  return `${display(table)} has neither a primary key nor a unique index over columns that cannot be null (nor, in a database in SQL_ASCII, hold text), so a recorded row could not be found again`
}

/** Abandoning an unfinished set: no row has been touched, so only the keys are dropped. */
export function planAbandonCandidates(runId: string, { table, set }: CandidatePlan): Plan {
  if (set === null) throw new Error(`run ${runId} has no candidate set`)
  return abandonment(runId, table, 'no row has been changed', abandonSteps(runId, set.place))
}

export function abandonSteps(runId: string, place: TableName): OnlineStep[] {
  return [
    {
      kind: 'online',
      key: 'abandon:candidates',
      title: `drop ${display(place)}`,
      because: 'the set will not be completed',
      locks: [],
      cost: 'milliseconds',
      statements: dropSet(place, runId),
    },
  ]
}

/** The statements that drop a set; its entry in the journal is in the same schema. */
export function dropSet(place: TableName, id: string): string[] {
  return [
    sql`drop table if exists ${quoted(place)}`.text,
    `delete from ${ident(place.schema, 'candidate_set').text} where run_id = ${BigInt(id)}`,
  ]
}
