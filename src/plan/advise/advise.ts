import type { ReferenceGraph } from '../../catalog/references/reference-graph.ts'
import type { Interval } from '../../grid/interval.ts'
import { displayInterval } from '../../grid/interval.ts'
import { display, type TableName } from '../../sql/names.ts'
import { describeReading } from '../table/condition-objections.ts'
import { primaryKeyChanges, type KeyAdvice } from './key-advice.ts'
import { privilegeObjections } from '../table/privilege-objections.ts'
import { adviseAround, indexesFirst, missingIndexes, secondsOf } from './purge-advice.ts'
import { planRebuild, type RebuildSituation } from '../copy/rebuild.ts'
import { serverObjections } from '../table/server-objections.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { Objection } from '../language/step.ts'
import { kindObjection, tableObjections } from '../table/table-objections.ts'
import { showBytes, showCount } from '../../text/units.ts'
import { attachCosts, copyCosts, purgeCosts, type Quantities, type WayCosts } from './way-costs.ts'
import {
  attachEffects,
  partitionCopyEffects,
  purgeEffects,
  rebuildEffects,
  removedRows,
  type WayEffects,
} from './way-effects.ts'

// Which way suits a table that holds more than it should: partition it, rebuild
// it, or delete from it. Advice: what a way really does is in its own plan.

/** What is to be asked of the table. */
export type Wish =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'condition'; readonly written: string }
  | { readonly kind: 'older'; readonly than: Interval; readonly column: string; readonly written: string }

export interface WaysSituation {
  readonly wish: Wish
  /** Everything a rebuild around the kept rows depends on. */
  readonly rebuild: RebuildSituation
  /** Of the table now, by the same estimate as the kept ones. */
  readonly rows: number
  /** What refers to its rows. */
  readonly graph: ReferenceGraph
  /** Keys to partition by, the best first. */
  readonly keys: readonly KeyAdvice[]
}

export type WayName = 'partition' | 'partition by copying' | 'rebuild' | 'purge'

/** One way, what it costs and what it means. */
export interface Way extends WayEffects {
  readonly name: WayName
  readonly what: string
  /** `chosen`: the one to take. `does not fit`: it cannot express the wish. */
  readonly verdict: 'chosen' | 'possible' | 'obstructed' | 'does not fit'
  readonly costs: WayCosts
  readonly obstacles: readonly Objection[]
  /** What is to be done before, where it pays. */
  readonly first: readonly string[]
  readonly command: string
}

export interface WaysAdvice {
  readonly table: TableName
  readonly rows: number
  readonly keptRows: number
  /** With indexes and TOAST. */
  readonly bytes: number
  /** The rows worth keeping, with now() fixed; null for all. */
  readonly kept: string | null
  /** Under which settings that is read, where it may matter. */
  readonly reading: readonly string[]
  readonly ways: readonly Way[]
  readonly chosen: WayName | null
  readonly why: string
}

/** Compares the ways, and says which to take and why. Pure. */
export function adviseWays(situation: WaysSituation): WaysAdvice {
  const { rebuild, rows } = situation
  const { table, keptRows, predicate, condition } = rebuild
  const ways = waysFor(situation)
  const { chosen, why } = choose(situation, ways)
  const { heap, toast, indexes } = table.size
  return {
    table: table.name,
    rows,
    keptRows,
    bytes: heap + toast + indexes,
    kept: predicate?.text ?? null,
    reading: describeReading(condition),
    ways: ways.map((way) => (way.name === chosen ? { ...way, verdict: 'chosen' } : way)),
    chosen,
    why,
  }
}

/** Of tables only: of a view or a partitioned table there is nothing to compare. */
function waysFor(situation: WaysSituation): Way[] {
  const { rebuild } = situation
  if (kindObjection(rebuild.table) !== undefined) return []
  return [...partitionWays(situation), rebuildWay(situation), ...purgeWays(situation)]
}

function quantitiesOf({ rebuild: { table, keptRows }, rows }: WaysSituation): Quantities {
  return { table, rows, keptRows }
}

// ---- the ways ----------------------------------------------------------------------

function partitionWays(situation: WaysSituation): Way[] {
  const [key] = situation.keys
  if (key === undefined) return []
  const { table } = situation.rebuild
  const quantities = quantitiesOf(situation)
  const obstacles = conversionObjections(situation, key)
  const fits = situation.wish.kind !== 'condition'
  const verdict = !fits ? 'does not fit' : obstacles.length > 0 ? 'obstructed' : 'possible'
  const attach: Way = {
    name: 'partition',
    what: `by ${key.by}, ${key.every} wide, without moving a row: what is there now goes as a whole when the last of it has expired`,
    verdict,
    costs: attachCosts(quantities, key.expireBy === null && primaryKeyChanges(table, key.by)),
    ...attachEffects(table, key),
    obstacles,
    first: [],
    command: [key.command, ...keepWords(situation.wish)].join(' '),
  }
  if (!fits || removedRows(quantities) === 0) return [attach]
  return [
    attach,
    {
      name: 'partition by copying',
      what: `by ${key.by}, ${key.every} wide: the rows worth keeping are copied into partitions, the others left out at once`,
      verdict,
      costs: copyCosts(quantities),
      ...partitionCopyEffects(table, key, quantities),
      obstacles,
      first: [],
      command: [key.command, '--method copy', ...keepWords(situation.wish), '--no-archive'].join(' '),
    },
  ]
}

function conversionObjections({ rebuild }: WaysSituation, key: KeyAdvice): Objection[] {
  const { server, journalSchema, table, privileges } = rebuild
  return [
    ...serverObjections(server, journalSchema),
    ...privilegeObjections(table, privileges, server.role),
    ...tableObjections(table),
    ...key.obstacles,
  ]
}

function keepWords(wish: Wish): string[] {
  return wish.kind === 'older' ? ['--keep', shellWord(displayInterval(wish.than))] : []
}

function rebuildWay(situation: WaysSituation): Way {
  const { rebuild, wish } = situation
  const quantities = quantitiesOf(situation)
  const keep = wish.kind === 'nothing' ? null : wish.written
  const request = { keep, transport: 'auto', jobs: 1, noArchive: true, retireAfter: null } as const
  const { objections } = planRebuild(rebuild, request)
  const words = keep === null ? '--keep-all' : `--keep ${shellWord(keep)} --no-archive`
  return {
    name: 'rebuild',
    what:
      keep === null
        ? 'with all its rows: only the space of those that are gone already is given back'
        : 'a new table with the rows worth keeping takes its place, and stays a plain one',
    verdict: objections.length > 0 ? 'obstructed' : 'possible',
    costs: copyCosts(quantities),
    ...rebuildEffects(rebuild.table, quantities),
    obstacles: objections,
    first: [],
    command: `ebb rebuild ${shellWord(display(rebuild.table.name))} ${words}`,
  }
}

/** Where nothing is to be removed there is nothing to purge. */
function purgeWays(situation: WaysSituation): Way[] {
  const { rebuild, graph, wish } = situation
  if (wish.kind === 'nothing') return []
  const { table, server, journalSchema } = rebuild
  const quantities = quantitiesOf(situation)
  const around = adviseAround(graph)
  const missing = missingIndexes(around, removedRows(quantities))
  const costs = purgeCosts(quantities, secondsOf(missing))
  const obstacles = serverObjections(server, journalSchema)
  return [
    {
      name: 'purge',
      what: 'rows are deleted in small batches; the space is used again by rows to come, and not given back',
      verdict: obstacles.length > 0 ? 'obstructed' : 'possible',
      costs,
      ...purgeEffects(quantities, around, missing, costs),
      obstacles,
      first: indexesFirst(quantities, missing),
      command: [
        `ebb purge ${shellWord(display(table.name))} --where ${shellWord(othersOf(rebuild, wish))} --no-archive`,
        ...around.words,
      ].join(' '),
    },
  ]
}

/** The rows that a rebuild would leave out. A condition that is null for a row does not keep it, and `not (…)` passes over it. */
function othersOf({ table }: RebuildSituation, wish: Exclude<Wish, { kind: 'nothing' }>): string {
  const sure = wish.kind === 'older' && table.columns.some(({ name, notNull }) => name === wish.column && notNull)
  return sure ? `not (${wish.written})` : `(${wish.written}) is not true`
}

// ---- the choice ---------------------------------------------------------------------

interface Choice {
  readonly chosen: WayName | null
  readonly why: string
}

/** Above it, waiting for the history to expire as a whole would keep too much for too long. */
const MANY = 0.3

function choose(situation: WaysSituation, ways: readonly Way[]): Choice {
  const kind = kindObjection(situation.rebuild.table)
  if (kind !== undefined) return { chosen: null, why: `${kind.what}. ${kind.fix}` }
  const isOpen = (name: WayName) => ways.some((way) => way.name === name && way.verdict === 'possible')
  switch (situation.wish.kind) {
    case 'nothing':
      return withoutWish(isOpen)
    case 'older':
      return byAge(situation, ways, isOpen)
    case 'condition':
      return byCondition(situation, ways, isOpen)
  }
}

function withoutWish(isOpen: (name: WayName) => boolean): Choice {
  if (isOpen('partition'))
    return {
      chosen: 'partition',
      why: 'nothing is to be removed now; once it is partitioned, removing what has expired is dropping a partition. Say --older-than or --keep to compare what removing rows now would cost.',
    }
  return {
    chosen: null,
    why: 'it cannot be partitioned as it is, and nothing was said of what is to be removed: say --keep <condition>, or --older-than <interval>.',
  }
}

function byAge(situation: WaysSituation, ways: readonly Way[], isOpen: (name: WayName) => boolean): Choice {
  const share = removedShare(situation)
  const removed = showCount(removedRows(quantitiesOf(situation)))
  if (isOpen('partition') && (share < MANY || !isOpen('partition by copying')))
    return {
      chosen: 'partition',
      why: `${share === 0 ? 'none' : `only ${percent(share)}`} of the rows have expired, which is not worth copying the others: nothing is moved, and from now on what expires goes with its partition.`,
    }
  if (isOpen('partition by copying'))
    return {
      chosen: 'partition by copying',
      why: `${percent(share)} of the rows (${removed}) have expired: one pass leaves them out and gives ${showBytes(freed(ways, 'partition by copying'))} back, and from then on what expires goes with its partition. To move nothing now, partition by attaching, and ebb split later.`,
    }
  if (isOpen('rebuild'))
    return {
      chosen: 'rebuild',
      why: `it cannot be partitioned as it is (see what is in the way), and ${percent(share)} of the rows have expired. It will have to be done again when as many have.`,
    }
  return isOpen('purge') ? lastResort(share) : NOTHING_OPEN
}

function byCondition(situation: WaysSituation, ways: readonly Way[], isOpen: (name: WayName) => boolean): Choice {
  const share = removedShare(situation)
  if (!isOpen('rebuild')) return isOpen('purge') ? lastResort(share) : NOTHING_OPEN
  const [rebuilding, deleting] = [walOf(ways, 'rebuild'), walOf(ways, 'purge')]
  const compared = `WAL: about ${showBytes(rebuilding)} by rebuilding, ${showBytes(deleting)} by deleting and vacuuming`
  if (deleting < rebuilding && isOpen('purge'))
    return {
      chosen: 'purge',
      why: `${percent(share)} of the rows go, by a condition that partitions cannot express. Deleting them in batches is cheaper than writing the others anew (${compared}); it gives no space back, which rebuilding would.`,
    }
  return {
    chosen: 'rebuild',
    why: `${percent(share)} of the rows go, by a condition that partitions cannot express. Writing the others anew is cheaper than deleting these (${compared}), and gives ${showBytes(freed(ways, 'rebuild'))} back.`,
  }
}

function lastResort(share: number): Choice {
  return {
    chosen: 'purge',
    why: `it can neither be partitioned nor rebuilt as it is (see what is in the way), and deleting in batches can be done to any table. ${percent(share)} of the rows go; no space is given back, but used again.`,
  }
}

const NOTHING_OPEN: Choice = {
  chosen: null,
  why: 'each way has something in its way; the ways out are in the plan of the command.',
}

function removedShare(situation: WaysSituation): number {
  return situation.rows === 0 ? 0 : removedRows(quantitiesOf(situation)) / situation.rows
}

function percent(share: number): string {
  return `${share > 0 && share < 0.01 ? 'less than 1' : Math.round(100 * share)} %`
}

function freed(ways: readonly Way[], name: WayName): number {
  return ways.find((way) => way.name === name)?.costs.freedBytes ?? 0
}

function walOf(ways: readonly Way[], name: WayName): number {
  return ways.find((way) => way.name === name)?.costs.walBytes ?? 0
}
