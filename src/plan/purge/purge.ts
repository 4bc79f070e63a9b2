import type { TableModel } from '../../catalog/table/table-model.ts'
import { pathForCode } from '../../sql/condition-settings.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { abandonment, endTheRun } from '../language/abandonment.ts'
import { archivingObjections } from './archive/objections.ts'
import { archivedSet, cascadeOf, deletionOf, keysOf, type ArchivedSet } from './archive/sets.ts'
import { abandonedRemoval, dropStep, stepsAfter, stepsBefore } from './archive/steps.ts'
import { candidateObjections, walkThrough } from './candidate-set.ts'
import { costObjections, lookUpSeconds } from '../references/cascade-cost.ts'
import { dropHelper, planHelpers, type HelperIndex } from '../references/helper-index.ts'
import { dependentsOf } from '../references/dependents.ts'
import { cascadeObjections } from '../references/cascade-objections.ts'
import { cascadeLocks, cascadeVacuums } from '../references/cascade-text.ts'
import { unaccepted } from '../language/objection.ts'
import { objectionsAbove, purgeObjections, rowsElsewhere } from './objections.ts'
import type { Refused } from './chosen-rows.ts'
import { evidenceOf, notesOn } from './evidence.ts'
import type { PurgeRequest, RowSource } from './request.ts'
import { knownRows, type PurgeSituation } from './situation.ts'
import { chooseWalk } from './walk.ts'
import { isStored, storedObjections } from './stored.ts'
import { storedDependents } from './stored-dependents.ts'
import { ALONE, type Dependents, type PurgeWork } from './work.ts'
import { BLOCK_READ_SECONDS, DELETED_BY_BLOCK_SECONDS, DELETED_BY_KEY_SECONDS } from '../advise/rates.ts'
import { serverNotes } from '../table/objections/server.ts'
import { describeStale, groupsOfStale, staleSince } from './stale.ts'
import { momentLiteral } from '../language/moment.ts'
import {
  assertDistinctKeys,
  type CheckStep,
  type Objection,
  type Plan,
  type PurgeStep,
  type RemovalStep,
  type Step,
  type VacuumStep,
} from '../language/step.ts'
import { aboutMatching } from './matching-rows.ts'
import { showAbout, showDuration } from '../../text/units.ts'

export interface PurgePlan extends Plan {
  /** Null where there are objections, or nothing to delete. */
  readonly purge: PurgeWork | null
  /** Where rows are archived first: the tables of their keys, and the settings of the archive. */
  readonly archivedKeys?: Pick<RemovalStep, 'sets' | 'settings'>
  /** Temporary indexes, which are gone when it is done. */
  readonly helpers?: readonly HelperIndex[]
}

/** Plans the deletion of the matching rows, batch by batch. Pure. */
export function planPurge(facts: PurgeSituation, request: PurgeRequest): PurgePlan {
  const helpers = planHelpers(facts.cascade, facts.lookUps, request.accept, facts.helpers)
  const situation = { ...facts, cascade: helpers.cascade }
  const { table, leaves, reach, candidates } = situation
  const reasons = [
    ...purgeObjections(table, leaves, reach, request, situation.server),
    ...objectionsAbove(situation.itself, leaves),
    ...(leaves.some(isStored) && !request.cascade ? [] : objectionsAround(situation)),
    ...(candidates === undefined ? rowsElsewhere(table, leaves, reach) : candidateObjections(candidates, table)),
    ...objectionsToArchiving(situation),
    ...storedObjections(situation, request),
  ]
  const objections = unaccepted(reasons, request.accept)
  if (objections.length > 0) return refusePurge(situation, request, objections)
  const base = { goal: goalOf(table, request), table: table.name, dependents: [], objections }
  if (reach.selectsSome === false || leaves.length === 0)
    return { ...base, evidence: ['no row matches'], notes: [], steps: [], purge: null }
  const chosen = leaves.map((leaf) =>
    candidates === undefined ? chooseWalk(leaf, request.orderBy) : walkThrough(candidates, leaf),
  )
  const purge: PurgeWork = {
    table: table.name,
    oid: table.oid,
    where: situation.predicate.text,
    settings: candidates?.settings ?? situation.condition.settings,
    leaves: chosen.map(({ leaf }) => leaf),
    dependents: leaves.some(isStored) ? storedWith(situation.cascade) : dependentsOf(situation.cascade),
    action: { kind: 'delete' },
  }
  const set = setOf(situation, request, purge)
  const deletion = set === null ? purge : deletionOf(dependingOn(purge, situation, set), set)
  const vacuums = [
    ...vacuumSteps(situation, request),
    ...(request.vacuum ? cascadeVacuums(situation.cascade) : []),
  ].map((step) => ({ ...step, settings: pathForCode(purge.settings) }))
  const check = set === null ? checkStep(purge) : checkOf(purge, deletion, set)
  const steps: Step[] = [
    ...helpers.build,
    ...(set === null ? [] : stepsBefore(table, purge, set, situation.cascade)),
    purgeStep(deletion, situation),
    // Whether rows are referenced is counted at the end as well; the vacuum, which may be long, needs none of them.
    ...(helpers.indexes.length === 0 ? [...vacuums, check] : [check, ...helpers.indexes.map(dropHelper), ...vacuums]),
    ...(set === null ? [] : stepsAfter(table.name, set)),
  ]
  assertDistinctKeys(steps)
  const told = { evidence: evidenceOf(situation, chosen, request), notes: notesOn(situation, request) }
  const keys = set === null ? {} : { archivedKeys: { sets: keysOf(table.name, set), settings: set.settings } }
  const temporary = helpers.indexes.length === 0 ? {} : { helpers: helpers.indexes }
  return { ...base, ...told, steps, purge: deletion, ...keys, ...temporary }
}

/** Nothing, unless they are followed: what is referred to then stays. */
function storedWith(cascade: PurgeSituation['cascade']): Dependents {
  const stored = storedDependents(cascade)
  return stored.length === 0 ? ALONE : { ...ALONE, stored }
}

function setOf(
  { archiving, candidates, cascade, table, server }: PurgeSituation,
  { archive, rows }: PurgeRequest,
  purge: PurgeWork,
): ArchivedSet | null {
  if (archive === undefined || archiving === undefined || archiving.key === null) return null
  const since = rows.kind === 'stale' ? staleSince(table, rows, momentLiteral(server.now)) : null
  const groups = since === null ? null : groupsOfStale(since)
  return archivedSet(archive, { ...archiving, key: archiving.key }, purge, candidates, cascade, groups)
}

/** Dependent rows are deleted only as they were archived. */
function dependingOn(purge: PurgeWork, { cascade }: PurgeSituation, set: ArchivedSet): PurgeWork {
  return { ...purge, dependents: dependentsOf(cascadeOf(cascade, set)) }
}

/** Counts the rows that match now (of a candidate set: those unchanged), and what became of the archived rows that were not deleted. */
function checkOf(purge: PurgeWork, work: PurgeWork, set: ArchivedSet): CheckStep {
  return { ...checkStep(purge), left: { work, sets: keysOf(purge.table, set) } }
}

function objectionsToArchiving({ archiving, ...situation }: PurgeSituation): Objection[] {
  return archiving === undefined ? [] : archivingObjections({ ...situation, archiving })
}

function objectionsAround(situation: PurgeSituation): Objection[] {
  const { graph, around, cascade, lookUps, server } = situation
  return [
    ...cascadeObjections(graph, cascade, around, server.role),
    ...costObjections(cascade, lookUps, knownRows(situation)),
  ]
}

/** A plan with objections only. */
export function refusePurge(
  { server, table }: Pick<PurgeSituation, 'server' | 'table'>,
  request: PurgeRequest,
  objections: readonly Objection[],
): PurgePlan {
  return refusedPlan(goalOf(table, request), { server, table, objections })
}

/** The same for anything done in batches. */
export function refusedPlan(goal: string, { server, table, objections }: Refused): PurgePlan {
  const plan = { goal, table: table.name, objections, notes: serverNotes(server) }
  return { ...plan, dependents: [], evidence: [], steps: [], purge: null }
}

/** Abandoning an unfinished purge: batches are atomic, and their rows do not come back. */
export function planAbandonPurge(
  runId: string,
  table: TableName,
  { archivedKeys: keys, helpers = [] }: PurgePlan,
): Plan {
  const deleted = 'rows already deleted stay deleted; the others are kept, and nothing else has been changed'
  const drops = helpers.map(dropHelper)
  if (keys === undefined) return abandonment(runId, table, deleted, [...drops, endTheRun('abandon:purge')])
  return abandonment(runId, table, `${deleted}; an archive with a receipt stays where it is`, [
    ...drops,
    abandonedRemoval(keys),
    dropStep(
      'abandon:purge',
      keys.sets.map(({ set }) => set),
      'no more rows will be deleted',
    ),
  ])
}

function goalOf({ name }: TableModel, { rows }: PurgeRequest): string {
  return `purge ${display(name)} of ${describeRows(rows)}`
}

function describeRows(rows: RowSource): string {
  switch (rows.kind) {
    case 'matching':
      return `the rows where ${rows.where}`
    case 'candidates':
      return `the candidates of set ${rows.set}`
    case 'stale':
      return describeStale(rows)
  }
}

function purgeStep(work: PurgeWork, situation: PurgeSituation): PurgeStep {
  const { cascade, lookUps, leaves } = situation
  const rows = rowsOf(work)
  const known = knownRows(situation)
  const lookingUp = lookUpSeconds(cascade, lookUps, rows)
  const seconds = secondsOf(work) + lookingUp
  return {
    kind: 'purge',
    key: 'purge',
    title: `delete rows of ${display(work.table)} in batches`,
    because: 'each batch is a short transaction of its own',
    locks: [
      { table: work.table, mode: 'ROW EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
      ...cascadeLocks(cascade),
    ],
    cost: known === null ? aboutMatching(leaves) : `${showAbout(known)}, ${showDuration(seconds)} plus pauses`,
    statements: [],
    work,
    ...(lookingUp > 0 ? { lookUpMs: (lookingUp * 1000) / rows } : {}),
  }
}

function rowsOf({ leaves }: PurgeWork): number {
  return leaves.reduce((sum, { estimatedRows }) => sum + estimatedRows, 0)
}

function secondsOf({ leaves }: PurgeWork): number {
  return leaves.reduce(
    (sum, { walk, blocks, estimatedRows }) =>
      sum +
      (walk.kind === 'blocks'
        ? blocks * BLOCK_READ_SECONDS + estimatedRows * DELETED_BY_BLOCK_SECONDS
        : estimatedRows * DELETED_BY_KEY_SECONDS),
    0,
  )
}

/** What is vacuumed at the end, as far as the role may. */
export function vacuumSteps(
  { leaves, table }: Pick<PurgeSituation, 'leaves' | 'table'>,
  { vacuum }: Pick<PurgeRequest, 'vacuum'>,
  left: 'deleted rows' | 'old row versions' = 'deleted rows',
): VacuumStep[] {
  if (!vacuum) return []
  const own = leaves.filter(({ mayVacuum }) => mayVacuum)
  const steps = own.map(({ name, oid }): VacuumStep => ({
    kind: 'vacuum',
    key: `vacuum ${oid}`,
    title: `vacuum and analyze ${display(name)}`,
    because: `frees the space of ${left} for reuse, and refreshes the planner statistics`,
    locks: [{ table: name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: 'reads what has changed, at autovacuum speed; skipped where nothing has changed, or another vacuum is running; cancelled for a session that waits for its lock',
    table: name,
    whole: false,
    // Truncating the file would need ACCESS EXCLUSIVE, which is replayed on replicas.
    statements: [`vacuum (analyze, truncate false, skip_locked) ${quoted(name).text}`],
  }))
  if (table.kind !== 'partitioned table' || own.length < leaves.length) return steps
  return [
    ...steps,
    {
      kind: 'vacuum',
      key: 'analyze',
      title: `analyze ${display(table.name)}`,
      because: 'autovacuum never analyses a partitioned table itself',
      locks: [{ table: table.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: 'reads a sample',
      table: table.name,
      whole: true,
      statements: [`analyze (skip_locked) ${quoted(table.name).text}`],
    },
  ]
}

/** Counts the matching rows at the end. */
export function checkStep(work: PurgeWork): CheckStep {
  return {
    kind: 'check',
    key: 'check',
    title: `count the rows of ${display(work.table)} that match now`,
    because: 'to report what is left',
    locks: [{ table: work.table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: 'reads the table once more, range by range',
    statements: [],
    work,
  }
}
