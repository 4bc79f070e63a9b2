import { display, type TableName } from '../../sql/names.ts'
import type { ArchiveRequest } from '../archive/request.ts'
import { captureOf } from '../copy/capture.ts'
import { copyKeyOf, type CopyKey } from '../copy/key.ts'
import { copySteps } from '../copy/steps.ts'
import { factsOf } from '../table/facts.ts'
import { describeKept } from '../copy/retention-of-retired.ts'
import { keepWindow } from '../copy/keep-window.ts'
import { describeLeftOutArchive, estimateLeftOut } from '../copy/left-out-archive.ts'
import { describeLayout, type Layout } from '../partition/partitioned-shadow.ts'
import { newSize } from '../copy/rebuild.ts'
import type { LeftOutArchive, RebuildPlan, RebuildSummary } from '../copy/summary.ts'
import { serverNotes } from '../table/objections/server.ts'
import { shadowNames, writtenColumns } from '../table/shadow.ts'
import { exchange, splitSummary, takenBy, type SplitSummary } from './exchange.ts'
import { splitDependents } from './dependents.ts'
import { layoutOf } from './layout.ts'
import { splitObjections } from './objections.ts'
import { splitShadow } from './shadow.ts'
import type { SplitRequest, SplitSituation } from './situation.ts'
import { assertDistinctKeys } from '../language/step.ts'
import { NOT_ANALYZED, showAbout, showBytes } from '../../text/units.ts'

// Splitting: one wide partition, such as the history of a converted table,
// becomes proper ones. They are filled beside it and exchanged for it in one
// short transaction; the parent and its dependent objects stay what they are.

export interface SplitPlan extends RebuildPlan {
  readonly split: SplitSummary | null
}

/** Plans the exchange of a wide partition for proper ones. Pure. */
export function planSplit(situation: SplitSituation, request: SplitRequest): SplitPlan {
  const { set, parent, partition, server } = situation
  const key = copyKeyOf(parent)
  const layout = layoutOf(situation)
  const objections = splitObjections(situation, request, layout, key)
  const base = {
    goal: `split ${display(partition.name)} of ${display(set.name)} into ${layout.cells.length} partitions`,
    table: parent.name,
    dependents: splitDependents(situation),
    objections,
    notes: serverNotes(server),
  }
  if (objections.length > 0 || key === null) return { ...base, evidence: [], steps: [], rebuild: null, split: null }
  const names = shadowNames(parent, situation.taken)
  const rebuild = summaryOf(situation, request, key, names.shadow)
  const shadow = splitShadow(situation, names, layout)
  const { transport, jobs } = request
  const copied = { rebuild, shadow, role: server.role, keptRows: situation.keptRows, transport, jobs }
  const steps = copySteps(copied).map((step) =>
    step.kind === 'swap' ? exchange(situation, rebuild, layout, step) : step,
  )
  assertDistinctKeys(steps)
  return {
    ...base,
    evidence: [
      ...evidenceOf(situation, request, layout),
      describeKept(rebuild.retired, request.retireAfter),
      ...describeLeftOutArchive(rebuild),
    ],
    steps,
    rebuild,
    split: splitSummary(situation, layout),
  }
}

function summaryOf(
  situation: SplitSituation,
  { keep, retireAfter, archive }: SplitRequest,
  key: CopyKey,
  shadow: TableName,
): RebuildSummary {
  const { parent, wide, policy, journalSchema, keptRows, settings, tag, server } = situation
  const window = keepWindow(policy, keep, parent, BigInt(server.now))
  const columns = writtenColumns(parent).text
  const capture = (side: string, table: TableName) => captureOf(table, key, journalSchema, `ebb_${tag}_${side}`)
  return {
    sourceOid: wide.oid,
    original: parent,
    shadow,
    retired: wide.name,
    aside: { indexes: {}, statistics: {}, sequences: {} },
    forward: {
      source: wide.name,
      target: shadow,
      columns,
      keep: window?.condition ?? null,
      settings,
      capture: capture('forward', wide.name),
    },
    back: {
      source: parent.name,
      target: wide.name,
      columns,
      keep: takenBy(situation).text,
      settings,
      capture: capture('back', parent.name),
    },
    policy: null,
    diskBytes: newSize({ table: wide, keptRows }),
    retireAfter,
    archive: archive === undefined || window === null ? null : archiveOf(situation, archive, window.horizon),
    outcome: factsOf(parent),
  }
}

function archiveOf(
  { parent, partition, keptRows }: SplitSituation,
  to: ArchiveRequest,
  horizon: string,
): LeftOutArchive {
  return {
    command: 'split',
    to,
    table: partition.name,
    partitionOf: { ...parent.name, bounds: partition.boundsText },
    horizon,
    estimatedRows: estimateLeftOut(partition.estimatedRows, keptRows),
  }
}

function evidenceOf(
  { partition, parent, wide, policy, keptRows, server }: SplitSituation,
  { keep }: SplitRequest,
  layout: Layout,
): string[] {
  const window = keepWindow(policy, keep, parent, BigInt(server.now))
  return [
    `${display(partition.name)}: ${showAbout(partition.estimatedRows)}, ${showBytes(partition.bytes)}`,
    describeLayout(layout),
    ...(layout.rest === undefined
      ? []
      : [`rows that belong to none of them go into ${display(layout.rest)}, the new DEFAULT partition`]),
    ...(window === null
      ? []
      : [
          `rows of before ${window.shown} are left behind: kept is ${window.condition}`,
          keptRows === null ? NOT_ANALYZED : `these are ${showAbout(keptRows)}, by the planner’s estimate`,
        ]),
    `the new partitions need up to ${showBytes(newSize({ table: wide, keptRows }))} of disk, beside its own until it goes`,
    `by ${policy.column}`,
  ]
}
