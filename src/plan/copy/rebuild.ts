import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Privileges } from '../../catalog/situation.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Interval } from '../../grid/interval.ts'
import { display, freeCompanion } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { captureObjections, captureOf } from './capture.ts'
import { conditionObjections, describeReading, stableObjections } from '../table/objections/condition.ts'
import { copyKeyOf, copyKeyObjections, type CopyKey } from './key.ts'
import { copySteps } from './steps.ts'
import type { LeftOutArchive, RebuildPlan, RebuildSummary } from './summary.ts'
import type { CopyWork, Jobs, Transport } from './work.ts'
import { constraintTriggerObjections, ofForeignKeys } from '../table/constraint-triggers.ts'
import { dependentsOf } from '../table/dependents.ts'
import { describeKept } from './retention-of-retired.ts'
import { leftOutObjections, type LeftOutRequest } from './left-out.ts'
import { describeLeftOutArchive, estimateLeftOut } from './left-out-archive.ts'
import { copyRightsObjections, privilegeObjections } from '../table/objections/privilege.ts'
import { serverNotes } from '../table/objections/server.ts'
import { plainShadow, shadowNames, writtenColumns, type Shadow } from '../table/shadow.ts'
import { assertDistinctKeys, type Objection } from '../language/step.ts'
import { asideNames } from '../table/aside.ts'
import { publishedCopyObjections } from '../table/objections/publication.ts'
import { fundamentalObjections, tableObjections } from '../table/objections/table.ts'
import { NOT_ANALYZED, showBytes, showCount } from '../../text/units.ts'

/** What the user asked for. */
export interface RebuildRequest extends LeftOutRequest {
  /** The rows worth keeping; null keeps all. */
  readonly keep: string | null
  readonly transport: Transport | 'auto'
  readonly jobs: Jobs
  /** How long after the end rotate drops the retired table; null: only `ebb retire` does. */
  readonly retireAfter: Interval | null
}

export interface RebuildSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  readonly privileges: Privileges
  readonly predicate: Predicate | null
  /** Rows to be kept, as the planner estimates; null where there are no statistics. */
  readonly keptRows: number | null
  readonly condition: ConditionFacts
  readonly taken: ReadonlySet<string>
  /** Makes the names of this run's helpers unlike those of any other. */
  readonly tag: string
}

/** Plans a new table with the rows worth keeping, built beside the old one and swapped in. Pure. */
export function planRebuild(situation: RebuildSituation, request: RebuildRequest): RebuildPlan {
  const { table, server } = situation
  const fundamental = fundamentalObjections(server, situation.journalSchema, table)
  const key = copyKeyOf(table)
  const objections =
    fundamental.length > 0
      ? fundamental
      : [
          ...privilegeObjections(table, situation.privileges, server.role),
          ...copyRightsObjections(table, situation.privileges, server.role),
          ...rebuildObjections(situation, request, key),
        ]
  const base = {
    goal: goalOf(table, request),
    table: table.name,
    dependents: key === null ? [] : dependentsOf(table, { history: null, primaryKey: null, partitioned: false }),
    notes: [...serverNotes(server), ...unloggedNotes(table)],
  }
  if (objections.length > 0 || key === null) return { ...base, objections, evidence: [], steps: [], rebuild: null }
  const names = shadowNames(table, situation.taken)
  const shadow = plainShadow(table, names, server.role, shareOf(situation))
  const rebuild = {
    ...summaryOf({ ...situation, settings: situation.condition.settings }, key, shadow, predicateText(situation)),
    diskBytes: newSize(situation),
    retireAfter: request.retireAfter,
    archive: archiveOf(situation, request),
  }
  const { transport, jobs } = request
  const steps = copySteps({ rebuild, shadow, role: server.role, keptRows: situation.keptRows, transport, jobs })
  assertDistinctKeys(steps)
  return { ...base, objections, evidence: evidenceOf(situation, request, key, rebuild), steps, rebuild }
}

function archiveOf(
  { table, keptRows }: RebuildSituation,
  { keep, archive: to }: RebuildRequest,
): LeftOutArchive | null {
  if (to === undefined || keep === null) return null
  const estimatedRows = estimateLeftOut(table.estimatedRows, keptRows)
  return { command: 'rebuild', to, table: table.name, partitionOf: null, horizon: null, estimatedRows }
}

function unloggedNotes({ name, persistence }: TableModel): string[] {
  if (persistence !== 'unlogged') return []
  return [
    `${display(name)} is unlogged, and so is what replaces it: a crash of the server empties both, and the run goes on with the rows written since`,
  ]
}

function goalOf({ name }: TableModel, { keep }: RebuildRequest): string {
  return keep === null
    ? `rebuild ${display(name)} with all its rows`
    : `rebuild ${display(name)} around the rows where ${keep}`
}

/** What stands against a new table in the place of this one. Most is as for a conversion; some things a copy can do. */
function rebuildObjections(
  { table, condition, server }: RebuildSituation,
  request: RebuildRequest,
  key: CopyKey | null,
): Objection[] {
  const copied = [
    'unlogged',
    'exclusion:',
    'not-valid:',
    'not-enforced:',
    'no-inherit:',
    'transition-tables:',
    'publication:',
    'excepted:',
    'self-reference:',
    'disabled-foreign-keys',
    'always:',
    'inbound-names:',
  ]
  return [
    ...tableObjections(table, server).filter(({ code }) => !copied.some((start) => code.startsWith(start))),
    ...constraintTriggerObjections(table, server.superuser, ofForeignKeys),
    ...copyKeyObjections(table, key),
    ...captureObjections(table),
    ...publishedCopyObjections(table),
    ...conditionObjections(condition),
    ...stableObjections(condition),
    ...leftOutObjections(request),
  ]
}

function predicateText({ predicate }: RebuildSituation): string | null {
  return predicate === null ? null : predicate.text
}

/** A table that is copied, and under which settings. */
export type CopiedTable = Pick<RebuildSituation, 'table' | 'journalSchema' | 'taken' | 'tag'> &
  Pick<CopyWork, 'settings'>

/** What a copy of this table into `shadow` has to remember. */
export function summaryOf(
  { table, journalSchema, settings, taken, tag }: CopiedTable,
  key: CopyKey,
  { name: shadow, outcome }: Shadow,
  keep: string | null,
): Omit<RebuildSummary, 'diskBytes'> {
  const retired = { schema: table.name.schema, name: freeCompanion(table.name.name, '_retired', taken) }
  const columns = writtenColumns(table).text
  const capture = (side: string) => captureOf(table.name, key, journalSchema, `ebb_${tag}_${side}`)
  return {
    sourceOid: table.oid,
    original: table,
    shadow,
    retired,
    aside: asideNames(table, null, new Set([...taken, retired.name]), '_retired'),
    forward: { source: table.name, target: shadow, columns, keep, settings, capture: capture('forward') },
    back: { source: table.name, target: retired, columns, keep: null, settings, capture: capture('back') },
    policy: null,
    retireAfter: null,
    outcome,
  }
}

/** The part of the rows that is kept, by the planner's estimates. */
function shareOf({ table, keptRows }: Pick<RebuildSituation, 'table' | 'keptRows'>): number {
  if (keptRows === null || table.estimatedRows === null || table.estimatedRows === 0) return 1
  return Math.min(1, keptRows / table.estimatedRows)
}

/** Of the new table with its indexes. */
export function newSize(situation: Pick<RebuildSituation, 'table' | 'keptRows'>): number {
  const { heap, toast, indexes } = situation.table.size
  return (heap + toast + indexes) * shareOf(situation)
}

function evidenceOf(
  situation: RebuildSituation,
  request: RebuildRequest,
  key: CopyKey,
  rebuild: RebuildSummary,
): string[] {
  const { table, keptRows, predicate, condition } = situation
  const rows = table.estimatedRows
  return [
    ...(predicate === null ? [] : [`kept: ${predicate.text}`, ...describeReading(condition)]),
    keptRows === null || rows === null
      ? NOT_ANALYZED
      : `${showCount(keptRows)} of ${showCount(rows)} rows are kept, by the planner’s estimate`,
    `rows are recognised by ${key.columns.map(({ name }) => name).join(', ')} (${key.index})`,
    `the new table needs up to ${showBytes(newSize(situation))} of disk, and the ${showBytes(table.size.heap + table.size.toast + table.size.indexes)} of the retired one are freed when that is dropped`,
    describeKept(rebuild.retired, request.retireAfter),
    ...describeLeftOutArchive(rebuild),
    `transport: ${request.transport === 'auto' ? 'both are tried on the first chunks, and the faster one is used' : request.transport}`,
  ]
}
