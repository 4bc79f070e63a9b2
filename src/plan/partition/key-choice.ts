import { calendarKind } from '../../catalog/table/calendar-kind.ts'
import { isKeyType, plainType, type IdSample, type KeyModel } from '../../catalog/table/key-model.ts'
import { EbbError } from '../../errors.ts'
import type { Grid } from '../../grid/grid.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { epochUnitOf, fromText, positionOf, type KeyKind, type Position } from '../../grid/key.ts'
import { plus } from '../../grid/grid.ts'
import { roundWidth } from '../../grid/width.ts'
import { objection } from '../language/objection.ts'
import type { PartitionRequest } from '../language/policy.ts'
import type { Objection } from '../language/step.ts'

/** A column read as a key: what its values mean, and the grid its partitions follow. */
export interface KeyChoice {
  readonly column: string
  readonly type: string
  readonly kind: KeyKind
  readonly grid: Grid
  readonly timezone: string
  /** Where the rows are: null in an empty table. */
  readonly min: Position | null
  readonly max: Position | null
  /** Where new rows go: the clock, or the greatest id there is or that has been handed out. */
  readonly head: Position
  /** Ids per microsecond, of a table partitioned by id whose rate is known. */
  readonly idRate: number | null
  readonly evidence: readonly string[]
}

export interface KeyEvidence {
  readonly key: KeyModel
  /** Pairs of id and time, for a table partitioned by id. */
  readonly samples: readonly IdSample[]
  /** The latest number of the column's sequence. */
  readonly handedOut: bigint | null
  /** The server's clock, microseconds since the epoch. */
  readonly now: bigint
}

/** Reads the request and the evidence as a key, or objects. */
export function chooseKey(request: PartitionRequest, evidence: KeyEvidence): KeyChoice | Objection {
  const { key } = evidence
  if (!isKeyType(key.type)) return unsuitable(key)
  if (request.every.kind === 'ids' || request.expireBy !== null) return idKey(request, evidence)
  try {
    return timeKey(request, request.every.interval, evidence)
  } catch (error) {
    // A value before the year 1 or after 9999.
    if (error instanceof EbbError)
      return objection('key-off-calendar', `column ${key.column}: ${error.message}`, error.advice.next)
    throw error
  }
}

export function isObjection(choice: KeyChoice | Objection): choice is Objection {
  return 'fix' in choice
}

function timeKey(request: PartitionRequest, interval: Interval, { key, now }: KeyEvidence): KeyChoice | Objection {
  if (isUnbounded(key)) return infinite(key)
  const kind = timeKindOf(key)
  if (kind === null) return notTimes(key)
  const position = (text: string | null): Position | null => (text === null ? null : fromText(kind, text))
  if (kind === 'uuidv7' && [key.min, key.max].some((value) => value !== null && !isVersion7(value)))
    return notVersion7(key)
  return {
    column: key.column,
    type: key.type,
    kind,
    grid: { kind: 'time', every: interval, timezone: request.timezone },
    timezone: request.timezone,
    min: position(key.min),
    max: position(key.max),
    head: positionOf(kind, now, request.timezone),
    idRate: null,
    evidence: [describeRange(key), ...describeCorrelation(key)],
  }
}

function timeKindOf({ type, max }: KeyModel): KeyKind | null {
  if (plainType(type) === 'uuid') return 'uuidv7'
  return calendarKind(type) ?? (max === null ? null : epochUnitOf(BigInt(max)))
}

function idKey(request: PartitionRequest, { key, samples, handedOut }: KeyEvidence): KeyChoice | Objection {
  const type = plainType(key.type)
  if (type !== 'bigint' && type !== 'integer') return idsNeedIntegers(key)
  const rate = rateOf(samples)
  const disorder = outOfOrder(samples)
  if (request.expireBy !== null && disorder > samples.length / 4)
    return notGrowing(key, request.expireBy, disorder, samples.length)
  const width = request.every.kind === 'ids' ? request.every.ids : widthFor(request.every.interval, rate, samples)
  if (width === null) return unknownRate(key)
  return {
    column: key.column,
    type: key.type,
    kind: 'id',
    grid: { kind: 'id', width },
    timezone: request.timezone,
    min: key.min === null ? null : BigInt(key.min),
    max: key.max === null ? null : BigInt(key.max),
    head: greater(BigInt(key.max ?? 0), handedOut ?? 0n),
    idRate: rate,
    evidence: [describeRange(key), ...describeGrowth(request, samples, rate, width, disorder)],
  }
}

function greater(one: bigint, other: bigint): bigint {
  return one > other ? one : other
}

/** Ids per microsecond over the newer half of the samples, where the present rate shows. */
function rateOf(samples: readonly IdSample[]): number | null {
  const newer = samples.slice(Math.floor(samples.length / 2))
  const [first, last] = [newer.at(0), newer.at(-1)]
  if (first === undefined || last === undefined) return null
  const micros = BigInt(last.at) - BigInt(first.at)
  return micros <= 0n ? null : Number(BigInt(last.id) - BigInt(first.id)) / Number(micros)
}

/** How many samples have an older time than their predecessor: 0 where the id grows with time. */
function outOfOrder(samples: readonly IdSample[]): number {
  return samples.filter((sample, i) => i > 0 && BigInt(sample.at) < BigInt(samples[i - 1]?.at ?? sample.at)).length
}

function widthFor(interval: Interval, rate: number | null, samples: readonly IdSample[]): bigint | null {
  const newest = samples.at(-1)
  if (rate === null || newest === undefined) return null
  const start = BigInt(newest.at)
  const micros = plus(start, interval, 'timestamptz', 'UTC') - start
  return roundWidth(rate * Number(micros))
}

function describeRange({ column, min, max, range, indexed }: KeyModel): string {
  if (min === null || max === null) return `${column}: no rows yet`
  const how = range === 'exact' ? '' : ' by the planner’s statistics, so there may be values beyond'
  return `${column} runs from ${min} to ${max}${how}; ${indexed ? 'it leads an index' : 'no index begins with it'}`
}

function describeCorrelation({ column, correlation }: KeyModel): string[] {
  if (correlation === null) return []
  const percent = correlation.toFixed(2)
  return [
    correlation > 0.9
      ? `${column} follows the order in which rows were written (correlation ${percent}): the table is append-only by it`
      : `${column} does not follow the order of the rows (correlation ${percent}): rows arrive late or are moved`,
  ]
}

const MICROS_PER_DAY = 86_400_000_000

function describeGrowth(
  request: PartitionRequest,
  samples: readonly IdSample[],
  rate: number | null,
  width: bigint,
  disorder: number,
): string[] {
  const grows =
    request.expireBy === null || samples.length < 2
      ? []
      : [
          `${request.by} grows with ${request.expireBy}: in ${samples.length} places looked at, ${disorder === 0 ? 'it never runs backwards' : `it runs backwards ${disorder} times`}`,
        ]
  if (rate === null) return grows
  const days = Number(width) / (rate * MICROS_PER_DAY)
  const meaning = request.every.kind === 'interval' ? ` (asked for: ${displayInterval(request.every.interval)})` : ''
  return [
    ...grows,
    `at the present rate ${width} ids are about ${days < 1 ? `${(days * 24).toFixed(1)} hours` : `${days.toFixed(1)} days`}${meaning}`,
  ]
}

function isVersion7(uuid: string): boolean {
  return uuid[14] === '7'
}

function isUnbounded({ min, max }: KeyModel): boolean {
  return min === '-infinity' || max === 'infinity'
}

function unsuitable({ column, type }: KeyModel): Objection {
  return objection(
    'key-type',
    `column ${column} is of type ${type}, which cannot be a key`,
    'Choose a timestamptz, timestamp, date, bigint, integer or UUIDv7 column with --by. `ebb inspect` lists the candidates.',
  )
}

function infinite({ column }: KeyModel): Objection {
  return objection(
    'key-infinity',
    `column ${column} holds 'infinity' or '-infinity', which lies in no partition`,
    `Give those rows a real time first: update … where ${column} in ('infinity', '-infinity').`,
  )
}

function notTimes({ column, max }: KeyModel): Objection {
  return objection(
    'key-not-epoch',
    max === null
      ? `column ${column} is an integer and the table is empty, so its unit cannot be told`
      : `column ${column} is an integer whose greatest value, ${max}, is no time between 2001 and 2100 in seconds, milli-, micro- or nanoseconds`,
    `If it is an id, say how many ids a partition holds: --by ${column} --every 10000000 --expire-by <time column>.`,
  )
}

function notVersion7({ column }: KeyModel): Objection {
  return objection(
    'key-not-uuidv7',
    `column ${column} holds UUIDs that are not of version 7, so they do not grow with time`,
    'Choose a time column with --by; random UUIDs cannot be a key.',
  )
}

function idsNeedIntegers({ column, type }: KeyModel): Objection {
  return objection(
    'key-not-integer',
    `column ${column} is of type ${type}: a number of ids (--every 10000000) or --expire-by needs an integer key`,
    `Give an interval instead: --by ${column} --every month, without --expire-by.`,
  )
}

function notGrowing({ column }: KeyModel, expireBy: string, disorder: number, looked: number): Objection {
  return objection(
    'id-not-growing',
    `${column} does not grow with ${expireBy}: in ${disorder} of ${looked} places the time runs backwards, so partitions by id would never expire as a whole`,
    `Partition by time instead: --by ${expireBy} --every month.`,
  )
}

function unknownRate({ column }: KeyModel): Objection {
  return objection(
    'id-rate-unknown',
    `how many ids of ${column} make one interval cannot be told from so few rows`,
    `Say it in ids: --by ${column} --every 10000000.`,
  )
}
