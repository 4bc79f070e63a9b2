import type { RetiredTable } from '../engine/runs/retired.ts'
import type { DetachedPartition, StatusReport } from '../engine/runs/status.ts'
import type { UnplannedRows } from '../catalog/partitions/unplanned-rows.ts'
import { renamed } from '../plan/rotate/objections.ts'
import { describeUnplanned } from '../plan/rotate/unplanned-rows.ts'
import type { Objection } from '../plan/language/objection.ts'
import { sameName, display, type TableName } from '../sql/names.ts'
import { plural, showBytes, showRows } from '../text/units.ts'
import type { PolicyPlan } from './plan-policies.ts'

// What is due, and what is wrong. Pure: everything has been read before.

/** `due`: the next run does it. `warning`: somebody should look. `critical`: rows are refused, or soon will be. */
export type Level = 'critical' | 'warning' | 'due'

export interface Finding {
  readonly level: Level
  readonly code: string
  readonly table: TableName | null
  readonly text: string
}

/** What findings are made of. */
export interface Checked {
  readonly status: StatusReport
  readonly retired: readonly RetiredTable[]
  readonly plans: readonly PolicyPlan[]
  /** Policies whose tables are no longer there. */
  readonly gone: readonly string[]
  /** Tables with a policy in force. */
  readonly known: readonly TableName[]
  /** DEFAULT partitions that are not empty. */
  readonly defaults: readonly { readonly table: TableName; readonly unplanned: UnplannedRows }[]
  /** Whether there is a config to compare with. */
  readonly hasConfig: boolean
  /** The server's time. */
  readonly now: Date
}

const LEVELS: readonly Level[] = ['critical', 'warning', 'due']

/** The worst first. */
export function findingsOf(checked: Checked): Finding[] {
  const found = [
    ...checked.status.sets.flatMap(ofRunway),
    ...ofReplica(checked.plans),
    ...checked.status.sets.flatMap((set) => ofRenamed(set, checked.plans)),
    ...checked.plans.flatMap(ofPlan),
    ...checked.defaults.map(({ table, unplanned }) =>
      finding('warning', 'default-rows', table, describeUnplanned(unplanned)),
    ),
    ...checked.status.runs.flatMap((run) => ofRun(run, checked.now)),
    ...checked.retired.map(ofRetired),
    ...checked.status.detached.flatMap((one) => ofDetached(one, checked.now)),
    ...checked.status.archives.map(ofArchive),
    ...checked.status.leftovers.map((one) =>
      finding('warning', 'leftover', one.table, `a ${one.kind} of no known run is left: ${one.name}`),
    ),
    ...checked.gone.map((name) => finding('warning', 'gone', null, `${name} has a policy, and no longer exists`)),
    ...(checked.hasConfig ? withoutPolicy(checked) : []),
  ]
  return found.toSorted((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level))
}

function finding(level: Level, code: string, table: TableName | null, text: string): Finding {
  return { level, code, table, text }
}

function ofRunway({ table, runway }: StatusReport['sets'][number]): Finding[] {
  return runway?.state === 'missing'
    ? [finding('critical', 'no-partition', table, `${display(table)} has no partition for the rows of now`)]
    : []
}

/** Nothing is planned on a replica: said once, not of each policy. */
function ofReplica(plans: readonly PolicyPlan[]): Finding[] {
  const text = 'this server is a replica, where no rotation can be planned: connect to the primary to learn what is due'
  return plans.flatMap(objectionsOf).some(isReplica) ? [finding('warning', 'blocked:replica', null, text)] : []
}

function isReplica({ code }: Objection): boolean {
  return code === 'replica'
}

function objectionsOf({ judged, rotation, view }: PolicyPlan): readonly Objection[] {
  return [judged, rotation, view].flatMap((plan) => plan?.objections ?? [])
}

/** Those that have a policy are found by its plan. */
function ofRenamed({ table, renamedTo }: StatusReport['sets'][number], plans: Checked['plans']): Finding[] {
  if (renamedTo === null || plans.some((plan) => sameName(plan.table, table))) return []
  const { code, what } = renamed(table, renamedTo)
  return [finding('warning', `blocked:${code}`, table, what)]
}

function ofPlan(plan: PolicyPlan): Finding[] {
  const { table, judged, rotation, view, failed } = plan
  const name = display(table)
  const [create, retire, premake] = [rotation?.create ?? [], rotation?.retire ?? [], rotation?.policy?.premake ?? 1]
  const objections = objectionsOf(plan).filter((one) => !isReplica(one))
  const leftovers = (rotation?.leftovers ?? []).filter(({ begun }) => begun.grace === null)
  const interrupted = (rotation?.finalize.length ?? 0) + leftovers.length
  return [
    ...(create.length === 0 ? [] : [runwayOf(table, create.length, premake)]),
    ...(retire.length === 0
      ? []
      : [finding('due', 'expired', table, `${name}: ${plural(retire.length, 'partition')} can be retired`)]),
    ...(interrupted === 0
      ? []
      : [
          finding(
            'warning',
            'interrupted',
            table,
            `${name}: ${plural(interrupted, 'partition')} wait to be retired since a rotation was interrupted`,
          ),
        ]),
    ...objections.map(({ code, what }) => finding('warning', `blocked:${code}`, table, what)),
    ...(judged?.differs === true && judged.objections.length === 0
      ? [finding('due', 'not-in-force', table, `${name}: what the config says is not in force yet`)]
      : []),
    ...(view === null || view.objections.length > 0
      ? []
      : [finding('due', 'view', table, `${display(view.view)} is not there, or not as the policy of ${name} says`)]),
    ...failed.map(({ what, error }) => finding('warning', 'failed', table, `${what}: ${error.message}`)),
  ]
}

/** As long as some are left ahead, the next run is in time. */
function runwayOf(table: TableName, missing: number, premake: number): Finding {
  const text = `${display(table)}: ${plural(missing, 'partition')} of ${premake} ahead ${missing === 1 ? 'is' : 'are'} missing`
  return missing < premake ? finding('due', 'runway', table, text) : finding('critical', 'runway-short', table, text)
}

const LONG_MS = 48 * 3_600_000

function ofRun(run: StatusReport['runs'][number], now: Date): Finding[] {
  if (run.status !== 'running' || run.atWork) return []
  const what = `run ${run.id} (ebb ${run.command}) on ${display(run.table)}`
  if (run.refusesFrom !== null)
    return [
      finding(
        'critical',
        'refusing',
        run.table,
        `${what} is unfinished, and rows from ${run.refusesFrom} on are rejected`,
      ),
    ]
  const isBehind = run.rows !== null && now.getTime() - run.startedAt.getTime() > LONG_MS
  return isBehind
    ? [
        finding(
          'warning',
          'purge-behind',
          run.table,
          `${what} was begun ${run.startedAt.toISOString().slice(0, 10)} and has not come to its end; ${showRows(run.rows ?? 0)} so far`,
        ),
      ]
    : [finding('warning', 'unfinished-run', run.table, `${what} is unfinished`)]
}

function ofRetired({ runId, table, retired, recorded, renamed, due }: RetiredTable): Finding {
  const what =
    retired === null
      ? `changes of ${display(table)} are still captured for run ${runId}`
      : `the retired table ${display(retired.name)} (${showBytes(retired.bytes)}) of run ${runId} is waiting to be dropped`
  const was = renamed ? `; it was ${display(recorded)}, and is not dropped automatically` : ''
  return finding(due ? 'due' : 'warning', 'retired-table', table, `${what}${was}`)
}

/** In its grace period it is as it should be. */
function ofDetached({ table, partition, goesAt, kept }: DetachedPartition, now: Date): Finding[] {
  const name = display(partition)
  if (goesAt !== null && goesAt > now) return []
  if (kept !== null) {
    const why = kept === 'renamed' ? 'renamed' : 'written to'
    return [
      finding(
        'warning',
        'detached-kept',
        table,
        `${name}, detached from ${display(table)}, was ${why} since, and is not dropped`,
      ),
    ]
  }
  // An interrupted one is found by the plan.
  if (goesAt === null) return []
  const isLate = now.getTime() - goesAt.getTime() > LONG_MS
  return [
    finding(
      isLate ? 'warning' : 'due',
      isLate ? 'drop-overdue' : 'grace-over',
      table,
      `${name}, detached from ${display(table)}, can be dropped since ${goesAt.toISOString().slice(0, 10)}`,
    ),
  ]
}

function ofArchive({ id, table, hasReceipt }: StatusReport['archives'][number]): Finding {
  return hasReceipt
    ? finding('warning', 'archive-without-removal', table, `archive ${id} does not say yet what was removed`)
    : finding('warning', 'archive-without-receipt', table, `archive ${id} has no receipt`)
}

/** Removing a policy removes nothing: what is in force stays so. */
function withoutPolicy({ status, known, plans }: Checked): Finding[] {
  const tables = [...status.sets.flatMap(({ table, exists }) => (exists ? [table] : [])), ...known]
  const distinct = tables.filter((table, i) => tables.findIndex((other) => sameName(other, table)) === i)
  return distinct
    .filter((table) => !plans.some((plan) => sameName(plan.table, table)))
    .map((table) =>
      finding('warning', 'no-policy', table, `${display(table)} is managed, and the config has no policy for it`),
    )
}
