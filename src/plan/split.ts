import type { Partition, PartitionedTable } from '../catalog/partitioned-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { cellsBetween, floor, minus, type Cell, type Grid } from '../grid/grid.ts'
import type { Interval } from '../grid/interval.ts'
import { displayPosition, positionOf, toText, type KeyKind, type Position } from '../grid/key.ts'
import { partitionName } from '../grid/partition-name.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../sql/sql.ts'
import { captureOf, startCapture } from './capture.ts'
import { copyKeyOf, noKeyObjection, type CopyKey } from './copy-key.ts'
import { captureTriggers, copySteps } from './copy-steps.ts'
import type { Transport } from './copy-work.ts'
import * as definitions from './definitions.ts'
import { factsOf } from './facts.ts'
import { describeKept } from './former-kept.ts'
import { attach, boundLiteral } from './leaf.ts'
import { createPartitioned, describeLayout, keepCondition, type Layout } from './partitioned-shadow.ts'
import type { RebuildPlan, RebuildSummary } from './rebuild.ts'
import type { SetPolicy } from './request.ts'
import { leafShapeOf } from './rotate-runway.ts'
import { serverNotes } from './server-objections.ts'
import {
  checkStep,
  foreignKeysOf,
  foreignKeySteps,
  indexStep,
  online,
  shadowNames,
  writtenColumns,
  type Shadow,
  type ShadowNames,
} from './shadow.ts'
import { assertDistinctKeys, type Lock, type Objection, type Step, type SwapStep } from './step.ts'
import { neighbours } from './swap.ts'
import { showBytes, showCount } from './units.ts'

// Splitting: one wide partition, such as the history of a converted table,
// becomes proper ones. They are filled beside it and exchanged for it in one
// short transaction; the parent, and all that hangs on it, stays what it is.

export interface SplitRequest {
  /** The rows worth keeping; null keeps all. */
  readonly keep: Interval | null
  readonly transport: Transport | 'auto'
  readonly jobs: number
  /** Rows that are left behind go for good: there is no archive. */
  readonly noArchive: boolean
  /** How long after the end the former table is let go by rotate; null: when somebody says so. */
  readonly retireAfter: Interval | null
}

export interface SplitSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly set: PartitionedTable
  /** The partitioned table, with all that hangs on it. */
  readonly parent: TableModel
  readonly policy: SetPolicy
  readonly grid: Grid
  readonly partition: Partition
  /** The partition as a table. */
  readonly wide: TableModel
  /** Least value of the key in it; null where it is empty. */
  readonly min: Position | null
  readonly searchPath: string
  readonly taken: ReadonlySet<string>
  readonly tag: string
}

/** A wide partition as it is, for the way back. */
export interface SplitSummary {
  readonly key: { readonly column: string; readonly type: string; readonly kind: KeyKind }
  readonly from: string
  readonly to: string
  readonly bound: string
  readonly leaves: readonly TableName[]
}

export interface SplitPlan extends RebuildPlan {
  readonly split: SplitSummary | null
}

/** The partition that is wider than the others: the first one that spans more than a cell of the grid. */
export function widePartition(set: PartitionedTable, grid: Grid, kind: KeyKind): Partition | undefined {
  return set.partitions.find(({ range, kind: relation, isDefault, detachPending }) => {
    if (relation !== 'table' || isDefault || detachPending || range === null || range.to === null) return false
    return range.from === null || cellsBetween(grid, kind, range.from, range.to).length > 1
  })
}

/** Plans the exchange of a wide partition for proper ones. Pure. */
export function planSplit(situation: SplitSituation, request: SplitRequest): SplitPlan {
  const { set, parent, partition, policy, server } = situation
  const key = copyKeyOf(parent)
  const layout = layoutOf(situation, request)
  const objections = splitObjections(situation, request, layout, key)
  const base = {
    goal: `split ${display(partition.name)} of ${display(set.name)} into ${layout.cells.length} partitions`,
    table: parent.name,
    fates: [],
    objections,
    notes: serverNotes(server),
  }
  if (objections.length > 0 || key === null) return { ...base, evidence: [], steps: [], rebuild: null, split: null }
  const names = shadowNames(parent, situation.taken)
  const rebuild = summaryOf(situation, request, key, names.shadow)
  const split = splitSummary(situation, layout)
  const shadow = splitShadow(situation, names, layout)
  const { transport, jobs } = request
  const copied = { rebuild, shadow, role: server.role, keptRows: partition.estimatedRows ?? 0, transport, jobs }
  const steps = copySteps(copied).map((step) =>
    step.kind === 'swap' ? exchange(situation, rebuild, split, layout, step) : step,
  )
  assertDistinctKeys(steps)
  return {
    ...base,
    evidence: [...evidenceOf(situation, request, layout, policy), describeKept(rebuild.retired, request.retireAfter)],
    steps,
    rebuild,
    split,
  }
}

function layoutOf(
  { server, set, policy, grid, partition, min, taken }: SplitSituation,
  { keep }: SplitRequest,
): Layout {
  const { range } = partition
  const { kind, column, timezone } = policy
  const to = range?.to ?? 0n
  const horizon =
    keep === null || kind === 'id' ? null : minus(positionOf(kind, BigInt(server.now), timezone), keep, kind, timezone)
  const lowest = horizon ?? min ?? to - 1n
  const start = floor(grid, kind, lowest < to ? lowest : to - 1n)
  const cells = cellsBetween(grid, kind, range?.from != null && start < range.from ? range.from : start, to).map(
    (cell): Cell => ({ from: cell.from, to: cell.to < to ? cell.to : to }),
  )
  const used = new Set(taken)
  const leaves = cells.map((cell) => {
    const name = partitionName(set.name.name, grid, kind, cell.from, used)
    used.add(name)
    return { schema: set.name.schema, name }
  })
  return {
    choice: { column, kind },
    cells,
    start: range?.from ?? null,
    leaves,
    primaryKey: null,
    shape: { ...leafShapeOf(set), triggers: [] },
  }
}

function splitObjections(
  { set, parent, partition }: SplitSituation,
  request: SplitRequest,
  layout: Layout,
  key: CopyKey | null,
): Objection[] {
  const name = display(partition.name)
  return [
    ...(key === null ? [noKeyObjection(parent)] : []),
    ...(partition.range?.to == null
      ? [
          object(
            'unbounded',
            `${name} has no upper bound`,
            'Split the partitions that end somewhere; this one takes what comes.',
          ),
        ]
      : []),
    ...(layout.cells.length < 2 && request.keep === null
      ? [object('not-wide', `${name} is no wider than one partition`, 'There is nothing to split.')]
      : []),
    ...set.inboundForeignKeys.map((one) =>
      object(
        `inbound:${one.name}`,
        `foreign key ${one.name} of ${display(one.table)} points at ${display(set.name)}: exchanging partitions would check its rows under lock`,
        'Drop it before, and add it again afterwards, NOT VALID and then validated.',
      ),
    ),
    ...partition.dependents.map((dependent) =>
      object(
        `dependent:${dependent}`,
        `${dependent} depends on ${name} itself`,
        'Let it read from the partitioned table.',
      ),
    ),
    ...(request.keep !== null && !request.noArchive
      ? [
          object(
            'archive',
            'the rows that are left behind would be gone, and archives cannot be written by this version',
            `If they are not needed any more, say --no-archive. Until \`ebb retire\` they are still in ${name}, detached.`,
          ),
        ]
      : []),
  ]
}

function summaryOf(
  { parent, wide, policy, journalSchema, searchPath, tag, server, partition }: SplitSituation,
  { keep, retireAfter }: SplitRequest,
  key: CopyKey,
  shadow: TableName,
): RebuildSummary {
  const columns = writtenColumns(parent).text
  const capture = (side: string, table: TableName) => captureOf(table, key, journalSchema, `ebb_${tag}_${side}`)
  const range = rangeCondition(policy, partition, parent).text
  return {
    sourceOid: wide.oid,
    former: parent,
    shadow,
    retired: wide.name,
    aside: { indexes: {}, statistics: {}, sequences: {} },
    forward: {
      source: wide.name,
      target: shadow,
      columns,
      keep: keepText(policy, keep, parent, BigInt(server.now)),
      searchPath,
      capture: capture('forward', wide.name),
    },
    back: {
      source: parent.name,
      target: wide.name,
      columns,
      keep: range,
      searchPath,
      capture: capture('back', parent.name),
    },
    policy: null,
    diskBytes: partition.bytes,
    retireAfter,
    outcome: factsOf(parent),
  }
}

function keepText(
  { kind, column, expireBy, timezone }: SetPolicy,
  keep: Interval | null,
  table: TableModel,
  now: bigint,
): string | null {
  const by = kind === 'id' ? expireBy : column
  if (keep === null || by === null) return null
  const type = table.columns.find(({ name }) => name === by)?.type ?? ''
  const time = kind === 'id' ? timeKind(type) : kind
  return keepCondition(by, type, toText(time, minus(positionOf(time, now, timezone), keep, time, timezone)))
}

function timeKind(type: string): 'date' | 'timestamptz' | 'timestamp' {
  if (type === 'date') return 'date'
  return type.endsWith('with time zone') ? 'timestamptz' : 'timestamp'
}

/** Within the bounds of a partition; of the column's own type, or PostgreSQL would not take it as proof. */
function rangeCondition({ column, kind }: SetPolicy, { range }: Partition, table: TableModel): Sql {
  const type = raw(table.columns.find(({ name }) => name === column)?.type ?? '')
  const side = (operator: string, position: Position | null) =>
    position === null ? [] : [sql`${ident(column)} ${raw(operator)} ${literal(toText(kind, position))}::${type}`]
  return join([...side('>=', range?.from ?? null), ...side('<', range?.to ?? null)], ' and ')
}

function splitSummary({ policy, partition, parent, set }: SplitSituation, { leaves }: Layout): SplitSummary {
  const { kind, column } = policy
  return {
    key: { column, kind, type: set.key?.type ?? '' },
    from: boundLiteral(kind, partition.range?.from ?? null, 'from').text,
    to: boundLiteral(kind, partition.range?.to ?? null, 'to').text,
    bound: rangeCondition(policy, partition, parent).text,
    leaves,
  }
}

/** The CHECK by which a partition that is attached proves its bounds. */
const BOUND = 'ebb_bound'

function splitShadow(situation: SplitSituation, names: ShadowNames, layout: Layout): Shadow {
  const { parent, server, policy } = situation
  const { leaves, cells, start } = layout
  const checks = parent.constraints.filter(({ type }) => type === 'check')
  const proofs = cells.map((cell, i) => {
    const range = { range: { from: i === 0 ? start : cell.from, to: cell.to } } as Partition
    return sql`alter table ${quoted(leaves[i] as TableName)} add constraint ${ident(BOUND)} check (${rangeCondition(policy, range, parent)})`
      .text
  })
  return {
    name: names.shadow,
    leaves,
    create: createPartitioned(parent, names.shadow, layout, server.role),
    finish: [
      ...parent.indexes.map((index) => indexStep(parent, names, index, null, 1)),
      ...checks.map((check) => checkStep(names.shadow, check)),
      ...foreignKeysOf(parent).flatMap((key) => foreignKeySteps(leaves, key)),
      online(
        'bounds',
        'prove the bounds of the new partitions',
        'attaching them then reads nothing',
        'reads them once',
        proofs,
      ),
    ],
    takePlace: [],
    after: factsOf(parent),
    settle: [],
    outcome: factsOf(parent),
  }
}

/** The swap of a split: partitions change places, the parent stays. */
function exchange(
  { set, parent, partition }: SplitSituation,
  rebuild: RebuildSummary,
  split: SplitSummary,
  layout: Layout,
  swap: SwapStep,
): SwapStep {
  const { forward, back, shadow } = rebuild
  const { choice, cells, start, leaves } = layout
  const place = quoted(parent.name)
  const wide = quoted(partition.name)
  const { trigger, truncateTrigger } = forward.capture
  return {
    ...swap,
    title: `exchange ${display(partition.name)} for its ${split.leaves.length} partitions`,
    because: 'they hold every row worth keeping, in its present state, and their bounds are proven',
    locks: [parent.name, ...neighbours(parent)].map((table): Lock => ({
      table,
      mode: 'ACCESS EXCLUSIVE',
      blocks: 'reads and writes',
      held: 'milliseconds',
    })),
    acquire: [parent.name, ...neighbours(parent)].map(
      (table) => sql`lock table ${quoted(table)} in access exclusive mode`.text,
    ),
    statements: [
      ...[trigger, truncateTrigger].map((name) => sql`drop trigger ${ident(name)} on ${wide}`.text),
      sql`alter table ${place} detach partition ${wide}`.text,
      // Rows that nobody sees any more must not keep others from being deleted.
      ...foreignKeysOf(parent).map(({ name }) => sql`alter table ${wide} drop constraint ${ident(name)}`.text),
      ...cells.flatMap((cell, i) => {
        const leaf = leaves[i] as TableName
        return [
          sql`alter table ${quoted(shadow)} detach partition ${quoted(leaf)}`.text,
          attach(
            parent.name,
            leaf,
            boundLiteral(choice.kind, i === 0 ? start : cell.from, 'from'),
            boundLiteral(choice.kind, cell.to, 'to'),
          ),
          sql`alter table ${quoted(leaf)} drop constraint ${ident(BOUND)}`.text,
        ]
      }),
      ...set.unusualTriggers.flatMap((one) => definitions.triggerState(leaves, one)),
      sql`drop table ${quoted(shadow)}`.text,
      ...startCapture(back.capture),
    ],
    before: factsOf(parent),
    after: factsOf(parent),
    ours: captureTriggers(rebuild),
    partitions: set.partitions.map(({ name }) => name),
  }
}

function evidenceOf(
  { partition, policy }: SplitSituation,
  { keep }: SplitRequest,
  layout: Layout,
  { kind, timezone }: SetPolicy,
): string[] {
  const first = layout.cells[0]
  return [
    `${display(partition.name)} holds about ${partition.estimatedRows === null ? 'an unknown number of' : showCount(partition.estimatedRows)} rows, ${showBytes(partition.bytes)}`,
    describeLayout(layout),
    ...(keep === null || first === undefined || kind === 'id'
      ? []
      : [
          `rows before ${displayPosition(kind, first.from, timezone)} are left behind, and those of the first partition that have expired`,
        ]),
    `the new partitions need up to ${showBytes(partition.bytes)} of disk, beside its own until it goes`,
    `by ${policy.column}`,
  ]
}

function object(code: string, what: string, wayOut: string): Objection {
  return { code, what, wayOut, acceptable: false }
}

/** The steps by which a wide partition takes its place again; see rebuild-undo.ts for what comes before and after. */
export function exchangeBack(
  parent: TableModel,
  rebuild: RebuildSummary,
  split: SplitSummary,
  children: readonly TableName[],
): { readonly prove: Step; readonly swap: SwapStep; readonly dropLeaves: string[] } {
  const { back, retired } = rebuild
  const wide = quoted(retired)
  const place = quoted(parent.name)
  const leaves = split.leaves.filter((leaf) => children.some((child) => display(child) === display(leaf)))
  const { trigger, truncateTrigger } = back.capture
  const swap: SwapStep = {
    kind: 'swap',
    key: 'swap-back',
    title: `exchange the partitions for ${display(retired)} again`,
    because: 'it holds every row there was in its range, and every write made since',
    locks: [parent.name, ...neighbours(parent)].map((table): Lock => ({
      table,
      mode: 'ACCESS EXCLUSIVE',
      blocks: 'reads and writes',
      held: 'milliseconds',
    })),
    cost: 'milliseconds; the time under lock is measured and reported',
    quiet: parent.name,
    table: parent.name,
    acquire: [parent.name, ...neighbours(parent)].map(
      (table) => sql`lock table ${quoted(table)} in access exclusive mode`.text,
    ),
    statements: [
      ...[trigger, truncateTrigger].map((name) => sql`drop trigger ${ident(name)} on ${place}`.text),
      ...leaves.map((leaf) => sql`alter table ${place} detach partition ${quoted(leaf)}`.text),
      attach(parent.name, retired, raw(split.from), raw(split.to)),
      sql`alter table ${wide} drop constraint ${ident(BOUND)}`.text,
    ],
    before: factsOf(parent, captureTriggers(rebuild)),
    after: factsOf(parent, captureTriggers(rebuild)),
    ours: captureTriggers(rebuild),
    partitions: children,
    mustBeEmpty: [],
    work: back,
  }
  const bound = sql`alter table ${wide} add constraint ${ident(BOUND)} check (${raw(split.bound)})`.text
  return {
    prove: online(
      'bound',
      `prove the bounds of ${display(retired)}`,
      'attaching it then reads nothing',
      'reads it once',
      [bound],
    ),
    swap,
    dropLeaves: leaves.map((leaf) => sql`drop table if exists ${quoted(leaf)}`.text),
  }
}
