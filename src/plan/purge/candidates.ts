import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql } from '../../sql/sql.ts'
import { abandonment } from '../language/abandonment.ts'
import type { ChosenRows, Refused } from './chosen-rows.ts'
import { SET_COLUMNS } from './candidate-sql.ts'
import { describeReading } from '../table/objections/condition.ts'
import { noKeyObjection } from '../copy/key.ts'
import { objection, when } from '../language/objection.ts'
import { refusedPlan, type PurgePlan } from './purge.ts'
import { chooseWalk } from './walk.ts'
import { ALONE, type KeyWalkColumn, type PurgeWork } from './work.ts'
import { BLOCK_READ_SECONDS } from '../advise/rates.ts'
import { rowsElsewhere, storageObjections } from './objections.ts'
import { serverNotes } from '../table/objections/server.ts'
import type { Objection, OnlineStep, Plan, PurgeStep, Step } from '../language/step.ts'
import { showCount, showDuration, showRows } from '../../text/units.ts'

/** The user's request. */
export interface CandidateRequest {
  /** The rows to record, as after WHERE. */
  readonly where: string
}

export interface CandidatePlan extends PurgePlan {
  /** Null where there are objections, or no row matches. */
  readonly set: PlannedSet | null
}

/** The candidate set to create. */
export interface PlannedSet {
  readonly place: TableName
  readonly key: readonly KeyWalkColumn[]
  readonly leaves: readonly TableName[]
  readonly settings: ConditionSettings
  readonly condition: string
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
  const schema = ident(place.schema).text
  return [
    ...(key === null ? [{ ...noKeyObjection(table), what: noKey(table.name) }] : []),
    ...when(!mayCreateThere, () =>
      objection(
        'journal-create',
        `${server.role} may not make a table in schema ${place.schema}, where the keys are kept`,
        `As its owner: grant create on schema ${schema} to ${ident(server.role).text};`,
      ),
    ),
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

function createSet(table: TableName, { place, key }: PlannedSet): OnlineStep {
  const { leaf, fingerprint, bytes } = SET_COLUMNS
  const names = key.map(({ name }) => ident(name))
  const columns = join(
    names.map((name) => sql`, t.${name}`),
    '',
  )
  const identity = join([ident(leaf), ...names])
  const [number, hash, size] = [leaf, fingerprint, bytes].map((name) => ident(name))
  return {
    kind: 'online',
    key: 'set',
    title: `create ${display(place)}`,
    because: 'stores the keys, in key order',
    locks: [{ table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: 'milliseconds',
    statements: [
      sql`create table ${quoted(place)} as select 0 as ${number ?? raw('')}${columns}, 0::bigint as ${hash ?? raw('')}, 0 as ${size ?? raw('')} from only ${quoted(table)} t with no data`
        .text,
      sql`alter table ${quoted(place)} add primary key (${identity})`.text,
    ],
  }
}

function recordStep(work: PurgeWork): PurgeStep {
  const blocks = work.leaves.reduce((sum, leaf) => sum + leaf.blocks, 0)
  return {
    kind: 'purge',
    key: 'record',
    title: `record the keys of matching rows of ${display(work.table)}`,
    because:
      'range by range, each under its own snapshot and journalled with its rows, so that a crash loses one range',
    locks: [{ table: work.table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: `reads at most ${showCount(blocks)} blocks, about ${showDuration(blocks * BLOCK_READ_SECONDS)} plus pauses`,
    statements: [],
    work,
  }
}

function settleStep(place: TableName): Step {
  return {
    kind: 'alone',
    key: 'settle',
    title: `analyze and count ${display(place)}`,
    because: 'the purge walks it',
    locks: [],
    cost: 'reads a sample',
    statements: [sql`analyze ${quoted(place)}`.text],
  }
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
