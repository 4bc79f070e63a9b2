import type { ServerModel } from '../../catalog/server-model.ts'
import type { Privileges } from '../../catalog/situation.ts'
import type { Sending } from '../../catalog/table/published.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { TriggerCode } from '../../catalog/table/trigger-code.ts'
import { plus, type Cell } from '../../grid/grid.ts'
import { displayInterval } from '../../grid/interval.ts'
import { displayPosition, type Position } from '../../grid/key.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, freeCompanion, type TableName } from '../../sql/names.ts'
import { conversionSteps } from './conversion.ts'
import { dependentsOf } from '../table/dependents.ts'
import { cutFor, runwayFrom, type Bound } from './history-bound.ts'
import { singlePrimaryKey } from '../advise/key-advice.ts'
import { chooseKey, isObjection, type KeyChoice, type KeyEvidence } from './key-choice.ts'
import {
  expiryObjections,
  keyColumn,
  primaryKeyObjections,
  rangeObjections,
  adoptionObjections,
  uniquenessObjections,
  upsertObjections,
  widthObjections,
} from '../table/objections/key.ts'
import { leafNames } from '../table/leaf.ts'
import { unaccepted } from '../language/objection.ts'
import { newPrimaryKey, type NewPrimaryKey } from '../table/primary-key.ts'
import { captureObjections } from '../copy/capture.ts'
import { publishedKeyObjections } from '../table/objections/publication.ts'
import { privilegeObjections } from '../table/objections/privilege.ts'
import { defaultPremake, type PartitionRequest, type SetPolicy } from '../language/policy.ts'
import { keyTriggerObjections, triggerNotes } from '../table/objections/trigger.ts'
import { serverNotes } from '../table/objections/server.ts'
import { assertDistinctKeys, type Objection, type Plan } from '../language/step.ts'
import { asideNames } from '../table/aside.ts'
import type { AsideNames } from '../table/dependents.ts'
import { showCount, showDuration } from '../../text/units.ts'
import { fundamentalObjections, tableObjections } from '../table/objections/table.ts'

/** All that a plan depends on, read in one moment. */
export interface PartitionSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  readonly privileges: Privileges
  /** Of the column asked for; null where it could not be read, which some objection explains. */
  readonly evidence: KeyEvidence | null
  /** Statements with ON CONFLICT on this table, where pg_stat_statements could be read; null where not. */
  readonly upserts: readonly string[] | null
  /** Publications that send on what is written to the table. Older versions have stored situations without. */
  readonly sendings?: readonly Sending[]
  /** What counts on the primary key, in PostgreSQL's words. Older versions have stored situations without. */
  readonly keyDependents?: readonly { readonly description: string }[]
  /** What triggers do with single rows. Older versions have stored situations without. */
  readonly triggerCode?: readonly TriggerCode[]
  /** Names in the table's schema. */
  readonly taken: ReadonlySet<string>
  /** The search path of the role, for code of the user's. */
  readonly settings: ConditionSettings
}

/** A plan that ends in a set which `rotate` can keep. */
export interface PartitionPlan extends Plan {
  /** Null where there are objections. */
  readonly conversion: ConversionSummary | null
}

/** What later runs need of a conversion: to rotate the set, to undo preparations, to roll back. */
export interface ConversionSummary {
  readonly policy: SetPolicy
  readonly history: TableName
  /** The CHECK that proves the bound until the swap, and the bound. */
  readonly guard: string
  readonly bound: Bound
  readonly primaryKey: NewPrimaryKey | null
  /** The new names of parts of the original table that were renamed to free theirs. */
  readonly aside: AsideNames
  /** The table as it was. */
  readonly original: TableModel
}

/** Plans the conversion of a table into partitions without moving a row. Pure: same situation, same plan. */
export function planPartition(situation: PartitionSituation, request: PartitionRequest): PartitionPlan {
  const { choice, objections } = readRequest(situation, request)
  return choice === null
    ? refuse(situation.table, request, objections)
    : convert(situation, request, choice, objections)
}

/** The key as the request means it, and what stands against any conversion; without a key there is always an objection. */
export function readRequest(
  situation: PartitionSituation,
  request: PartitionRequest,
): { readonly choice: KeyChoice | null; readonly objections: readonly Objection[] } {
  const { table, server, privileges } = situation
  const fundamental = fundamentalObjections(server, situation.journalSchema, table)
  if (fundamental.length > 0) return { choice: null, objections: fundamental }
  const column = keyColumn(table, request.by)
  const objections = [
    ...('fix' in column ? [column] : []),
    ...expiryObjections(table, request),
    ...privilegeObjections(table, privileges, server.role),
    ...tableObjections(table, server),
    ...captureObjections(table),
  ]
  if (situation.evidence === null || 'fix' in column) return { choice: null, objections }
  const choice = chooseKey(request, situation.evidence)
  return isObjection(choice) ? { choice: null, objections: [choice, ...objections] } : { choice, objections }
}

function refuse(table: TableModel, request: PartitionRequest, objections: readonly Objection[]): PartitionPlan {
  if (objections.length === 0) throw new Error('a refusal needs a reason')
  return {
    goal: `partition ${display(table.name)} by ${request.by}`,
    table: table.name,
    evidence: [],
    dependents: [],
    objections,
    notes: [],
    steps: [],
    conversion: null,
  }
}

function convert(
  situation: PartitionSituation,
  request: PartitionRequest,
  choice: KeyChoice,
  objections: readonly Objection[],
): PartitionPlan {
  const { table, server, taken, settings } = situation
  const premake = request.premake ?? defaultPremake(request.every)
  const { at: cut, near } = cutFor(choice, premake)
  const runway = runwayFrom(choice, cut, premake)
  const primaryKey = newPrimaryKey(table, choice.column, taken)
  const names = chooseNames(situation, choice, runway, primaryKey)
  const all = [
    ...objections,
    ...adoptionObjections(table),
    ...keyObjections(situation, request, choice, primaryKey, cut, runway.at(-1)?.to ?? cut),
  ]
  const conversion = { table, role: server.role, choice, cut, runway, primaryKey, settings, ...names }
  const steps = all.length > 0 ? [] : conversionSteps(conversion)
  assertDistinctKeys(steps)
  return {
    goal: `partition ${display(table.name)} by ${choice.column}, ${describeWidth(choice)}`,
    table: table.name,
    evidence: [...choice.evidence, ...describeCut(choice, cut, names.history, request)],
    dependents: dependentsOf(table, { history: names.history, primaryKey, partitioned: true }),
    objections: all,
    notes: [...serverNotes(server), ...notesOn(situation, request, choice, primaryKey)],
    steps,
    conversion:
      all.length > 0
        ? null
        : {
            policy: policyFor(request, choice, premake),
            history: names.history,
            guard: names.guard,
            bound: { column: choice.column, kind: choice.kind, timezone: choice.timezone, at: cut, near },
            primaryKey,
            aside: names.aside,
            original: table,
          },
  }
}

/** What the key stands against, apart from what the table does. */
export function keyObjections(
  { table, upserts, sendings = [], triggerCode = [], keyDependents = [] }: PartitionSituation,
  request: PartitionRequest,
  choice: KeyChoice,
  primaryKey: NewPrimaryKey | null,
  cut: Position,
  end: Position,
): Objection[] {
  const idColumn = growingId(table)
  const objections = [
    ...uniquenessObjections(table, choice.column),
    ...(primaryKey === null ? [] : primaryKeyObjections(table, choice.column, idColumn, keyDependents)),
    ...publishedKeyObjections(table, sendings, primaryKey),
    ...keyTriggerObjections(triggerCode, choice.column),
    ...(primaryKey === null ? [] : upsertObjections(upserts ?? [], choice.column, idColumn)),
    ...rangeObjections(choice, cut, request),
    ...widthObjections(choice, end),
  ]
  return unaccepted(objections, request.accept)
}

export function policyFor(request: PartitionRequest, choice: KeyChoice, premake: number): SetPolicy {
  const { timezone, every, expireBy, keep } = request
  return { column: choice.column, kind: choice.kind, timezone, every, expireBy, keep, premake }
}

interface Names {
  readonly history: TableName
  readonly guard: string
  readonly leaves: readonly TableName[]
  readonly aside: AsideNames
}

function chooseNames(
  { table, taken }: PartitionSituation,
  choice: KeyChoice,
  runway: readonly Cell[],
  primaryKey: NewPrimaryKey | null,
): Names {
  const { schema, name } = table.name
  const used = new Set(taken)
  const use = (free: string): string => {
    used.add(free)
    return free
  }
  if (primaryKey !== null) use(primaryKey.index)
  const history = use(freeCompanion(name, '_history', used))
  const starts = runway.map(({ from }) => from)
  const leaves = leafNames(table.name, choice.grid, choice.kind, starts, used)
  for (const leaf of leaves) use(leaf.name)
  const constraints = new Set(table.constraints.map((constraint) => constraint.name))
  return {
    history: { schema, name: history },
    guard: freeCompanion(name, '_ebb_bound', constraints),
    leaves,
    aside: asideNames(table, primaryKey?.constraint ?? null, used, '_history'),
  }
}

/** An integer primary key that could be the key while the rows expire by time. */
function growingId(table: TableModel): string | null {
  const column = singlePrimaryKey(table)
  const type = table.columns.find(({ name }) => name === column)?.type
  return type === 'bigint' || type === 'integer' ? column : null
}

export function describeWidth({ grid }: KeyChoice): string {
  return grid.kind === 'id' ? `${grid.width} ids a partition` : `one partition every ${displayInterval(grid.every)}`
}

function describeCut(
  choice: KeyChoice,
  cut: Position,
  history: TableName,
  { keep, timezone }: PartitionRequest,
): string[] {
  const ends = displayPosition(choice.kind, cut, timezone)
  const where = `the existing rows become partition ${display(history)}, which ends at ${ends}${describeDistance(choice, cut)}`
  if (keep === null || choice.kind === 'id') return [where]
  const gone = plus(cut, keep, choice.kind, timezone)
  return [
    where,
    `with ${displayInterval(keep)} kept it expires as a whole on ${displayPosition(choice.kind, gone, timezone)}`,
  ]
}

/** How long a history by id will go on growing; by time the bound itself says it. */
function describeDistance({ kind, head, idRate }: KeyChoice, cut: Position): string {
  if (kind !== 'id') return ''
  const ids = Number(cut - head)
  const days = idRate === null ? '' : `, about ${showDuration(ids / idRate / 1_000_000)} at the present rate`
  return `, ${showCount(ids)} ids from now${days}`
}

export function notesOn(
  { upserts, triggerCode = [] }: PartitionSituation,
  request: PartitionRequest,
  choice: KeyChoice,
  primaryKey: NewPrimaryKey | null,
): string[] {
  const { column, kind } = choice
  return [
    ...(primaryKey === null
      ? []
      : [
          `the primary key becomes ${primaryKey.definition}: ON CONFLICT must name ${column} too, and its previous columns alone are no longer unique across partitions${primaryKey.definition.includes(' WITHOUT OVERLAPS)') ? `, and periods of rows with different ${column} may overlap` : ''}`,
        ]),
    ...(primaryKey !== null && upserts === null
      ? ['pg_stat_statements cannot be read, so whether the application uses ON CONFLICT is not known']
      : []),
    'INSERT … RETURNING xmin or xmax fails on partitioned tables, and ctid is unique only within one partition: statements that use them must change',
    ...(kind === 'timestamp' || kind === 'date'
      ? [`${column} has no time zone; it is read as the wall clock of ${request.timezone}`]
      : []),
    ...triggerNotes(triggerCode),
    ...(request.keep === null ? ['no --keep is given: rotate will make partitions ahead and remove none'] : []),
  ]
}
