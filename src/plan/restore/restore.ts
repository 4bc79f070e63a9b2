import { displayInterval } from '../../grid/interval.ts'
import type { Interval } from '../../grid/interval.ts'
import { display, distinctNames, quoted, type TableName } from '../../sql/names.ts'
import { plural, showBytes, showCount, showRows } from '../../text/units.ts'
import type { ArchivedObject } from '../archive/receipt.ts'
import { abandonment, endTheRun } from '../language/abandonment.ts'
import { unaccepted } from '../language/objection.ts'
import type { AloneStep, Objection, Plan, RestoreStep } from '../language/step.ts'
import { serverNotes, serverObjections } from '../table/objections/server.ts'
import { describeMapping, mapColumns, type ColumnMapping } from './columns.ts'
import { orderObjections, receiptObjections, tableObjections } from './objections.ts'
import { parentsFirst, refersToItself } from './order.ts'
import {
  createdAgain,
  looseObjections,
  partitionStep,
  placeObjections,
  placeOf,
  type CreatedAgain,
  type Place,
} from './partition.ts'
import type { ReceiptFacts, RestoreRequest, RestoreSituation, TableToRestore } from './situation.ts'
import {
  conflicts,
  copyIn,
  countSelected,
  insertRows,
  leaveOutKept,
  overwriteRows,
  primaryKeyOf,
  selectedOfObject,
  stagingTable,
} from './statements.ts'

/** A plan with what the run holds. */
export interface RestorePlan extends Plan {
  /** Null for a plan with objections. */
  readonly restore: {
    readonly holds: readonly HeldRows[]
    readonly hold: Interval | null
    /** The partition that is created again. Older versions have stored plans without. */
    readonly created?: CreatedAgain | null
  } | null
}

export interface HeldRows {
  readonly table: TableName
  /** Of the partition; null: rows anywhere in the table. */
  readonly bounds: string | null
}

/** A table, and how its rows get into it. */
interface Way {
  readonly to: TableToRestore
  readonly mapping: ColumnMapping
  readonly place: Place
}

/** Plans putting archived rows back into tables: each object in a transaction of its own. Pure. */
export function planRestore(situation: RestoreSituation, request: RestoreRequest): RestorePlan {
  const { server, journalSchema, receipt } = situation
  const order = parentsFirst(situation.tables)
  const ways = order.tables.map(wayOf)
  const [first] = situation.tables
  if (first === undefined) throw new Error('a restore is of a table')
  const fundamental = serverObjections(server, journalSchema)
  const objections =
    fundamental.length > 0
      ? fundamental
      : unaccepted(
          [
            ...receiptObjections(receipt, request),
            ...orderObjections(order),
            ...ways.flatMap((way) => objectionsTo(way, server.role, request)),
          ],
          request.accept,
        )
  const base = { goal: goalOf(situation.tables), table: first.table.name, dependents: [], objections }
  if (objections.length > 0) return { ...base, restore: null, evidence: [], notes: serverNotes(server), steps: [] }
  return {
    ...base,
    restore: {
      holds: ways.map(({ to }) => heldRows(to)),
      hold: request.hold,
      created: ways.flatMap(createdIn)[0] ?? null,
    },
    evidence: [`receipt: ${request.receipt}, ${describeDigest(receipt)}`, ...ways.flatMap(describeWay)],
    notes: [...serverNotes(server), ...notesOn(ways, receipt, request)],
    steps: [
      ...ways.flatMap(({ to, place }) =>
        place === 'missing' && to.set !== null ? [partitionStep(to.set, to.archived, server.role, to.taken)] : [],
      ),
      ...ways.flatMap((way) => restoreSteps(way, receipt, request)),
      ...ways.flatMap(analyzeSteps),
    ],
  }
}

function createdIn({ to: { set, archived }, place }: Way): CreatedAgain[] {
  return place === 'missing' && set !== null ? [createdAgain(set, archived)] : []
}

function wayOf(to: TableToRestore): Way {
  const mapping = mapColumns(to.archived, to.table, to.numbers)
  return { to, mapping, place: to.set === null ? 'covered' : placeOf(to.set, to.archived) }
}

function goalOf(tables: readonly TableToRestore[]): string {
  const [from, into] = [tables.map(({ archived }) => archived), distinctNames(tables.map(({ table }) => table.name))]
  return `restore rows of ${from.map(display).join(', ')} into ${into.map(display).join(', ')}`
}

function objectionsTo({ to, mapping, place }: Way, role: string, request: RestoreRequest): Objection[] {
  return [
    ...tableObjections(to, mapping, role, request),
    ...placeObjections(place, to, request.attach),
    ...(request.attach ? looseObjections(to) : []),
  ]
}

function heldRows({ table, set, archived }: TableToRestore): HeldRows {
  return { table: table.name, bounds: set === null ? null : (archived.partitionOf?.bounds ?? null) }
}

function describeDigest({ sha256, recorded }: ReceiptFacts): string {
  return recorded === null
    ? `SHA-256 ${sha256}: the journal of this database does not know it, so compare that with your own records`
    : 'whose SHA-256 is the one in the journal'
}

function describeWay({ to: { archived, predicate, keptBy }, mapping }: Way): string[] {
  return [
    `archived of ${display(archived)}: ${showRows(archived.rows)} in ${plural(archived.objects.length, 'object')}`,
    ...(predicate === null ? [] : [`restored: rows where ${predicate.written}`]),
    ...(keptBy === null
      ? []
      : ['rows that were archived and kept when the others were removed are left out: removal.json has their keys']),
    ...describeMapping(mapping),
  ]
}

function notesOn(ways: readonly Way[], { unremoved }: ReceiptFacts, { hold, onConflict }: RestoreRequest): string[] {
  const tables = ways.map(({ to }) => to.table)
  const firing = (event: string) =>
    tables.filter(({ triggers }) => triggers.some(({ definition }) => new RegExp(`\\b${event}\\b`).test(definition)))
  return [
    ...(hold === null
      ? []
      : [`no command removes the rows again for ${displayInterval(hold)}; partitions with them stay that long`]),
    onConflict === 'keep'
      ? 'a row is left as it is where the table already has one with the same key: nothing is overwritten'
      : 'a row that the table has with other values is overwritten with those archived: what it holds now is kept nowhere',
    ...(unremoved ? [UNREMOVED] : []),
    ...tables
      .filter(({ persistence }) => persistence === 'unlogged')
      .map(
        ({ name }) =>
          `${display(name)} is unlogged: a crash of the server empties it, and this restore would go on with the objects that are left; then let it end, and restore once more`,
      ),
    ...firing('INSERT').map(({ name }) => `triggers of ${display(name)} fire for restored rows as for any insert`),
    ...(onConflict === 'keep' ? [] : firing('UPDATE')).map(
      ({ name }) => `triggers of ${display(name)} fire for overwritten rows as for any update`,
    ),
  ]
}

const UNREMOVED =
  'there is no removal.json beside the receipt: the command may have removed none of these rows, and what has become of them since is not known, so rows that are gone come back as they were archived'

/** Rows that refer to others of the table need all of them at once. */
function restoreSteps(way: Way, receipt: ReceiptFacts, request: RestoreRequest): RestoreStep[] {
  const { objects } = way.to.archived
  const groups = refersToItself(way.to) ? [objects] : objects.map((object) => [object])
  return groups.map((group) => restoreStep(way, receipt, request, group))
}

function restoreStep(
  { to, mapping }: Way,
  { encoding }: ReceiptFacts,
  request: RestoreRequest,
  objects: readonly ArchivedObject[],
): RestoreStep {
  const { table, archived, condition, keptBy } = to
  const sum = (size: (object: ArchivedObject) => number) => objects.reduce((all, object) => all + size(object), 0)
  const overwrite = request.onConflict === 'overwrite' ? overwriteRows(to, mapping) : null
  const first = archived.objects.findIndex((object) => object === objects[0]) + 1
  return {
    kind: 'restore',
    key: `restore:${objects[0]?.name ?? ''}`,
    title:
      objects.length > 1
        ? `restore all ${objects.length} objects of ${display(archived)}`
        : `restore object ${first} of ${archived.objects.length} of ${display(archived)}`,
    because:
      objects.length > 1
        ? 'one transaction, because rows of the table refer to others of it'
        : 'one transaction for each object, recorded with it: an interrupted restore resumes with the next one',
    locks: [{ table: table.name, mode: 'ROW EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: `${showCount(sum(({ rows }) => rows))} rows, ${showBytes(sum(({ contentBytes }) => contentBytes))}`,
    statements: [
      stagingTable(mapping, archived).text,
      copyIn().text,
      ...(overwrite === null ? [] : [overwrite.text]),
      insertRows(to, mapping).text,
    ],
    receipt: request.receipt,
    objects,
    encoding,
    table: table.name,
    settings: condition.settings,
    leaveOutKept:
      keptBy === null
        ? null
        : {
            of: { schema: archived.schema, name: archived.name },
            statement: leaveOutKept(mapping, archived, keptBy).text,
          },
    selectedOf: objects.map((object) => selectedOfObject(to, mapping, object)?.text ?? null),
    overwrites: overwrite !== null,
    selected: countSelected(to, mapping).text,
    conflicts: conflicts(to, mapping)?.text ?? null,
    keyColumns: primaryKeyOf(table, mapping)?.pairs.map(({ to: column }) => column.name) ?? [],
  }
}

/** Of a table with partitions that there were, autovacuum looks after each by itself. */
function analyzeSteps({ to: { table, archived }, place }: Way): AloneStep[] {
  if (table.kind === 'partitioned table' && place !== 'missing') return []
  const { schema, name: partition } = archived
  const filled = table.kind === 'partitioned table' ? { schema, name: partition } : table.name
  return [
    {
      kind: 'alone',
      key: `analyze:${display(filled)}`,
      title: `analyze ${display(filled)}`,
      because: 'refreshes the planner statistics',
      locks: [{ table: filled, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: 'reads a sample; skipped if another session is at it',
      statements: [`analyze (skip_locked) ${quoted(filled).text}`],
    },
  ]
}

/** Abandons an unfinished restore: what was restored stays. */
export function planAbandonRestore(runId: string, table: TableName): Plan {
  return abandonment(runId, table, 'the rows restored so far stay in the table', [endTheRun('abandon:restore')])
}
