import { readKey } from '../../catalog/table/key-model.ts'
import { readForeignTable, type ForeignTable } from '../../catalog/foreign-table.ts'
import { readFilled } from '../../catalog/partitions/default-partition.ts'
import { readGreatest, readLeast, lookWithin } from '../../catalog/partitions/rows.ts'
import {
  readPartitionedTable,
  type Partition,
  type PartitionedTable,
} from '../../catalog/partitions/partitioned-table.ts'
import { readPresentTable, readTable } from '../../catalog/table/read-table.ts'
import { readConditionSettings } from '../../catalog/condition/condition-settings.ts'
import { readTakenNames } from '../../catalog/situation.ts'
import { readTriggerCode } from '../../catalog/table/trigger-code.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { UsageError } from '../../errors.ts'
import { missingCells } from '../../grid/gaps.ts'
import type { Cell, Grid } from '../../grid/grid.ts'
import { fromText, type Position } from '../../grid/key.ts'
import { journalExists } from '../../journal/journal.ts'
import { registeredSets } from '../../journal/sets.ts'
import { keepWindow, type KeepWindow } from '../../plan/copy/keep-window.ts'
import type { SetPolicy, Width } from '../../plan/language/policy.ts'
import { foreignObjections } from '../../plan/table/objections/foreign.ts'
import { inferPolicy } from '../../plan/rotate/policy.ts'
import { gridFor, missingRunway, textRange } from '../../plan/rotate/runway.ts'
import { widePartitions } from '../../plan/split/layout.ts'
import type { SplitRequest, SplitSituation } from '../../plan/split/situation.ts'
import { planSplit, type SplitPlan } from '../../plan/split/split.ts'
import { pathOf } from '../../sql/condition-settings.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { NothingLeft, Refusal, type Planning } from '../command.ts'
import { copying, readKeptRows } from '../copy/run.ts'
import { assertFoundAgain } from '../found-again.ts'
import { readIdRate } from '../rotate/read-situation.ts'
import { nameSuffix } from '../name-suffix.ts'

/** What to split, and into what. */
export interface SplitOrder extends SplitRequest {
  /** Null for the first partition that is wider than the grid. */
  readonly partition: WrittenName | null
  /** Null for the width of the set. */
  readonly every: Width | null
}

/** Replaces a wide partition by regular ones, without the expired rows. */
export const split = copying<SplitOrder, SplitPlan, SplitSituation>({
  name: 'split',
  removes: ({ keep }) => keep !== null,
  refused: (plan) => ({ ...plan, rebuild: null, split: null }),
  read: (planning, name, order) => inSnapshot(planning.session, () => readSituation(planning, name, order)),
  plan: planSplit,
  async verify({ session, server }, name, situation) {
    const set = await readPartitionedTable(session, name, situation.policy.kind)
    const parent = await readPresentTable(session, name, server.version)
    const wide = await readPresentTable(session, situation.partition.name, server.version)
    assertFoundAgain(name, situation, [server, set, parent, wide])
  },
})

async function readSituation(
  { session, server, options }: Planning,
  name: TableName,
  order: SplitOrder,
): Promise<SplitSituation | Refusal<SplitPlan>> {
  const { journalSchema, accept: accepted = [] } = options
  const registered = (await journalExists(session, journalSchema))
    ? ((await registeredSets(session, journalSchema, name))[0]?.policy ?? null)
    : null
  const set = await readPartitionedTable(session, name, registered?.kind ?? null)
  const parent = await readTable(session, name, server.version)
  if (set === undefined || parent === undefined || set.key === null) throw notASet(name)
  const given = named(set, order)
  const foreign = given === undefined ? null : await readForeignTable(session, given.name)
  if (given !== undefined && foreign !== null) return new Refusal(refuseForeign(set, given, foreign))
  const policy = policyOf(set, registered, order)
  const now = BigInt(server.now)
  const grid = await readGrid(session, set, policy, order, now)
  const settings = pathOf(await readConditionSettings(session))
  const taken = await readTakenNames(session, name.schema)
  const triggerCode = await readTriggerCode(session, name)
  const setting = {
    server,
    journalSchema,
    set,
    parent,
    policy,
    grid,
    settings,
    taken,
    tag: nameSuffix(options),
    accepted,
    triggerCode,
  }
  const situationFor = async (partition: Partition): Promise<SplitSituation> => {
    const wide = await readPresentTable(session, partition.name, server.version)
    const least = await readLeastKept(session, wide, policy, keepWindow(policy, order.keep, parent, now))
    const cells = partition.isDefault ? { cells: await readCells(session, setting, wide, least, now) } : {}
    const situation = { ...setting, partition, wide, least, ...cells }
    const planned = (keptRows: number | null) => planSplit({ ...situation, keptRows }, order)
    return { ...situation, keptRows: await readKeptRows(session, wide, settings, planned) }
  }
  for (const partition of choosePartitions(set, grid, policy, order)) {
    const situation = await situationFor(partition)
    const { objections } = planSplit(situation, order)
    if (order.partition !== null || !objections.some(({ code }) => code === 'not-wide')) return situation
  }
  throw noneWider(set)
}

function policyOf(set: PartitionedTable, registered: SetPolicy | null, { every }: SplitOrder): SetPolicy {
  if (registered !== null) return every === null ? registered : { ...registered, every }
  const inferred = inferPolicy(set, 'UTC')
  if ('policy' in inferred) return every === null ? inferred.policy : { ...inferred.policy, every }
  if (every === null || set.key === null)
    throw new UsageError(inferred.what, 'Pass the width of a partition: --every month.')
  const { column, kind } = set.key
  return { column, kind, timezone: 'UTC', every, expireBy: null, keep: null, premake: 0 }
}

/** The width of the set; for an interval of time in a set by id, the ids of that interval at the current rate. */
async function readGrid(
  session: Session,
  set: PartitionedTable,
  policy: SetPolicy,
  { every }: SplitOrder,
  now: bigint,
): Promise<Grid> {
  if (every?.kind === 'ids' && policy.kind !== 'id') throw notById(set)
  if (every?.kind !== 'interval' || policy.kind !== 'id') return gridFor(set, policy, { idRate: null, now })
  const idRate = await readIdRate(session, set, policy, now)
  if (idRate === null) throw noRate(set)
  return gridFor(set, policy, { idRate, now })
}

/**
 * The given partition; else all that may be wider than the others: whether one without a lower bound is, depends on
 * its plan.
 */
function choosePartitions(set: PartitionedTable, grid: Grid, { kind }: SetPolicy, order: SplitOrder): Partition[] {
  const { partition } = order
  if (partition === null) return widePartitions(set, grid, kind)
  const given = named(set, order)
  if (given !== undefined) return [given]
  throw new NothingLeft(
    `${display(set.name)} has no partition ${partition.name}`,
    `Its partitions are ${set.partitions.map(({ name }) => display(name)).join(', ')}.`,
  )
}

/** The partition that was asked for. */
function named(set: PartitionedTable, { partition }: SplitOrder): Partition | undefined {
  if (partition === null) return undefined
  return set.partitions.find(
    ({ name }) => name.name === partition.name && (partition.schema === null || name.schema === partition.schema),
  )
}

/** Nothing is read of its rows: the other server may be away. */
function refuseForeign(set: PartitionedTable, { name }: Partition, foreign: ForeignTable): SplitPlan {
  return {
    goal: `split ${display(name)} of ${display(set.name)}`,
    table: set.name,
    objections: foreignObjections('split', name, foreign),
    evidence: [],
    dependents: [],
    notes: [],
    steps: [],
    rebuild: null,
    split: null,
  }
}

/** So many cells are looked for in a DEFAULT partition; rows of 1970 may be in there, and of 2099. */
const MOST_CELLS = 500

/** For which partitions are made of a DEFAULT one: where it has rows, and those ahead. */
async function readCells(
  session: Session,
  { set, policy, grid }: Pick<SplitSituation, 'set' | 'policy' | 'grid'>,
  wide: TableModel,
  least: Position | null,
  now: bigint,
): Promise<Cell[]> {
  const { kind } = policy
  const spans = set.partitions.flatMap(({ range }) => (range === null ? [] : [range]))
  const greatest = await lookWithin(session, LOOKING_MS, () => readGreatest(session, wide.name, policy.column, null))
  const head = greatest === 'unknown' || greatest === undefined ? null : fromText(kind, greatest.key)
  const ahead = missingRunway(set, policy, { now, head, idRate: null })
  const end = ahead.at(-1)?.to ?? spans.at(-1)?.to ?? least
  if (set.key === null || least === null || end === null) return ahead
  const near = missingCells(grid, kind, spans, least, end).slice(-MOST_CELLS)
  const ranges = near.map((cell) => textRange(set, kind, cell))
  const filled = await readFilled(session, wide.name, set.key, ranges, LOOKING_MS)
  return near.filter((cell, i) => filled === 'unknown' || filled.has(i) || ahead.some(({ from }) => from === cell.from))
}

/** How long a plan may scan for the first kept row without an index. */
const LOOKING_MS = 20_000

async function readLeastKept(
  session: Session,
  wide: TableModel,
  { column, kind }: SetPolicy,
  window: KeepWindow | null,
): Promise<Position | null> {
  if (window !== null) {
    const found = await lookWithin(session, LOOKING_MS, () => readLeast(session, wide.name, column, window.condition))
    if (found !== 'unknown') return found === undefined ? null : fromText(kind, found)
    if (window.from !== null) return window.from
  }
  const { min } = await readKey(session, wide, column)
  return min === null ? null : fromText(kind, min)
}

function noneWider(set: PartitionedTable): NothingLeft {
  return new NothingLeft(
    `no partition of ${display(set.name)} is wider than the others`,
    'Pass the partition to split, or a narrower --every.',
  )
}

function notASet(name: TableName): UsageError {
  return new UsageError(
    `${display(name)} is not partitioned by range on a single column that can be a key`,
    'Convert it first: ebb partition.',
  )
}

function notById(set: PartitionedTable): UsageError {
  return new UsageError(
    `${display(set.name)} is partitioned by time, so a width in ids is not possible`,
    'Pass the width as an interval of time: --every month.',
  )
}

function noRate(set: PartitionedTable): UsageError {
  return new UsageError(
    `the rate of new ids in ${display(set.name)} is unknown`,
    'Pass the width in ids: --every 1000000.',
  )
}
