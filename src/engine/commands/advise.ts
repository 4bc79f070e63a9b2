import { byStatistics } from '../copy/run.ts'
import { readPatiently } from '../locks/patiently.ts'
import { calendarKind } from '../../catalog/table/calendar-kind.ts'
import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { plainType } from '../../catalog/table/key-model.ts'
import { readReferenceGraph } from '../../catalog/references/reference-graph.ts'
import { readTakenNames, readPrivileges } from '../../catalog/situation.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { ObjectionsError, UsageError } from '../../errors.ts'
import type { Interval } from '../../grid/interval.ts'
import { adviseWays, type WaysAdvice, type Wish } from '../../plan/advise/advise.ts'
import type { KeyAdvice } from '../../plan/advise/key-advice.ts'
import { citusObjections } from '../../plan/table/objections/citus.ts'
import { managerObjections } from '../../plan/table/objections/manager.ts'
import { intervalText, momentLiteral } from '../../plan/language/moment.ts'
import { display } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { ident } from '../../sql/sql.ts'
import { inspect, type InspectOptions } from './inspect.ts'
import { newNameSuffix } from '../name-suffix.ts'

/** The request: a condition of the rows to keep, or their maximum age; neither, or one of them. */
export interface AdviceRequest {
  readonly keep: string | null
  readonly olderThan: Interval | null
}

/**
 * Compares partitioning, rebuilding and deleting. Reads the catalogue, the planner's estimates and the ranges of
 * keys, in READ ONLY transactions.
 *
 * @throws {ObjectionsError} for a table of TimescaleDB or Citus, which have ways of their own
 * @throws {UsageError} when the condition cannot be parsed, or no column holds a row's age
 */
export async function advise(
  target: Target,
  written: WrittenName,
  request: AdviceRequest,
  options: InspectOptions,
): Promise<WaysAdvice> {
  const { server, table, advice: keys, managers, citus } = await inspect(target, written, options)
  const managed = [
    ...managerObjections(table.name, managers).filter(({ acceptable }) => acceptable !== true),
    ...(citus === null || table.kind === 'partitioned table' ? [] : citusObjections('advise', table.name, citus)),
  ]
  if (managed.length > 0) throw new ObjectionsError(`advise on ${display(table.name)}`, { objections: managed })
  const isTable = table.kind === 'table'
  const wish = isTable ? wishOf(table, keys, request) : ({ kind: 'nothing' } as const)
  const predicate = wish.kind === 'nothing' ? null : await parsePredicate(wish.written, momentLiteral(server.now))
  return readPatiently(target, 'advise', options, (session) =>
    inSnapshot(session, async () => {
      const condition = await readCondition(session, table.name, predicate)
      const estimate = async (of: typeof predicate) => {
        const planned = isTable ? await readRowEstimate(session, table.name, of, condition.settings) : 0
        return byStatistics(table, planned) ?? planned
      }
      const rows = await estimate(null)
      const keptRows = Math.min(rows, await estimate(predicate))
      const rebuild = {
        server,
        journalSchema: options.journalSchema,
        table,
        privileges: await readPrivileges(session, table),
        predicate,
        condition,
        keptRows: byStatistics(table, keptRows),
        taken: await readTakenNames(session, table.name.schema),
        tag: newNameSuffix(),
      }
      const graph = await readReferenceGraph(session, table.name)
      return adviseWays({ wish, rebuild, rows, keptRows, graph, keys })
    }),
  )
}

function wishOf(table: TableModel, keys: readonly KeyAdvice[], { keep, olderThan }: AdviceRequest): Wish {
  if (keep !== null) return { kind: 'condition', written: keep }
  if (olderThan === null) return { kind: 'nothing' }
  const column = timeColumn(table, keys)
  if (column === undefined)
    throw new UsageError(
      `no column of ${display(table.name)} is known to hold a row’s age`,
      'Select the rows to keep by a condition instead: --keep "<condition>".',
    )
  return { kind: 'older', than: olderThan, column: column.name, written: youngerThan(olderThan, column) }
}

/** The expiry column of the best key; epochs and UUIDs have no readable condition. */
function timeColumn(table: TableModel, keys: readonly KeyAdvice[]): TableModel['columns'][number] | undefined {
  const names = keys.map(({ by, expireBy }) => expireBy ?? by)
  return names
    .map((name) => table.columns.find((column) => column.name === name))
    .find((column) => column !== undefined && calendarKind(column.type) !== null)
}

// Times without a zone count as UTC, the default of `partition`.
function youngerThan(interval: Interval, { name, type, notNull }: TableModel['columns'][number]): string {
  const column = ident(name).text
  const length = `interval '${intervalText(interval)}'`
  const since = {
    'timestamp with time zone': `now() - ${length}`,
    'timestamp without time zone': `(now() at time zone 'UTC') - ${length}`,
    date: `((now() at time zone 'UTC') - ${length})::date`,
  }[plainType(type)]
  const younger = `${column} >= ${since ?? 'null'}`
  // A row without a time does not expire.
  return notNull ? younger : `${younger} or ${column} is null`
}
