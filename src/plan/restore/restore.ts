import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { showBytes, showCount } from '../../text/units.ts'
import type { ArchivedObject, ArchivedTable, Encoding } from '../archive/receipt.ts'
import { abandonment, endTheRun } from '../language/abandonment.ts'
import { objection, unaccepted, when } from '../language/objection.ts'
import type { AloneStep, Objection, Plan, RestoreStep } from '../language/step.ts'
import { conditionObjections } from '../table/objections/condition.ts'
import { serverNotes, serverObjections } from '../table/objections/server.ts'
import { partitionStep, placeObjections, placeOf, type Place } from './partition.ts'
import { newTableStep } from './new-table.ts'
import {
  describeMapping,
  mapColumns,
  mappingObjections,
  type ColumnMapping,
  type ColumnNumbers,
  type RestoreTarget,
} from './columns.ts'

/** Which rows go into which table. */
export interface RestoreRequest {
  /** The address of the receipt. */
  readonly receipt: string
  /** Which of its tables. */
  readonly archived: TableName
  /** Only rows for which this is true; null: all. */
  readonly where: string | null
  /** A partition that is gone is created again. */
  readonly attach: boolean
  /** How long no command removes the rows again; null: it may at once. */
  readonly hold: Interval | null
  readonly accept: readonly string[]
}

export interface RestoreSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: RestoreTarget
  /** Where the rows of a partition go through its table. */
  readonly set: PartitionedTable | null
  readonly numbers: ColumnNumbers
  readonly rights: RestoreRights
  /** Whether it has no rows. */
  readonly empty: boolean
  readonly archived: ArchivedTable
  readonly encoding: Encoding
  /** The columns of the keys of rows that were archived, and kept when the others were removed; null without such rows. */
  readonly keptBy: readonly string[] | null
  readonly predicate: Predicate | null
  readonly condition: ConditionFacts
}

export interface RestoreRights {
  readonly insert: boolean
  readonly createTemporary: boolean
  /** Row-level security applies to this role. */
  readonly rowsHidden: boolean
}

/** A plan with what the run holds. */
export interface RestorePlan extends Plan {
  /** Null for a plan with objections. */
  readonly restore: { readonly bounds: string | null; readonly hold: Interval | null } | null
}

/** Where the rows of an object are put before they go into the table; dropped at the commit. */
export const STAGING: TableName = { schema: 'pg_temp', name: 'ebb_restore' }

/** Plans putting archived rows back into a table: each object in a transaction of its own. Pure. */
export function planRestore(situation: RestoreSituation, request: RestoreRequest): RestorePlan {
  const { server, table, archived } = situation
  const mapping = mapColumns(archived, table, situation.numbers)
  const place = situation.set === null ? 'covered' : placeOf(situation.set, archived)
  const objections = unaccepted(
    [...objectionsTo(situation, mapping), ...placeObjections(place, archived, table.name, request.attach)],
    request.accept,
  )
  const base = {
    goal: `restore rows of ${display(archived)} into ${display(table.name)}`,
    table: table.name,
    dependents: [],
    objections,
  }
  if (objections.length > 0) return { ...base, restore: null, evidence: [], notes: serverNotes(server), steps: [] }
  const bounds = situation.set === null ? null : (archived.partitionOf?.bounds ?? null)
  return {
    ...base,
    restore: { bounds, hold: request.hold },
    evidence: [
      `archived: ${showCount(archived.rows)} rows in ${showCount(archived.objects.length)} objects; ${request.receipt}`,
      ...(situation.predicate === null ? [] : [`restored: rows where ${situation.predicate.written}`]),
      ...(situation.keptBy === null
        ? []
        : ['rows that were archived and kept when the others were removed are left out: removal.json has their keys']),
      ...describeMapping(mapping),
    ],
    notes: [
      ...serverNotes(server),
      ...(request.hold === null
        ? []
        : [
            `no command removes the rows again for ${displayInterval(request.hold)}; partitions with them stay that long`,
          ]),
      'a row is left as it is where the table already has one with the same key: nothing is overwritten',
      ...(table.triggers.some(({ definition }) => /\bINSERT\b/.test(definition))
        ? [`triggers of ${display(table.name)} fire for restored rows as for any insert`]
        : []),
    ],
    steps: [
      ...(place === 'missing' && situation.set !== null ? [partitionStep(situation.set, archived, server.role)] : []),
      ...archived.objects.map((object, i) => restoreStep(situation, request, mapping, object, i)),
      ...analyzeSteps(table, place, archived),
    ],
  }
}

/** Plans the same into a table that does not exist yet. */
export function planNewTable({ into, ...situation }: NewTable, request: RestoreRequest): RestorePlan {
  const columns = situation.archived.columns.map((column) => ({ ...column, default: null, identity: null }))
  const table: RestoreTarget = {
    oid: '0',
    name: into,
    kind: 'table',
    columns,
    constraints: [],
    indexes: [],
    triggers: [],
  }
  const condition = { settings: {}, volatile: [], stable: [], timed: false, unheeded: [] }
  const rights = { insert: true, createTemporary: true, rowsHidden: false }
  const plan = planRestore({ ...situation, table, set: null, numbers: {}, rights, empty: true, condition }, request)
  if (plan.objections.length > 0) return plan
  return { ...plan, steps: [newTableStep(situation.archived, into), ...plan.steps] }
}

export interface NewTable extends Pick<
  RestoreSituation,
  'server' | 'journalSchema' | 'archived' | 'encoding' | 'keptBy' | 'predicate'
> {
  readonly into: TableName
}

function objectionsTo(situation: RestoreSituation, mapping: ColumnMapping): Objection[] {
  const { server, journalSchema, table, condition } = situation
  const name = display(table.name)
  const fundamental = serverObjections(server, journalSchema)
  if (fundamental.length > 0) return fundamental
  if (table.kind !== 'table' && table.kind !== 'partitioned table')
    return [objection('no-table', `${name} is a ${table.kind}`, 'Pass the underlying table.')]
  return [
    ...rightsObjections(situation),
    ...conditionObjections(condition),
    ...mappingObjections(mapping, table),
    ...strangeKey(situation),
    ...when(!situation.empty && !hasKey(table, mapping), () => ({
      ...objection(
        'restore-key',
        `${name} has rows but no unique key, so a row that is already there would be there twice`,
        'Restore into a new table with --into <table>; or, if none of the rows is there, pass --accept restore-key.',
      ),
      acceptable: true,
    })),
  ]
}

/** Rows that were kept are left out by their key: one that is not among the archived columns would leave out others. */
function strangeKey({ archived, keptBy }: RestoreSituation): Objection[] {
  const strange = (keptBy ?? []).filter((name) => !archived.columns.some((column) => column.name === name))
  return strange.map((name) =>
    objection(
      `restore-removal:${name}`,
      `removal.json names ${name} as part of the key, which the receipt does not have`,
      'Find out which of the two was altered: they are written by the same run.',
    ),
  )
}

function rightsObjections({ server: { role }, table, rights }: RestoreSituation): Objection[] {
  const us = ident(role).text
  return [
    ...when(!rights.insert, () =>
      objection(
        'owner-rights',
        `${role} may not insert into ${display(table.name)}`,
        `As its owner: grant insert, select on ${quoted(table.name).text} to ${us};`,
      ),
    ),
    ...when(!rights.createTemporary, () =>
      objection(
        'no-temporary',
        `${role} may not create temporary tables, into which the archived rows are read first`,
        `As the database’s owner: grant temporary on database … to ${us};`,
      ),
    ),
    ...when(rights.rowsHidden, () =>
      objection(
        'row-security',
        `row-level security of ${display(table.name)} applies to ${role}, so it may refuse rows`,
        'Connect as its owner, or as a role with BYPASSRLS.',
      ),
    ),
  ]
}

/** Whether a unique key shows which rows are there already. */
function hasKey({ constraints, indexes }: RestoreTarget, { pairs }: ColumnMapping): boolean {
  const mapped = new Set(pairs.map(({ to }) => to.name))
  const keys = constraints.filter(({ type }) => type === 'primary key' || type === 'unique')
  return (
    keys.some(({ columns }) => columns.every((column) => mapped.has(column))) ||
    indexes.some(({ unique, constraint }) => unique && constraint === null)
  )
}

function restoreStep(
  situation: RestoreSituation,
  { receipt }: RestoreRequest,
  mapping: ColumnMapping,
  object: ArchivedObject,
  i: number,
): RestoreStep {
  const { table, archived, encoding } = situation
  return {
    kind: 'restore',
    key: `restore:${object.name}`,
    title: `restore object ${i + 1} of ${archived.objects.length}`,
    because: 'one transaction for each object, recorded with it: an interrupted restore resumes with the next one',
    locks: [{ table: table.name, mode: 'ROW EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: `${showCount(object.rows)} rows, ${showBytes(object.contentBytes)}`,
    statements: [stagingTable(mapping, archived).text, copyIn(encoding).text, insertRows(situation, mapping).text],
    receipt,
    object,
    encoding,
    table: table.name,
    settings: situation.condition.settings,
    leaveOutKept:
      situation.keptBy === null
        ? null
        : {
            of: { schema: archived.schema, name: archived.name },
            statement: leaveOutKept(mapping, archived, situation.keptBy).text,
          },
    conflicts: conflicts(table, mapping)?.text ?? null,
  }
}

/** Of a table with partitions that there were, autovacuum looks after each by itself. */
function analyzeSteps({ name, kind }: RestoreTarget, place: Place, archived: ArchivedTable): AloneStep[] {
  if (kind === 'partitioned table' && place !== 'missing') return []
  const { schema, name: partition } = archived
  const filled = kind === 'partitioned table' ? { schema, name: partition } : name
  return [
    {
      kind: 'alone',
      key: 'analyze',
      title: `analyze ${display(filled)}`,
      because: 'refreshes the planner statistics',
      locks: [{ table: filled, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: 'reads a sample; skipped if another session is at it',
      statements: [`analyze (skip_locked) ${quoted(filled).text}`],
    },
  ]
}

/** Types are those of the table, never those that a receipt names: that may be anything. */
function stagingTable({ pairs }: ColumnMapping, { columns }: ArchivedTable): Sql {
  const types = new Map(pairs.map(({ from, to }) => [from.number, to.type]))
  const staged = columns.map(({ number }) => sql`${stagedName(number)} ${raw(types.get(number) ?? 'pg_catalog.text')}`)
  return sql`create temporary table ${ident(STAGING.name)} (${join(staged)}) on commit drop`
}

function copyIn({ format }: Encoding): Sql {
  if (format !== 'csv') throw new Error(`a restore from ${format} is not planned`)
  return sql`copy ${quoted(STAGING)} from stdin with (format csv, header, encoding 'UTF8')`
}

/** Under the table's names, so that a condition can be read as one on the table. */
function insertRows({ table, predicate }: RestoreSituation, { pairs }: ColumnMapping): Sql {
  const always = pairs.some(({ to }) => to.identity === 'always')
  const overriding = raw(always ? ' overriding system value' : '')
  const names = join(pairs.map(({ to }) => ident(to.name)))
  const rows = pairs.map(({ from, to }) => sql`${stagedName(from.number)} as ${ident(to.name)}`)
  const where = raw(predicate === null ? '' : ` where (${predicate.text}\n) is true`)
  return sql`insert into ${quoted(table.name)} (${names})${overriding} select ${names} from (select ${join(rows)} from ${quoted(STAGING)}) t${where} on conflict do nothing`
}

/** Compared as text, which needs no operator of a type: both sides are written by the same session. */
function leaveOutKept({ pairs }: ColumnMapping, { columns }: ArchivedTable, keptBy: readonly string[]): Sql {
  const key = keptBy.flatMap((name) => columns.find((column) => column.name === name) ?? [])
  const staged = key.map(({ number }) => sql`s.${stagedName(number)}`)
  const kept = key.map(({ number }, i) => {
    const type = pairs.find(({ from }) => from.number === number)?.to.type ?? 'pg_catalog.text'
    return sql`(k.value ${own('->>')} ${raw(String(i))})::${raw(type)}`
  })
  return sql`delete from ${quoted(STAGING)} s using pg_catalog.json_array_elements($1::pg_catalog.json) k where row(${join(staged)})::pg_catalog.text ${own('=')} row(${join(kept)})::pg_catalog.text`
}

/** How many staged rows differ from those that the table has under the same primary key; after the insert. */
function conflicts({ name, indexes }: RestoreTarget, { pairs }: ColumnMapping): Sql | null {
  const primary = indexes.find((index) => index.primary)
  const key = (primary?.columns ?? []).map((column) => pairs.find(({ to }) => to.name === column))
  const known = key.filter((pair) => pair !== undefined)
  if (primary === undefined || known.length < key.length) return null
  const same = known.map(({ from, to }, i) => {
    const equals = ordered(primary.operators[i], '=')
    return sql`t.${ident(to.name)} ${equals} s.${stagedName(from.number)}`
  })
  const present = join(pairs.map(({ to }) => sql`t.${ident(to.name)}`))
  const archived = join(pairs.map(({ from }) => sql`s.${stagedName(from.number)}`))
  return sql`select pg_catalog.count(*)::pg_catalog.float8 as differing from ${quoted(STAGING)} s join ${quoted(name)} t on ${join(same, ' and ')} where row(${present})::pg_catalog.text ${own('<>')} row(${archived})::pg_catalog.text`
}

function stagedName(number: number): Sql {
  return ident(`c${number}`)
}

/** Abandons an unfinished restore: what was restored stays. */
export function planAbandonRestore(runId: string, table: TableName): Plan {
  return abandonment(runId, table, 'the rows restored so far stay in the table', [endTheRun('abandon:restore')])
}
