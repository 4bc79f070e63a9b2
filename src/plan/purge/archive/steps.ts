import type { TableModel } from '../../../catalog/table/table-model.ts'
import { display, quoted, type TableName } from '../../../sql/names.ts'
import { own } from '../../../sql/operators.ts'
import { ident, join, raw, sql } from '../../../sql/sql.ts'
import { showCount, showRows } from '../../../text/units.ts'
import type { RowsToArchive } from '../../archive/rows.ts'
import type { ArchiveSetStep, OnlineStep, RemovalStep, Step } from '../../language/step.ts'
import { collectEntries } from '../../references/archived-dependents.ts'
import { estimateGoing } from '../../references/cascade-cost.ts'
import type { Cascade } from '../../references/cascade.ts'
import { amongCandidates, SET_COLUMNS } from '../candidate-sql.ts'
import { createSet, recordStep, settleStep } from '../set-steps.ts'
import { chosenByStored, createStored, listedKeys, listStored, type StoredKind } from '../stored-list.ts'
import { ALONE, type PurgeWork } from '../work.ts'
import { createList, keysOfList, listVersions, ofLeaves } from './listing.ts'
import { chosenBySet, chosenDependents, dropChanged, entryOf, setOfLeaves } from './rows.ts'
import { cascadeOf, deletionOf, keysOf, type ArchivedSet, type DependentSet } from './sets.ts'

// The steps of a purge with an archive around its deletion.

/** What comes before the first row is deleted. */
export function stepsBefore(table: TableModel, work: PurgeWork, set: ArchivedSet, cascade: Cascade): readonly Step[] {
  if (set.listed) return [createList(table.name, set), archiveListed(table, work, set)]
  if (set.stored !== undefined)
    return [createStoredList(table.name, set, set.stored), archiveStored(table, work, set), settleStep(set.place)]
  const recorded = { ...work, dependents: ALONE, action: recording(set) }
  return [
    ...(set.from === null ? [createSet(table.name, set), recordStep(recorded)] : [copySet(set, set.from, work)]),
    settleStep(set.place),
    ...set.dependents.map(createDependentSet),
    archiveStep(table, work, set, cascade),
  ]
}

function recording({ place, key }: ArchivedSet) {
  return { kind: 'record' as const, into: place, key: key.map(({ name }) => name) }
}

/** Only the leaves that are still there: rows of others can be neither archived nor deleted. */
function copySet({ place, key }: ArchivedSet, from: TableName, work: PurgeWork): OnlineStep {
  const numbers = work.leaves.flatMap(({ walk }) => (amongCandidates(walk) ? [walk.among.leaf] : []))
  const leaf = ident(SET_COLUMNS.leaf)
  const identity = [leaf, ...key.map(({ name }) => ident(name))].map(({ text }) => text).join(', ')
  return {
    kind: 'online',
    key: 'set',
    title: `copy the keys of the candidate set to ${display(place)}`,
    because: 'an entry is deleted with its row; the set itself stays as it was approved',
    locks: [],
    cost: `${showCount(rowsOf(work))} keys`,
    statements: [
      sql`create table ${quoted(place)} as select * from ${quoted(from)} where ${leaf} ${own('=')} any ('{${raw(numbers.join(','))}}'::pg_catalog.int4[])`
        .text,
      sql`alter table ${quoted(place)} add primary key (${raw(identity)})`.text,
    ],
  }
}

function createDependentSet({ table, walk }: DependentSet): OnlineStep {
  const { set } = walk.among
  const step = createSet(table.name, { place: set, key: walk.columns })
  return { ...step, key: `set ${set.name}`, because: `stores the keys of the dependent rows of ${display(table.name)}` }
}

/** Versions are listed in the snapshot in which their rows are sent. */
function archiveListed(table: TableModel, work: PurgeWork, set: ArchivedSet): ArchiveSetStep {
  const list = quoted(set.place).text
  const rows = { ...ofTable(table, work, set), chosen: ofLeaves(work), keys: keysOfList(set) }
  return {
    ...archiving(table, work, set),
    work: {
      ...ordered(set),
      rows: [rows],
      sets: keysOf(table.name, set),
      // An archive that was interrupted before its receipt may have listed versions: its transaction ended before that.
      preparation: [`delete from ${list}`, ...work.leaves.map((_, i) => listVersions(work, set, i)), `analyze ${list}`],
    },
  }
}

function createStoredList(table: TableName, { place, key }: ArchivedSet, stored: StoredKind): OnlineStep {
  return {
    kind: 'online',
    key: 'set',
    title: `create ${display(place)}, stored like ${display(table)}`,
    because: 'lists the rows that are archived, on the nodes that have them: their keys, and a fingerprint of each',
    locks: [{ table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: 'a tenth of a second',
    statements: createStored(table, { list: place, key }, stored),
  }
}

/** The nodes have no snapshot in common: what is sent of each is what was listed there. */
function archiveStored(table: TableModel, work: PurgeWork, set: ArchivedSet): ArchiveSetStep {
  const list = { list: set.place, key: set.key }
  const keys = listedKeys(set).map((name) => ident(name))
  const named = set.key.map(({ name }, i) => sql`ebb_c.${keys[i] ?? raw('')} as ${ident(name)}`)
  const source = sql`(select ${join(named)} from ${quoted(set.place)} ebb_c) t`.text
  const columns = set.key.map(({ name }) => name)
  const rows: RowsToArchive = {
    ...ofTable(table, work, set),
    chosen: chosenByStored(work, list),
    keys: { table: set.place, columns, source },
  }
  return {
    ...archiving(table, work, set),
    cost: `about ${showRows(rowsOf(work))}; the coordinator holds them in temporary files before the first is sent`,
    work: {
      ...ordered(set),
      rows: [rows],
      sets: keysOf(table.name, set),
      // Of an archive that was interrupted; and it waits for one that a node has prepared, which may still commit.
      preparation: [
        sql`truncate ${quoted(set.place)}`.text,
        ...work.leaves.map((leaf, i) => listStored(work, leaf, { ...list, leaf: i })),
      ],
    },
  }
}

function archiveStep(table: TableModel, work: PurgeWork, set: ArchivedSet, cascade: Cascade): ArchiveSetStep {
  const leaves = setOfLeaves(deletionOf(work, set).leaves)
  const where = set.from === null ? work.where : null
  const [keys, ...further] = keysOf(table.name, set)
  const archived = cascadeOf(cascade, set)
  const going = estimateGoing(cascade, rowsOf(work))
  const rows: RowsToArchive = {
    ...ofTable(table, work, set),
    chosen: chosenBySet(leaves, where),
    keys: { table: set.place, columns: keys?.columns ?? [] },
  }
  const dependents = set.dependents.map((one) => dependentRows(one, cascade, going.get(one.table.oid) ?? null))
  return {
    ...archiving(table, work, set),
    work: {
      ...ordered(set),
      rows: [rows, ...dependents],
      sets: [...(keys === undefined ? [] : [keys]), ...further],
      preparation: [
        ...leaves.map((one) => dropChanged(one, where)),
        ...set.dependents.flatMap(({ table: { oid }, table: one, walk }) => [
          // Of an archive that was interrupted.
          sql`truncate ${quoted(walk.among.set)}`.text,
          collectEntries(archived, one, (row) => entryOf(archived.archived?.[oid] ?? walk, row)).text,
          sql`analyze ${quoted(walk.among.set)}`.text,
        ]),
      ],
    },
  }
}

function archiving(table: TableModel, work: PurgeWork, set: ArchivedSet): Omit<ArchiveSetStep, 'work'> {
  return {
    kind: 'archive set',
    key: 'archive',
    title: `archive these rows of ${display(table.name)}${andDependents(set)} to ${set.request.uri}`,
    because: 'nothing is deleted before the stored objects have been read back and the receipt is written',
    locks: [table.name, ...set.dependents.map((one) => one.table.name)].map((name) => ({
      table: name,
      mode: 'ACCESS SHARE',
      blocks: 'nothing',
      held: 'all along',
    })),
    cost: `about ${showRows(rowsOf(work))}, in one snapshot`,
    statements: [],
  }
}

function ordered({ request, settings, approvedBy, ticket }: ArchivedSet) {
  return { to: request, settings, approvedBy, ticket }
}

function ofTable({ name, oid }: TableModel, work: PurgeWork, { condition, groups }: ArchivedSet) {
  const rows = { table: name, oid, partitionOf: null, where: condition, horizon: null, estimatedRows: rowsOf(work) }
  return groups === null ? rows : { ...rows, groups }
}

function andDependents({ dependents }: ArchivedSet): string {
  return dependents.length === 0
    ? ''
    : `, and what depends on them in ${dependents.map(({ table }) => display(table.name)).join(', ')},`
}

function dependentRows(
  { table, walk }: DependentSet,
  { walked }: Cascade,
  estimatedRows: number | null,
): RowsToArchive {
  const ways = walked.filter(({ from, fate }) => from.oid === table.oid && (fate === 'followed' || fate === 'subtree'))
  const references = ways.map(({ reference, to }) => `${display(to.name)} (${reference.name})`)
  return {
    table: table.name,
    oid: table.oid,
    partitionOf: null,
    chosen: chosenDependents(walk),
    where: `it references an archived row of ${references.join(', or of ')}`,
    horizon: null,
    estimatedRows,
    keys: { table: walk.among.set, columns: walk.columns.map(({ name }) => name) },
  }
}

function rowsOf({ leaves }: PurgeWork): number {
  return leaves.reduce((sum, { estimatedRows }) => sum + estimatedRows, 0)
}

/** What comes after all rows are deleted, and what is left has been counted. */
export function stepsAfter(table: TableName, set: ArchivedSet): readonly [RemovalStep, OnlineStep] {
  const sets = keysOf(table, set)
  return [
    removalStep(sets, set.settings),
    dropStep(
      'drop set',
      sets.map(({ set }) => set),
      'the rows that are not deleted are in removal.json',
    ),
  ]
}

/** The document of a run that is abandoned. Keys are tables' own values: no search path decides what their text is. */
export function abandonedRemoval({ sets, settings }: Pick<RemovalStep, 'sets' | 'settings'>): RemovalStep {
  return {
    ...removalStep(sets, { ...settings, search_path: '' }),
    key: 'abandon:removal',
    title: 'if rows have been deleted, write removal.json beside the receipt',
    abandoned: true,
  }
}

function removalStep(sets: RemovalStep['sets'], settings: RemovalStep['settings']): RemovalStep {
  return {
    kind: 'removal',
    key: 'removal',
    title: 'write removal.json beside the receipt',
    because: 'a restore leaves out the rows that were not deleted',
    locks: [],
    cost: 'milliseconds',
    statements: [],
    sets,
    settings,
  }
}

export function dropStep(key: string, places: readonly TableName[], because: string): OnlineStep {
  return {
    kind: 'online',
    key,
    title: `drop ${places.map(display).join(', ')}`,
    because,
    locks: [],
    cost: 'milliseconds',
    statements: places.map((place) => sql`drop table if exists ${quoted(place)}`.text),
  }
}
