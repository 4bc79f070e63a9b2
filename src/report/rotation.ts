import type { MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import type { Retirements } from '../engine/runs/retire-due.ts'
import type { Failure, RetiredPartition, RotationReport, SetReport } from '../engine/commands/rotate.ts'
import type { RegisteredSet } from '../journal/sets.ts'
import { explainObjections } from '../plan/explain/explain.ts'
import { aboutRows } from '../plan/rotate/about-rows.ts'
import { describePolicy } from '../plan/rotate/policy.ts'
import { plural, showBytes, showCount, showRows } from '../text/units.ts'
import { columns } from '../text/columns.ts'
import { display, type TableName } from '../sql/names.ts'
import { showElapsed } from '../text/elapsed.ts'
import { tellError, type ToldError } from './error-text.ts'
import { partitionMap } from './partition-map.ts'
import { indented } from './partitioned.ts'
import { describePauses } from './pauses.ts'

/** What was done to one set, and its partitions afterwards. */
export interface RotatedSet {
  readonly report: SetReport
  readonly map: readonly MapEntry[]
}

/** The result of a rotation, set by set. */
export function describeRotation(
  sets: readonly RotatedSet[],
  { retired, forgotten, stopped }: Pick<RotationReport, 'retired' | 'forgotten' | 'stopped'>,
  withValues = false,
): string[] {
  const drops = [...forgotten.map(describeForgotten), ...describeDrops(retired, withValues)]
  if (sets.length === 0 && drops.length === 0 && !stopped) return NO_SETS
  return [
    ...sets.flatMap((set, position) => [...(position === 0 ? [] : ['']), ...describeSet(set, withValues)]),
    ...(sets.length === 0 || drops.length === 0 ? [] : ['']),
    ...drops,
    ...(stopped ? ['', 'Stopped on request: what was done is kept, and the next rotation does the rest.'] : []),
  ]
}

function describeForgotten({ table, policy, exists }: RegisteredSet): string {
  if (exists)
    return `${display(table)} is no longer managed by rotate (${describePolicy(policy)}); the table stays as it is. To register it again: ebb rotate ${display(table)} --execute`
  return `${display(table)} no longer exists, so it is no longer registered (${describePolicy(policy)}); if it was renamed: ebb rotate <new name>`
}

/** A line for each retired table that was due. */
function describeDrops({ dropped, failed }: Retirements, withValues: boolean): string[] {
  return [
    ...dropped.map(({ runId, table, retired }) =>
      retired === null
        ? `stopped capturing changes of ${display(table)} for run ${runId}, whose retired table had been dropped`
        : `dropped ${display(retired.name)}, the retired table of run ${runId}: ${showBytes(retired.bytes)}`,
    ),
    ...failed.flatMap((failure) => describeFailure(failure, withValues)),
  ]
}

/** No table to rotate. */
export const NO_SETS = ['No table is managed by rotate yet. To register a partitioned table: ebb rotate <table>']

function describeSet({ report, map }: RotatedSet, withValues: boolean): string[] {
  const { table, finalized, created, retired, skipped, failed, plan } = report
  const isIdle = [finalized, created, retired, failed].every(({ length }) => length === 0)
  return [
    // A table that is not there has only the name it was called by.
    table.schema === '' ? `${table.name}:` : `${display(table)}: ${isIdle ? 'nothing was due' : describeTimes(report)}`,
    ...indented([
      ...finalized.map((partition) => `finished the interrupted detach of ${display(partition)}`),
      ...columns(
        created.map(({ partition, from, to, moved }) => [
          'created',
          display(partition),
          `from ${from}`,
          `until ${to}`,
          moved === 0 ? '' : `${showRows(moved)} from the DEFAULT partition`,
        ]),
      ),
      ...columns(retired.map(describeRetired), [4, 5]),
      ...removed(retired),
      ...archived(retired),
      ...waited(report),
      ...skipped.map(({ partition, reason }) => `kept: ${display(partition)}, ${reason}`),
      ...failed.flatMap((failure) => describeFailure(failure, withValues)),
      ...explainObjections(plan?.objections ?? []).map((line) => line.replace(/^--( |$)/, '')),
      ...(plan?.historyGoesOn
        ? [`${display(plan.historyGoesOn.partition)} expires as a whole on ${plan.historyGoesOn.shown}`]
        : []),
    ]),
    ...(map.length === 0 ? [] : ['', ...indented([describeSize(map), ...partitionMap(map)])]),
  ]
}

function describeTimes({ milliseconds, longestLockMs, longestWaitCausedMs }: SetReport): string {
  return `${showElapsed(milliseconds)}; longest lock ${showElapsed(longestLockMs)}, maximum blocking time ${showElapsed(longestWaitCausedMs)}`
}

function describeRetired({ partition, outcome, from, to, rows, bytes, goesFrom }: RetiredPartition): string[] {
  const count = rows === null ? 'rows unknown' : `${showCount(rows)} rows`
  const later = goesFrom === null ? [] : [`dropped from ${goesFrom} on`]
  return [outcome, display(partition), `from ${from}`, `until ${to}`, count, showBytes(bytes), ...later]
}

function removed(retired: readonly RetiredPartition[]): string[] {
  const gone = retired.filter(({ outcome }) => outcome === 'dropped' || outcome === 'truncated')
  if (gone.length === 0) return []
  const bytes = gone.reduce((sum, { bytes }) => sum + bytes, 0)
  return [`removed ${aboutRows(gone)}, ${showBytes(bytes)}; 0 rows inside the keep window`]
}

/** By which receipt the rows of each were removed. */
function archived(retired: readonly RetiredPartition[]): string[] {
  return retired.flatMap(({ partition, receipt }) =>
    receipt === null ? [] : [`archived ${display(partition)}: ${receipt}`],
  )
}

function waited({ pace }: SetReport): string[] {
  return pace === null || pace.pausedMs === 0 ? [] : [describePauses(pace)]
}

function describeFailure({ what, error }: Failure, withValues: boolean): string[] {
  const { message, details, next } = tellError(error, withValues)
  return [`failed: ${what}: ${message}`, ...indented([...details, next])]
}

function describeSize(map: readonly MapEntry[]): string {
  const bytes = map.reduce<number | null>(
    (sum, one) => (sum === null || one.bytes === null ? null : sum + one.bytes),
    0,
  )
  return `${bytes === null ? 'an unknown size' : showBytes(bytes)} in ${plural(map.length, 'partition')}:`
}

/** The same for programs. */
export interface ToldSet extends Omit<SetReport, 'plan' | 'failed'> {
  readonly table: TableName
  readonly objections: unknown
  readonly failed: readonly ({ readonly what: string } & ToldError)[]
  readonly map: readonly MapEntry[]
}

export function rotationForPrograms(
  sets: readonly RotatedSet[],
  { retired, forgotten, stopped }: RotationReport,
  withValues = false,
) {
  const tellFailure = ({ what, error }: Failure) => ({ what, ...tellError(error, withValues) })
  const told = sets.map(({ report: { plan, failed, ...report }, map }): ToldSet => {
    return {
      ...report,
      objections: plan?.objections ?? [],
      failed: failed.map(tellFailure),
      map,
    }
  })
  return {
    sets: told,
    forgotten,
    retired: { dropped: retired.dropped, failed: retired.failed.map(tellFailure) },
    stopped,
  }
}
