import { readPartitionedTable, type PartitionedTable } from '../catalog/partitions/partitioned-table.ts'
import { calendarKind } from '../catalog/table/calendar-kind.ts'
import { readWrittenTables, type WrittenTable } from '../catalog/written-tables.ts'
import { readClock } from '../db/clock.ts'
import type { Session, Target } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { inspect, type Inspection } from '../engine/commands/inspect.ts'
import { readPatiently } from '../engine/locks/patiently.ts'
import type { EngineOptions } from '../engine/options.ts'
import { readTimezone } from '../engine/rotate/read-situation.ts'
import { retirable } from '../engine/runs/retired.ts'
import { EbbError } from '../errors.ts'
import { displayInterval } from '../grid/interval.ts'
import { fromText, isTimeKind, type Position } from '../grid/key.ts'
import { journalExists } from '../journal/journal.ts'
import { registeredSets } from '../journal/sets.ts'
import type { KeyAdvice } from '../plan/advise/key-advice.ts'
import type { SetPolicy } from '../plan/language/policy.ts'
import { describePolicy, inferPolicy } from '../plan/rotate/policy.ts'
import { sameName } from '../sql/names.ts'
import { largestAppendOnly, type FoundKey, type FoundTable, type Growth } from './first-config.ts'

type Found = Pick<FoundTable, 'key' | 'growth' | 'remarks'>

/** The largest append-only tables of a database, each with its key. Reads only. */
export async function findAppendOnly(target: Target, options: EngineOptions): Promise<FoundTable[]> {
  const tables = await readPatiently(target, 'init', options, (session) =>
    inSnapshot(session, () => readWrittenTables(session, options.journalSchema)),
  )
  // What a copy has left behind is gone before a policy would matter.
  const retired = (await retirable(target, options)).flatMap(({ retired }) => retired?.name ?? [])
  const own = tables.filter(({ name }) => !retired.some((other) => sameName(name, other)))
  const found: FoundTable[] = []
  for (const table of largestAppendOnly(own)) found.push({ ...table, ...(await lookAt(target, table, options)) })
  return found
}

/** A table that may not be looked at is named with the reason. */
async function lookAt(target: Target, table: WrittenTable, options: EngineOptions): Promise<Found> {
  try {
    return await (table.partitioned ? lookAtSet(target, table, options) : lookAtTable(target, table, options))
  } catch (error) {
    if (!(error instanceof EbbError) || !['objections', 'usage'].includes(error.kind)) throw error
    return noKey(error.message)
  }
}

function noKey(...remarks: readonly string[]): Found {
  return { key: null, growth: null, remarks }
}

// ---- a table that is not partitioned ----------------------------------------------------

async function lookAtTable(target: Target, { name }: WrittenTable, options: EngineOptions): Promise<Found> {
  const inspection = await inspect(target, name, options)
  const managed = inspection.managers.map(({ by, says }) => `managed by ${by}: ${says}`)
  const [advice] = inspection.advice
  if (advice === undefined)
    return noKey(...managed, 'no column is a time or a growing id, by which it could be partitioned')
  const obstacles = advice.obstacles.map(({ what, fix }) => `blocked: ${what}. ${fix}`)
  return {
    key: keyOf(advice),
    growth: growthOf(inspection, advice),
    remarks: [...managed, ...advice.reasons, ...obstacles, `not partitioned yet: ${advice.command}`],
  }
}

function keyOf({ by, every, expireBy }: KeyAdvice): FoundKey {
  return { by, every, expireBy, timezone: expireBy === null ? 'UTC' : null }
}

/** By the range of its times. */
function growthOf({ table, keys }: Inspection, { by, kind, expireBy }: KeyAdvice): Growth | null {
  const key = keys.find(({ column }) => column === (expireBy ?? by))
  const timeKind = expireBy === null ? kind : calendarKind(key?.type ?? '')
  if (key?.min == null || key.max === null || timeKind === null || !isTimeKind(timeKind)) return null
  const { heap, indexes, toast } = table.size
  try {
    const [from, to] = [dateOf(fromText(timeKind, key.min)), dateOf(fromText(timeKind, key.max))]
    return { from, to, rows: table.estimatedRows, bytes: heap + indexes + toast }
  } catch (error) {
    if (error instanceof EbbError) return null // infinity is a time, too
    throw error
  }
}

function dateOf(position: Position): Date {
  return new Date(Number(position / 1000n))
}

// ---- a table that is partitioned --------------------------------------------------------

async function lookAtSet(target: Target, { name }: WrittenTable, options: EngineOptions): Promise<Found> {
  return readPatiently(target, 'init', options, (session) =>
    inSnapshot(session, async () => {
      const set = await readPartitionedTable(session, name)
      if (set === undefined || set.key === null)
        return noKey('not partitioned by range of a single column that is a time or an id: partitions cannot expire')
      const registered = await readRegistered(session, options.journalSchema, set)
      const inferred = registered === null ? inferPolicy(set, await readTimezone(session)) : null
      if (inferred !== null && 'fix' in inferred) return noKey(`${inferred.what}. ${inferred.fix}`)
      const policy = registered ?? inferred?.policy
      if (policy === undefined) throw new Error('it is registered, or inferred')
      const remark =
        registered === null ? 'partitioned; nothing is registered' : `registered: ${describePolicy(policy)}`
      return { key: keyOfSet(policy), growth: growthOfSet(set, await readClock(session)), remarks: [remark] }
    }),
  )
}

async function readRegistered(session: Session, schema: string, { name }: PartitionedTable): Promise<SetPolicy | null> {
  if (!(await journalExists(session, schema))) return null
  return (await registeredSets(session, schema, name))[0]?.policy ?? null
}

function keyOfSet({ column, every, timezone, expireBy }: SetPolicy): FoundKey {
  const width = every.kind === 'ids' ? String(every.ids) : displayInterval(every.interval)
  return { by: column, every: width, expireBy, timezone: every.kind === 'ids' ? null : timezone }
}

/** By the partitions that are complete: from the first with rows to now. */
function growthOfSet({ key, partitions }: PartitionedTable, now: Position): Growth | null {
  if (key === null || !isTimeKind(key.kind)) return null
  const complete = partitions.flatMap(({ range, empty, bytes, estimatedRows }) =>
    empty || range?.from == null || range.to === null || range.to > now
      ? []
      : [{ from: range.from, to: range.to, bytes, rows: estimatedRows }],
  )
  const [first, last] = [complete.at(0), complete.at(-1)]
  if (first === undefined || last === undefined) return null
  return {
    from: dateOf(first.from),
    to: dateOf(last.to),
    bytes: complete.reduce((sum, { bytes }) => sum + bytes, 0),
    rows: complete.reduce<number | null>((sum, { rows }) => (sum === null || rows === null ? null : sum + rows), 0),
  }
}
