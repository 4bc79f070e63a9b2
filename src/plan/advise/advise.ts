import type { ReferenceGraph } from '../../catalog/references/reference-graph.ts'
import type { Interval } from '../../grid/interval.ts'
import { displayInterval } from '../../grid/interval.ts'
import { display, type TableName } from '../../sql/names.ts'
import { describeReading } from '../table/objections/condition.ts'
import { primaryKeyChanges, type KeyAdvice } from './key-advice.ts'
import { privilegeObjections } from '../table/objections/privilege.ts'
import { adviseAround, indexesFirst, missingIndexes, secondsOf } from './purge-advice.ts'
import { planRebuild, type RebuildSituation } from '../copy/rebuild.ts'
import { serverObjections } from '../table/objections/server.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { Objection } from '../language/step.ts'
import { kindObjection, tableObjections } from '../table/objections/table.ts'
import { showBytes, showCount } from '../../text/units.ts'
import { attachCosts, copyCosts, purgeCosts, type Quantities, type WayCosts } from './way-costs.ts'
import {
  attachEffects,
  partitionCopyEffects,
  purgeEffects,
  rebuildEffects,
  removedRows,
  repackInstead,
  type WayEffects,
} from './way-effects.ts'

// Recommends how to remove old rows from a table: partition it, rebuild it, or delete from it. The details are in the
// plan of each command.

/** The request. */
export type Wish =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'condition'; readonly written: string }
  | { readonly kind: 'older'; readonly than: Interval; readonly column: string; readonly written: string }

export interface WaysSituation {
  readonly wish: Wish
  /** Everything a rebuild with the kept rows depends on. */
  readonly rebuild: RebuildSituation
  /** Rows of the table, and those to keep, as the planner estimates: without statistics it assumes some from the table's size. */
  readonly rows: number
  readonly keptRows: number
  /** The foreign keys that reference its rows. */
  readonly graph: ReferenceGraph
  /** Keys to partition by, best first. */
  readonly keys: readonly KeyAdvice[]
}

export type WayName = 'partition' | 'partition by copying' | 'rebuild' | 'purge'

/** A method with its costs and effects. */
export interface Way extends WayEffects {
  readonly name: WayName
  readonly what: string
  /** `chosen`: the recommended one. `does not fit`: it cannot express the request. */
  readonly verdict: 'chosen' | 'possible' | 'obstructed' | 'does not fit'
  readonly costs: WayCosts
  readonly obstacles: readonly Objection[]
  /** What to do first, if it pays. */
  readonly first: readonly string[]
  readonly command: string
}

export interface WaysAdvice {
  readonly table: TableName
  readonly rows: number
  readonly keptRows: number
  /** Otherwise these are guesses. */
  readonly analyzed: boolean
  /** With indexes and TOAST. */
  readonly bytes: number
  /** The rows to keep, with now() fixed; null for all. */
  readonly kept: string | null
  /** The settings it is evaluated under, if they may matter. */
  readonly reading: readonly string[]
  readonly ways: readonly Way[]
  readonly chosen: WayName | null
  readonly why: string
}

/** Compares the methods, and recommends one with a reason. Pure. */
export function adviseWays(situation: WaysSituation): WaysAdvice {
  const { rebuild, rows, keptRows } = situation
  const { table, predicate, condition } = rebuild
  const ways = waysFor(situation)
  const { chosen, why } = choose(situation, ways)
  const { heap, toast, indexes } = table.size
  return {
    table: table.name,
    rows,
    keptRows,
    analyzed: table.estimatedRows !== null,
    bytes: heap + toast + indexes,
    kept: predicate?.text ?? null,
    reading: describeReading(condition),
    ways: ways.map((way) => (way.name === chosen ? { ...way, verdict: 'chosen' } : way)),
    chosen,
    why,
  }
}

/** For plain tables only: for a view or a partitioned table there is nothing to compare. */
function waysFor(situation: WaysSituation): Way[] {
  const { rebuild } = situation
  if (kindObjection(rebuild.table) !== undefined) return []
  return [...partitionWays(situation), rebuildWay(situation), ...purgeWays(situation)]
}

function quantitiesOf({ rebuild: { table }, rows, keptRows }: WaysSituation): Quantities {
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
    what: `by ${key.by}, ${key.every} wide, without moving a row: the existing rows are dropped together when the last of them has expired`,
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
      what: `by ${key.by}, ${key.every} wide: the rows to keep are copied into partitions, the others are left out`,
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
    ...tableObjections(table, server),
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
  const request = { keep, transport: 'auto', jobs: 'auto', noArchive: true, retireAfter: null } as const
  const { objections } = planRebuild(rebuild, request)
  const { table, server } = rebuild
  const effects = rebuildEffects(table, quantities)
  const words = keep === null ? '--keep-all' : `--keep ${shellWord(keep)} --no-archive`
  return {
    name: 'rebuild',
    what:
      keep === null
        ? 'with all its rows: only the space of rows already deleted is freed'
        : 'replaced by a new plain table with the rows to keep',
    verdict: objections.length > 0 ? 'obstructed' : 'possible',
    costs: copyCosts(quantities),
    ...effects,
    application:
      keep === null ? [...repackInstead(table, server.version), ...effects.application] : effects.application,
    obstacles: objections,
    first: [],
    command: `ebb rebuild ${shellWord(display(table.name))} ${words}`,
  }
}

/** Without rows to remove there is nothing to purge. */
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
      what: 'rows are deleted in small batches; their space is reused for new rows, not returned to the operating system',
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

/**
 * The rows that a rebuild would leave out. If the condition is null for a row, the row is not kept, but `not (…)`
 * does not match it.
 */
function othersOf({ table }: RebuildSituation, wish: Exclude<Wish, { kind: 'nothing' }>): string {
  const sure = wish.kind === 'older' && table.columns.some(({ name, notNull }) => name === wish.column && notNull)
  return sure ? `not (${wish.written})` : `(${wish.written}) is not true`
}

// ---- the choice ---------------------------------------------------------------------

interface Choice {
  readonly chosen: WayName | null
  readonly why: string
}

/** Above this share, waiting for the history partition to expire would keep too many rows for too long. */
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
      why: 'no rows are to be removed now; once partitioned, expired rows are removed by dropping a partition. Pass --older-than or --keep to compare the cost of removing rows now.',
    }
  return {
    chosen: null,
    why: 'it cannot be partitioned as it is, and no rows to remove were given: pass --keep <condition>, or --older-than <interval>.',
  }
}

function byAge(situation: WaysSituation, ways: readonly Way[], isOpen: (name: WayName) => boolean): Choice {
  const share = removedShare(situation)
  const removed = showCount(removedRows(quantitiesOf(situation)))
  if (isOpen('partition') && (share < MANY || !isOpen('partition by copying')))
    return {
      chosen: 'partition',
      why: `${share === 0 ? 'none' : `only ${percent(share)}`} of the rows have expired, too few to justify copying the others: no row is moved, and from now on expired rows are dropped with their partition.`,
    }
  if (isOpen('partition by copying'))
    return {
      chosen: 'partition by copying',
      why: `${percent(share)} of the rows (${removed}) have expired: one pass leaves them out and frees ${showBytes(freed(ways, 'partition by copying'))}; from then on expired rows are dropped with their partition. To move no rows now, partition by attaching, and run ebb split later.`,
    }
  if (isOpen('rebuild'))
    return {
      chosen: 'rebuild',
      why: `it cannot be partitioned as it is (see what blocks it), and ${percent(share)} of the rows have expired. It has to be repeated when as many rows have expired again.`,
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
      why: `${percent(share)} of the rows are removed, by a condition that partitions cannot express. Deleting them in batches is cheaper than rewriting the others (${compared}); unlike a rebuild it frees no disk space.`,
    }
  return {
    chosen: 'rebuild',
    why: `${percent(share)} of the rows are removed, by a condition that partitions cannot express. Rewriting the others is cheaper than deleting these (${compared}), and frees ${showBytes(freed(ways, 'rebuild'))}.`,
  }
}

function lastResort(share: number): Choice {
  return {
    chosen: 'purge',
    why: `it can neither be partitioned nor rebuilt as it is (see what blocks them), while deleting in batches works for any table. ${percent(share)} of the rows are removed; their space is reused, not freed.`,
  }
}

const NOTHING_OPEN: Choice = {
  chosen: null,
  why: 'every method is blocked; the plan of each command lists the fixes.',
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
