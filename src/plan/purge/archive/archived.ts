import { display, quoted, type TableName } from '../../../sql/names.ts'
import { own } from '../../../sql/operators.ts'
import { ident, raw, sql } from '../../../sql/sql.ts'
import type { ServerModel } from '../../../catalog/server-model.ts'
import type { LeafModel } from '../../../catalog/partitions/purge-leaves.ts'
import type { NotReadBack } from '../../../catalog/table/not-read-back.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { notRestorable } from '../../archive/objections.ts'
import type { ArchiveRequest } from '../../archive/request.ts'
import { objection, when } from '../../language/objection.ts'
import type { ArchiveSetStep, Objection, OnlineStep, RemovalStep, Step } from '../../language/step.ts'
import { showCount, showRows } from '../../../text/units.ts'
import { dropChanged, chosenBySet, type SetOfLeaf } from './rows.ts'
import type { CandidateSet } from '../candidate-set.ts'
import { amongCandidates, SET_COLUMNS } from '../candidate-sql.ts'
import { createSet, journalCreate, recordStep, settleStep, type PlannedSet } from '../set-steps.ts'
import { ALONE, type KeyWalkColumn, type PurgeLeaf, type PurgeWork } from '../work.ts'

// A purge with an archive. The keys of the rows are recorded, with a fingerprint of each; what they hold is archived,
// in one snapshot, and what has changed until then is dropped from the set; only after the receipt are rows
// deleted, by walking the set, and only those that still hold what was archived. An entry of the set goes with its
// row, in the same statement, so those left name the rows that were archived and not deleted, however often the run
// was interrupted.

/** What has to be known for it. */
export interface Archiving {
  /** The columns that identify a row; null where none do. */
  readonly key: readonly KeyWalkColumn[] | null
  /** The table for the keys. */
  readonly place: TableName
  readonly mayCreateThere: boolean
  readonly notReadBack: readonly NotReadBack[]
}

/** Why rows of the table cannot be archived first. */
export function archivingObjections(
  { key, place, mayCreateThere, notReadBack }: Archiving,
  table: TableModel,
  leaves: readonly LeafModel[],
  cascade: boolean,
  server: ServerModel,
): Objection[] {
  return [
    ...when(key === null, () => withoutKey(table.name)),
    ...notRestorable(table, notReadBack),
    ...when(!mayCreateThere, () => journalCreate(place.schema, server)),
    ...when(cascade, () =>
      objection(
        'archive-cascade',
        'rows of other tables would be deleted with those of the table, and this version archives only the rows of the table itself',
        'Purge the other tables first, each with an archive of its own; or pass --no-archive if no row is needed any more.',
      ),
    ),
    ...when(table.kind === 'table' && leaves.some(({ oid }) => oid !== table.oid), () => inherited(table.name)),
  ]
}

function withoutKey(table: TableName): Objection {
  return objection(
    'archive-key',
    `${display(table)} has neither a primary key nor a unique index over columns that cannot be null, so an archived row could not be found again to be deleted`,
    'Add a key first, without blocking anybody: create unique index concurrently …, and alter … set not null by way of a validated check. Or pass --no-archive if the rows are no longer needed.',
  )
}

/** Tables that inherit may have columns of their own, which partitions cannot. */
function inherited(table: TableName): Objection {
  return objection(
    'archive-inheritance',
    `rows to be deleted are in tables that inherit from ${display(table)}, which may have further columns`,
    'Purge each of these tables by its own name: its rows have an archive of their own.',
  )
}

/** For the plan: where the rows go. */
export function describeArchiving({ uri, format, compression, encryptTo }: ArchiveRequest): string {
  const how = [
    format,
    ...(compression === 'none' ? [] : [compression]),
    ...(encryptTo.length === 0 ? [] : ['encrypted']),
  ]
  return `archived first to ${uri} (${how.join(', ')}); only rows that are unchanged since are deleted`
}

/** The set of a purge. */
export interface ArchivedSet extends PlannedSet {
  readonly request: ArchiveRequest
  readonly approvedBy: string | null
  readonly ticket: string | null
  /** The candidate set that it is copied from; null where the rows are recorded by this run. */
  readonly from: TableName | null
}

/** A set for the rows of `work`, which is a walk of the table or of a candidate set. */
export function archivedSet(
  request: ArchiveRequest,
  { place, key }: Archiving & { readonly key: readonly KeyWalkColumn[] },
  work: PurgeWork,
  candidates: CandidateSet | undefined,
): ArchivedSet {
  const base = { request, place, settings: work.settings }
  if (candidates === undefined) {
    const leaves = work.leaves.map(({ name }) => name)
    return { ...base, key, leaves, condition: work.where, from: null, approvedBy: null, ticket: null }
  }
  const { key: recorded, leaves, condition, approvedBy, ticket } = candidates
  return { ...base, key: recorded, leaves, condition, from: candidates.place, approvedBy, ticket }
}

/** The deletion of what is in the set. */
export function deletionOf(work: PurgeWork, { place, key, from }: ArchivedSet): PurgeWork {
  const conditional = from === null ? { conditional: true as const } : {}
  const through = (leaf: PurgeLeaf, i: number): PurgeLeaf => {
    const number = amongCandidates(leaf.walk) ? leaf.walk.among.leaf : i
    const among = { set: place, leaf: number, consumed: true as const, ...conditional }
    return {
      ...leaf,
      rowsPerBlock: null,
      walk: { kind: 'key', index: 'the archived keys', columns: key, unique: true, among },
    }
  }
  return { ...work, leaves: work.leaves.map(through) }
}

/** What comes before the first row is deleted. */
export function stepsBefore(table: TableModel, work: PurgeWork, set: ArchivedSet): readonly Step[] {
  const recorded = { ...work, dependents: ALONE, action: recording(set) }
  return [
    ...(set.from === null ? [createSet(table.name, set), recordStep(recorded)] : [copySet(set, set.from, work)]),
    settleStep(set.place),
    archiveStep(table, work, set),
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

function archiveStep(table: TableModel, work: PurgeWork, set: ArchivedSet): ArchiveSetStep {
  const leaves = setOfLeaves(deletionOf(work, set))
  const where = set.from === null ? work.where : null
  return {
    kind: 'archive set',
    key: 'archive',
    title: `archive these rows of ${display(table.name)} to ${set.request.uri}`,
    because: 'nothing is deleted before the stored objects have been read back and the receipt is written',
    locks: [{ table: table.name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }],
    cost: `about ${showRows(rowsOf(work))}, in one snapshot`,
    statements: [],
    work: {
      to: set.request,
      rows: {
        table: table.name,
        oid: table.oid,
        partitionOf: null,
        chosen: chosenBySet(leaves, where),
        where: set.condition,
        horizon: null,
        estimatedRows: rowsOf(work),
      },
      set: set.place,
      narrowing: leaves.map((one) => dropChanged(one, where)),
      settings: set.settings,
      approvedBy: set.approvedBy,
      ticket: set.ticket,
    },
  }
}

function setOfLeaves({ leaves }: PurgeWork): SetOfLeaf[] {
  return leaves.flatMap(({ name, oid, walk }) => (amongCandidates(walk) ? [{ leaf: name, oid, walk }] : []))
}

function rowsOf({ leaves }: PurgeWork): number {
  return leaves.reduce((sum, { estimatedRows }) => sum + estimatedRows, 0)
}

/** What comes after all rows are deleted, and what is left has been counted. */
export function stepsAfter(
  table: TableName,
  { place, key, settings }: ArchivedSet,
): readonly [RemovalStep, OnlineStep] {
  return [
    {
      kind: 'removal',
      key: 'removal',
      title: 'write removal.json beside the receipt',
      because: 'a restore leaves out the rows that were not deleted',
      locks: [],
      cost: 'milliseconds',
      statements: [],
      sets: [{ table, set: place, columns: key.map(({ name }) => name) }],
      settings,
    },
    dropStep('drop set', place, 'the rows that are not deleted are in removal.json'),
  ]
}

export function dropStep(key: string, place: TableName, because: string): OnlineStep {
  return {
    kind: 'online',
    key,
    title: `drop ${display(place)}`,
    because,
    locks: [],
    cost: 'milliseconds',
    statements: [sql`drop table if exists ${quoted(place)}`.text],
  }
}
