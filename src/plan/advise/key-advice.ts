import type { IdSample, KeyModel } from '../../catalog/table/key-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Interval } from '../../grid/interval.ts'
import { displayInterval } from '../../grid/interval.ts'
import type { KeyKind, Position } from '../../grid/key.ts'
import { display } from '../../sql/names.ts'
import { chooseKey, isObjection, type KeyChoice } from '../partition/key-choice.ts'
import { keyColumn, primaryKeyObjections, uniquenessObjections, upsertObjections } from '../table/objections/key.ts'
import type { PartitionRequest } from '../language/policy.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { Objection } from '../language/step.ts'
import { showBytes } from '../../text/units.ts'

// Recommends a key for a table. There are two options: by time, where a partition is an interval of time and the
// primary key must include the time; and by id with expiry by time, where the primary key stays, and with it
// everything that relies on the id being unique. The second changes least, so it comes first if anything relies on
// it; otherwise the first, because queries select by time.

/** A candidate column, with what is known about it. */
export interface KeyCandidate {
  readonly key: KeyModel
  /** The expiry column, for an id; null for a time. */
  readonly expireBy: string | null
  /** Sampled pairs of id and time, for an id. */
  readonly samples: readonly IdSample[]
}

export interface AdviceSituation {
  readonly table: TableModel
  readonly candidates: readonly KeyCandidate[]
  /** Statements with ON CONFLICT on this table; null if unknown. */
  readonly upserts: readonly string[] | null
  /** The server's clock, microseconds since the epoch. */
  readonly now: bigint
}

export interface KeyAdvice {
  readonly by: string
  readonly kind: KeyKind | null
  readonly expireBy: string | null
  /** The recommended width of a partition, as an option. */
  readonly every: string
  /** `recommended`: the first in the list, without objections. `obstructed`: with objections. */
  readonly verdict: 'recommended' | 'possible' | 'obstructed'
  readonly reasons: readonly string[]
  readonly obstacles: readonly Objection[]
  readonly command: string
}

/** The candidate keys, best first, without columns that are neither a time nor a growing id. */
export function adviseKeys(situation: AdviceSituation): KeyAdvice[] {
  const considered = situation.candidates
    .flatMap((candidate) => consider(situation, candidate))
    .sort((a, b) => compareRanks(a.rank, b.rank))
  return considered.map(({ advice }, position) => ({
    ...advice,
    verdict: advice.obstacles.length > 0 ? 'obstructed' : position === 0 ? 'recommended' : 'possible',
  }))
}

/** Whether its values come from a sequence: then it is not a time, even if its numbers look like one. */
function isNumbered(table: TableModel, column: string): boolean {
  return table.sequences.some((sequence) => sequence.column === column)
}

interface Considered {
  readonly advice: Omit<KeyAdvice, 'verdict'>
  readonly rank: readonly number[]
}

function consider(situation: AdviceSituation, candidate: KeyCandidate): Considered[] {
  const { table } = situation
  if (candidate.expireBy === null && isNumbered(table, candidate.key.column)) return []
  const interval = suitableInterval(situation, candidate)
  const choice = choose(situation, candidate, interval)
  if (isObjection(choice))
    return NO_KEY_AT_ALL.has(choice.code) ? [] : [objected(situation, candidate, interval, choice)]

  const width = choice.grid.kind === 'id' ? withUnderscores(choice.grid.width) : displayInterval(interval)
  const obstacles = obstaclesTo(situation, candidate)
  return [
    {
      advice: {
        by: candidate.key.column,
        kind: choice.kind,
        expireBy: candidate.expireBy,
        every: width,
        reasons: [...choice.evidence, ...describeSize(table, choice), ...whatItMeans(situation, candidate)],
        obstacles,
        command: commandFor(table, candidate, width),
      },
      rank: rankOf(situation, candidate, obstacles),
    },
  ]
}

/** Columns that cannot be a key: they are not times, or random. */
const NO_KEY_AT_ALL = new Set(['key-type', 'key-not-epoch', 'key-not-uuidv7'])

function objected(
  { table }: AdviceSituation,
  candidate: KeyCandidate,
  interval: Interval,
  objection: Objection,
): Considered {
  const every = displayInterval(interval)
  const { column } = candidate.key
  return {
    advice: {
      by: column,
      kind: null,
      expireBy: candidate.expireBy,
      every,
      reasons: [],
      obstacles: [objection],
      command: commandFor(table, candidate, every),
    },
    rank: [2],
  }
}

function choose({ now }: AdviceSituation, candidate: KeyCandidate, interval: Interval): KeyChoice | Objection {
  const { key, expireBy, samples } = candidate
  const request: PartitionRequest = {
    by: key.column,
    every: { kind: 'interval', interval },
    expireBy,
    keep: null,
    premake: null,
    timezone: 'UTC',
    accept: [],
  }
  return chooseKey(request, { key, samples, handedOut: null, now })
}

function obstaclesTo({ table, upserts }: AdviceSituation, { key: { column } }: KeyCandidate): Objection[] {
  const asColumn = keyColumn(table, column)
  const idColumn = singlePrimaryKey(table)
  return [
    ...('fix' in asColumn ? [asColumn] : []),
    ...uniquenessObjections(table, column),
    ...(primaryKeyChanges(table, column)
      ? [...primaryKeyObjections(table, column, idColumn), ...upsertObjections(upserts ?? [], column, idColumn)]
      : []),
  ]
}

/** Whether the primary key has to include the column. */
export function primaryKeyChanges(table: TableModel, column: string): boolean {
  const primary = table.constraints.find(({ type }) => type === 'primary key')
  return primary !== undefined && !primary.columns.includes(column)
}

/** The only column of the primary key; null if there are several, or none. */
export function singlePrimaryKey(table: TableModel): string | null {
  const primary = table.constraints.find(({ type }) => type === 'primary key')
  return primary?.columns.length === 1 ? (primary.columns[0] ?? null) : null
}

// ---- which comes first -----------------------------------------------------------

/** Smaller is better; the first difference decides. */
function rankOf(
  situation: AdviceSituation,
  { key, expireBy }: KeyCandidate,
  obstacles: readonly Objection[],
): number[] {
  const isPreferredWay = (expireBy !== null) === idIsReliedOn(situation)
  return [
    obstacles.length === 0 ? 0 : 1,
    isPreferredWay ? 0 : 1,
    obstacles.length,
    // Rounded to a tenth: 0.99 and 1.00 count as equal, and the index decides.
    -Math.round(10 * (key.correlation ?? 0)),
    key.indexed ? 0 : 1,
  ]
}

function idIsReliedOn({ table, upserts }: AdviceSituation): boolean {
  return table.inboundForeignKeys.length > 0 || (upserts ?? []).length > 0
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

// ---- how wide ----------------------------------------------------------------------

const MICROS_PER_DAY = 86_400_000_000
const DAYS: readonly (readonly [Interval, days: number])[] = [
  [{ count: 1, unit: 'month' }, 30],
  [{ count: 1, unit: 'week' }, 7],
  [{ count: 1, unit: 'day' }, 1],
]

/** With fewer partitions than this over the range of the rows, retention would remove too much at once. */
const FEWEST_PARTITIONS = 8
/** A larger partition takes long to vacuum, to archive and to index. */
const LARGEST_BYTES = 20e9

/** The widest of month, week and day that gives enough partitions, none too large. */
function suitableInterval(situation: AdviceSituation, candidate: KeyCandidate): Interval {
  const month = DAYS[0]?.[0] ?? { count: 1, unit: 'month' }
  const days = spanInDays(situation, candidate, month)
  if (days === null) return month
  const bytesPerDay = sizeOf(situation.table) / days
  const fits = DAYS.find(([, length]) => days / length >= FEWEST_PARTITIONS && bytesPerDay * length <= LARGEST_BYTES)
  return fits?.[0] ?? { count: 1, unit: 'day' }
}

function spanInDays(situation: AdviceSituation, candidate: KeyCandidate, interval: Interval): number | null {
  const [first, last] = [candidate.samples.at(0), candidate.samples.at(-1)]
  if (first !== undefined && last !== undefined) return days(BigInt(first.at), BigInt(last.at))
  const choice = choose(situation, candidate, interval)
  if (isObjection(choice) || choice.kind === 'id' || choice.min === null || choice.max === null) return null
  return days(choice.min, choice.max)
}

function days(from: Position, to: Position): number {
  return Math.max(Number(to - from) / MICROS_PER_DAY, 1 / 24)
}

function sizeOf({ size }: TableModel): number {
  return size.heap + size.indexes + size.toast
}

function describeSize(table: TableModel, { grid, min, max }: KeyChoice): string[] {
  if (min === null || max === null || max <= min) return []
  const [, length] = DAYS.find(([{ unit }]) => grid.kind === 'time' && grid.every.unit === unit) ?? []
  const width = grid.kind === 'id' ? Number(grid.width) : (length ?? 30) * MICROS_PER_DAY
  const share = Math.min(width / Number(max - min), 1)
  return [`a partition of that width holds about ${showBytes(sizeOf(table) * share)}`]
}

// ---- texts --------------------------------------------------------------------------

function whatItMeans({ table, upserts }: AdviceSituation, { key: { column }, expireBy }: KeyCandidate): string[] {
  if (expireBy !== null) {
    const references = table.inboundForeignKeys.map(({ name }) => name)
    const others = references.length === 0 ? '' : `, and so do foreign keys of other tables (${references.join(', ')})`
    return [
      `the primary key and ON CONFLICT (${column}) stay as they are${others}`,
      `a query by ${expireBy} alone scans every partition; one by ${column} scans one`,
    ]
  }
  const changes = primaryKeyChanges(table, column)
  return [
    `a query by ${column} scans only the partitions it needs, and whole partitions expire by it`,
    changes
      ? `the primary key has to include ${column}; ${upserts === null ? 'whether ON CONFLICT is used on it is unknown, because pg_stat_statements cannot be read' : 'no ON CONFLICT on it was found'}`
      : 'the primary key stays as it is',
  ]
}

function commandFor(table: TableModel, { key, expireBy }: KeyCandidate, every: string): string {
  const expiry = expireBy === null ? [] : ['--expire-by', expireBy]
  const words = ['ebb', 'partition', display(table.name), '--by', key.column, '--every', every, ...expiry]
  return words.map(shellWord).join(' ')
}

function withUnderscores(width: bigint): string {
  return width.toString().replace(/\B(?=(\d{3})+$)/g, '_')
}
