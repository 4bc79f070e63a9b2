import type { TableModel } from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import { primaryKeyChanges, type KeyAdvice } from './key-advice.ts'
import type { AdvisedAround, MissingIndex } from './purge-advice.ts'
import { CAPTURE_MICROSECONDS } from './rates.ts'
import { showCount, showDuration } from '../../text/units.ts'
import type { Quantities, WayCosts } from './way-costs.ts'

/** What a way means for everybody else. */
export interface WayEffects {
  readonly locks: readonly string[]
  readonly application: readonly string[]
  /** Those who follow the changes: subscribers, change-data capture, caches, search indexes. */
  readonly consumers: readonly string[]
}

export function attachEffects(table: TableModel, key: KeyAdvice): WayEffects {
  const name = display(table.name)
  return {
    locks: [
      'ACCESS EXCLUSIVE for milliseconds, to add a check and to swap; nothing is read or built under it',
      ...neighbourLocks(table),
    ],
    application: [
      ...keyEffects(table, key),
      'a few statements do not work on any partitioned table (docs/limits.md)',
      `the rows that are there now leave ${name} together, when the last of them has expired; or by ebb split`,
    ],
    consumers: ['no row is moved, so there is no event', EXPIRY_IS_SILENT, ...viaRoot(table)],
  }
}

export function partitionCopyEffects(table: TableModel, key: KeyAdvice, quantities: Quantities): WayEffects {
  const { locks, application, consumers } = rebuildEffects(table, quantities)
  return {
    locks,
    application: [
      ...keyEffects(table, key),
      'a few statements do not work on any partitioned table (docs/limits.md)',
      ...application,
    ],
    consumers: [...consumers, EXPIRY_IS_SILENT, ...viaRoot(table)],
  }
}

export function rebuildEffects(table: TableModel, quantities: Quantities): WayEffects {
  return {
    locks: [
      'SHARE ROW EXCLUSIVE for milliseconds, to begin catching changes: writers wait that long, readers do not',
      'ACCESS EXCLUSIVE for milliseconds, to swap; the last few changes are caught up with under it',
      ...neighbourLocks(table),
    ],
    application: [
      `each row it changes costs about ${CAPTURE_MICROSECONDS} µs more while it runs, and afterwards until ebb retire`,
      'the swap waits for transactions that are older than the last rows copied, for they would see too little',
      'copied rows have a new xmin: who uses it as a version meets one conflict',
    ],
    consumers: [...leftOut(quantities), ...carriedOn(table)],
  }
}

export function purgeEffects(
  quantities: Quantities,
  { cascade }: AdvisedAround,
  missing: readonly MissingIndex[],
  costs: WayCosts,
): WayEffects {
  const along = cascade.emptied.slice(1).map(({ name }) => display(name))
  return {
    locks: ['only the rows of one batch, for some 50 ms'],
    application: [
      'triggers and cascades fire for each row; what is deleted is left to vacuum, and the file keeps its size',
      ...(along.length === 0 ? [] : [`rows of ${along.join(', ')} that refer to them go along (--cascade)`]),
      ...cascade.reasons.map(({ what }) => `rows ${what} stay`),
      ...missing.map(
        ({ walked: { reference, from, to }, seconds }) =>
          `foreign key ${reference.name} of ${display(from.name)} has no index on (${reference.pairs.map(({ referring }) => referring).join(', ')}): looking along it for rows of ${display(to.name)} takes ${showDuration(seconds)} of the ${showDuration(costs.seconds)}, so make one first`,
      ),
    ],
    consumers: [
      `one delete event for each of about ${showCount(removedRows(quantities))} rows: they see what goes, and have to keep up`,
    ],
  }
}

export function removedRows({ rows, keptRows }: Quantities): number {
  return Math.max(0, rows - keptRows)
}

const EXPIRY_IS_SILENT =
  'partitions that are detached, truncated or dropped later emit no delete events: consumers have to expire rows by themselves'

function keyEffects(table: TableModel, { by, expireBy }: KeyAdvice): string[] {
  if (expireBy !== null)
    return [`the primary key and ON CONFLICT (${by}) stay; queries by ${expireBy} alone look into every partition`]
  const primary = table.constraints.find(({ type }) => type === 'primary key')
  if (primary === undefined || !primaryKeyChanges(table, by)) return ['keys stay as they are']
  return [`the primary key becomes (${[...primary.columns, by].join(', ')}), and ON CONFLICT has to name it so`]
}

function neighbourLocks(table: TableModel): string[] {
  const names = [
    ...table.views.map(({ name }) => name),
    ...table.inboundForeignKeys.map((key) => key.table),
    ...table.constraints.flatMap(({ references }) => (references === null ? [] : [references])),
  ].map(display)
  return names.length === 0 ? [] : [`for the same milliseconds also ${[...new Set(names)].join(', ')}`]
}

function leftOut(quantities: Quantities): string[] {
  const removed = removedRows(quantities)
  if (removed === 0) return ['no row is left out, and a copied one is no event']
  return [
    `about ${showCount(removed)} rows that are left out emit no delete events: consumers keep them unless they are told otherwise`,
    'rows that are kept emit no event either',
  ]
}

function carriedOn({ publications }: TableModel): string[] {
  const names = publications.filter(({ covers }) => covers === 'table').map(({ name }) => name)
  return [
    ...(names.length === 0
      ? []
      : [`${names.join(', ')} lists the new table from the swap on; subscribers go on without a refresh`]),
    'slots that decode every table, whatever is published, see the copy as inserts into a table with another name',
  ]
}

function viaRoot({ publications }: TableModel): string[] {
  return publications.length === 0
    ? []
    : [
        `${publications.map(({ name }) => name).join(', ')} has to publish via the partition root, so that subscribers know the name`,
      ]
}
