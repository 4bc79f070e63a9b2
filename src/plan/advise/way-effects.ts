import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted } from '../../sql/names.ts'
import { primaryKeyChanges, type KeyAdvice } from './key-advice.ts'
import type { AdvisedAround, MissingIndex } from './purge-advice.ts'
import { CAPTURE_MICROSECONDS } from './rates.ts'
import { showCount, showDuration } from '../../text/units.ts'
import type { Quantities, WayCosts } from './way-costs.ts'

/** The effects of a method on others. */
export interface WayEffects {
  readonly locks: readonly string[]
  readonly application: readonly string[]
  /** Consumers of changes: subscribers, change-data capture, caches, search indexes. */
  readonly consumers: readonly string[]
}

export function attachEffects(table: TableModel, key: KeyAdvice): WayEffects {
  const name = display(table.name)
  return {
    locks: [
      'ACCESS EXCLUSIVE for milliseconds, to add a CHECK and to swap; nothing is scanned or built under it',
      ...neighbourLocks(table),
    ],
    application: [
      ...keyEffects(table, key),
      'a few statements do not work on any partitioned table (https://github.com/pg-ebb/pg-ebb/blob/main/docs/limits.md)',
      `the existing rows are dropped from ${name} together, when the last of them has expired; or by ebb split`,
    ],
    consumers: ['no row is moved, so there are no events', EXPIRY_IS_SILENT, ...viaRoot(table)],
  }
}

export function partitionCopyEffects(table: TableModel, key: KeyAdvice, quantities: Quantities): WayEffects {
  const { locks, application, consumers } = rebuildEffects(table, quantities)
  return {
    locks,
    application: [
      ...keyEffects(table, key),
      'a few statements do not work on any partitioned table (https://github.com/pg-ebb/pg-ebb/blob/main/docs/limits.md)',
      ...application,
    ],
    consumers: [...consumers, EXPIRY_IS_SILENT, ...viaRoot(table)],
  }
}

export function rebuildEffects(table: TableModel, quantities: Quantities): WayEffects {
  return {
    locks: [
      'SHARE ROW EXCLUSIVE for milliseconds, to start capturing changes: writers wait that long, readers do not',
      'ACCESS EXCLUSIVE for milliseconds, to swap; the last few changes are applied under it',
      ...neighbourLocks(table),
    ],
    application: [
      `each row it changes costs about ${CAPTURE_MICROSECONDS} µs more during the run, and afterwards until ebb retire`,
      'the swap waits for transactions older than the last rows copied, because they would miss rows',
      'copied rows have a new xmin: code that uses it as a row version sees one conflict',
    ],
    consumers: [...leftOut(quantities), ...carriedOn(table)],
  }
}

/** From this version on PostgreSQL rewrites a table beside its writers by itself. */
const HAS_REPACK = 190000

/**
 * What else rewrites a table with all its rows. The figures are of release candidate 1, 2 M rows and three writers
 * (docs/compared-with-other-tools.md).
 */
export function repackInstead({ name }: TableModel, serverVersion: number): string[] {
  if (serverVersion < HAS_REPACK) return []
  return [
    `repack (concurrently) ${quoted(name).text} of PostgreSQL 19 does the same in about 0.6 of the time, but writers wait longer at its end (99 % within 330 ms, with a rebuild 86 ms), REPEATABLE READ transactions that are older find the table empty afterwards, and a lock timeout discards its work`,
  ]
}

export function purgeEffects(
  quantities: Quantities,
  { cascade }: AdvisedAround,
  missing: readonly MissingIndex[],
  costs: WayCosts,
): WayEffects {
  const along = cascade.emptied.slice(1).map(({ name }) => display(name))
  return {
    locks: ['only the rows of one batch, for about 50 ms'],
    application: [
      'triggers and cascades fire for each row; dead rows are left to vacuum, and the file keeps its size',
      ...(along.length === 0
        ? []
        : [`rows of ${along.join(', ')} that reference them are deleted as well (--cascade)`]),
      ...cascade.reasons.map(({ what }) => `rows ${what} stay`),
      ...missing.map(
        ({ walked: { reference, from, to }, seconds }) =>
          `foreign key ${reference.name} of ${display(from.name)} has no index on (${reference.pairs.map(({ referring }) => referring).join(', ')}): lookups for rows of ${display(to.name)} take ${showDuration(seconds)} of the ${showDuration(costs.seconds)}, so create one first`,
      ),
    ],
    consumers: [
      `one delete event for each of about ${showCount(removedRows(quantities))} rows: consumers see the deletes, and have to keep up`,
    ],
  }
}

export function removedRows({ rows, keptRows }: Quantities): number {
  return Math.max(0, rows - keptRows)
}

const EXPIRY_IS_SILENT =
  'partitions that are detached, truncated or dropped later emit no delete events: consumers have to expire rows themselves'

function keyEffects(table: TableModel, { by, expireBy }: KeyAdvice): string[] {
  if (expireBy !== null)
    return [`the primary key and ON CONFLICT (${by}) stay; queries by ${expireBy} alone scan every partition`]
  const primary = table.constraints.find(({ type }) => type === 'primary key')
  if (primary === undefined || !primaryKeyChanges(table, by)) return ['keys do not change']
  return [`the primary key becomes (${[...primary.columns, by].join(', ')}), and ON CONFLICT has to name these columns`]
}

function neighbourLocks(table: TableModel): string[] {
  const names = [
    ...table.views.map(({ name }) => name),
    ...table.inboundForeignKeys.map((key) => key.table),
    ...[...(table.otherRules ?? []), ...(table.otherPolicies ?? []), ...(table.otherTriggers ?? [])].map(
      ({ of }) => of,
    ),
    ...table.constraints.flatMap(({ references }) => (references === null ? [] : [references])),
  ].map(display)
  return names.length === 0 ? [] : [`for the same milliseconds also ${[...new Set(names)].join(', ')}`]
}

function leftOut(quantities: Quantities): string[] {
  const removed = removedRows(quantities)
  if (removed === 0) return ['no row is left out, and copying emits no events']
  return [
    `about ${showCount(removed)} rows that are left out emit no delete events: consumers keep them unless they delete them themselves`,
    'kept rows emit no events either',
  ]
}

function carriedOn({ publications }: TableModel): string[] {
  const names = publications.filter(({ covers }) => covers === 'table').map(({ name }) => name)
  return [
    ...(names.length === 0
      ? []
      : [`${names.join(', ')} publishes the new table from the swap on; subscribers continue without a refresh`]),
    'slots that decode all tables, published or not, see the copy as inserts into a table with another name',
  ]
}

function viaRoot({ publications }: TableModel): string[] {
  return publications.length === 0
    ? []
    : [
        `${publications.map(({ name }) => name).join(', ')} has to publish via the partition root, so that subscribers know the name`,
      ]
}
