import type { Interval } from '../../grid/interval.ts'
import type { Cell } from '../../grid/grid.ts'
import { cellsBetween, floor } from '../../grid/grid.ts'
import { display } from '../../sql/names.ts'
import { copyKeyOf, copyKeyObjections } from '../copy/key.ts'
import { copySteps } from '../copy/steps.ts'
import type { Jobs, Transport } from '../copy/work.ts'
import { dependentsOf } from '../table/dependents.ts'
import { describeKept } from '../copy/retention-of-retired.ts'
import { runwayEnd } from './history-bound.ts'
import { keepWindow, type KeepWindow } from '../copy/keep-window.ts'
import type { KeyChoice } from './key-choice.ts'
import { leftOutObjections, type LeftOutRequest } from '../copy/left-out.ts'
import { describeLeftOutArchive, estimateLeftOut } from '../copy/left-out-archive.ts'
import { objection, when } from '../language/objection.ts'
import { describeWidth, keyObjections, notesOn, policyFor, readRequest, type PartitionSituation } from './partition.ts'
import { describeLayout, partitionedShadow, type Layout } from './partitioned-shadow.ts'
import { copyRightsObjections } from '../table/objections/privilege.ts'
import { newPrimaryKey } from '../table/primary-key.ts'
import { newSize, summaryOf } from '../copy/rebuild.ts'
import type { LeftOutArchive, RebuildPlan } from '../copy/summary.ts'
import { defaultPremake, type PartitionRequest } from '../language/policy.ts'
import { serverNotes } from '../table/objections/server.ts'
import { shadowNames } from '../table/shadow.ts'
import { leafNames, leafShape } from '../table/leaf.ts'
import { assertDistinctKeys, type Objection } from '../language/step.ts'
import { publishedCopyObjections } from '../table/objections/publication.ts'
import { NOT_ANALYZED, showAbout, showBytes, showCount } from '../../text/units.ts'

/** A conversion that copies the rows worth keeping into partitions, in one go. */
export interface CopyRequest extends PartitionRequest, LeftOutRequest {
  readonly transport: Transport | 'auto'
  readonly jobs: Jobs
  /** How long after the end rotate drops the retired table; null: only `ebb retire` does. */
  readonly retireAfter: Interval | null
}

export interface CopySituation extends PartitionSituation {
  /** Rows to be kept, as the planner estimates; null where there are no statistics. */
  readonly keptRows: number | null
  readonly tag: string
}

/** More partitions than this cost every query that does not name the key, and locks; see docs/limits.md. */
const MOST_PARTITIONS = 2_000

/** Plans a partitioned table built beside this one, with the rows of the keep window, and swapped in. Pure. */
export function planPartitionByCopy(situation: CopySituation, request: CopyRequest): RebuildPlan {
  const { table, server } = situation
  const { choice, objections } = readRequest(situation, request)
  const goal = `partition ${display(table.name)} by ${request.by}, copying the rows worth keeping`
  const key = copyKeyOf(table)
  if (choice === null)
    return { goal, table: table.name, evidence: [], dependents: [], objections, notes: [], steps: [], rebuild: null }

  const now = situation.evidence?.now ?? 0n
  const premake = request.premake ?? defaultPremake(request.every)
  const { expireBy, timezone } = request
  const keep = keepWindow({ ...choice, expireBy, timezone }, request.keep, table, now)
  const layout = layoutOf(situation, choice, keep, premake)
  const end = layout.cells.at(-1)?.to ?? choice.head
  const all = [
    ...objections,
    ...keyObjections(situation, request, choice, layout.primaryKey, end, end),
    ...copyKeyObjections(table, key),
    ...copyRightsObjections(table, situation.privileges, server.role),
    ...publishedCopyObjections(table).filter(({ code }) => !objections.some((one) => one.code === code)),
    ...copyObjections(request, layout),
  ]
  const base = {
    goal: `${goal}, ${describeWidth(choice)}`,
    table: table.name,
    dependents: dependentsOf(table, { history: null, primaryKey: layout.primaryKey, partitioned: true }),
    objections: all,
    notes: [...serverNotes(server), ...notesOn(situation, request, choice, layout.primaryKey)],
  }
  if (all.length > 0 || key === null) return { ...base, evidence: choice.evidence, steps: [], rebuild: null }

  const names = shadowNames(table, situation.taken)
  const shadow = partitionedShadow(table, names, layout, server.role, 1)
  const rebuild = {
    ...summaryOf(situation, key, shadow, keep?.condition ?? null),
    policy: policyFor(request, choice, premake),
    diskBytes: newSize(situation),
    retireAfter: request.retireAfter,
    archive: archiveOf(situation, request, keep),
  }
  const steps = copySteps({
    rebuild,
    shadow,
    role: server.role,
    keptRows: situation.keptRows,
    transport: request.transport,
    jobs: request.jobs,
  })
  assertDistinctKeys(steps)
  return {
    ...base,
    evidence: [
      ...evidenceOf(situation, choice, layout, keep),
      describeKept(rebuild.retired, request.retireAfter),
      ...describeLeftOutArchive(rebuild),
    ],
    steps,
    rebuild,
  }
}

function archiveOf(
  { table, keptRows }: CopySituation,
  { archive: to }: CopyRequest,
  keep: KeepWindow | null,
): LeftOutArchive | null {
  if (to === undefined || keep === null) return null
  const estimatedRows = estimateLeftOut(table.estimatedRows, keptRows)
  return { command: 'partition', to, table: table.name, partitionOf: null, horizon: keep.horizon, estimatedRows }
}

function layoutOf(
  { table, taken }: CopySituation,
  choice: KeyChoice,
  keep: KeepWindow | null,
  premake: number,
): Layout {
  const end = runwayEnd(choice, premake)
  const start = keep?.from ?? choice.min ?? choice.head
  const cells: Cell[] = cellsBetween(choice.grid, choice.kind, floor(choice.grid, choice.kind, start), end)
  const starts = cells.map(({ from }) => from)
  const primaryKey = newPrimaryKey(table, choice.column, taken)
  return {
    choice,
    cells,
    start: null,
    leaves: leafNames(table.name, choice.grid, choice.kind, starts, taken),
    primaryKey,
    shape: leafShape(table, primaryKey),
  }
}

function copyObjections(request: CopyRequest, { cells }: Layout): Objection[] {
  return [
    ...when(cells.length > MOST_PARTITIONS, () =>
      objection(
        'too-many-partitions',
        `${showCount(cells.length)} partitions would be needed`,
        'Choose a wider --every, or keep less with --keep.',
      ),
    ),
    ...leftOutObjections(request),
  ]
}

function evidenceOf(situation: CopySituation, choice: KeyChoice, layout: Layout, keep: KeepWindow | null): string[] {
  const { table, keptRows } = situation
  const { heap, toast, indexes } = table.size
  return [
    ...choice.evidence,
    describeLayout(layout),
    ...(keep === null
      ? []
      : [
          `rows from ${keep.shown} on are kept: ${keep.condition}`,
          keptRows === null ? NOT_ANALYZED : `these are ${showAbout(keptRows)}, by the planner’s estimate`,
        ]),
    `the new table needs up to ${showBytes(newSize(situation))} of disk, beside the ${showBytes(heap + toast + indexes)} of the retired one until that is dropped`,
  ]
}
