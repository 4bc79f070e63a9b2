import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Column, Grant, TableModel } from '../../catalog/table/table-model.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import { putBack, putUnder } from '../../sql/condition-settings.ts'
import { dollarQuoted, ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { abandonment, endTheRun } from '../language/abandonment.ts'
import { conditionObjections, describeReading } from '../table/objections/condition.ts'
import { exclusive } from '../language/locks.ts'
import { columnObjection, markBy } from '../purge/mark.ts'
import { intervalText, momentOf } from '../language/moment.ts'
import { isSecured } from '../table/definitions.ts'
import { objection, when } from '../language/objection.ts'
import { ownership } from '../table/privileges.ts'
import { serverNotes, serverObjections } from '../table/objections/server.ts'
import type { ShortLockStep, Lock, Objection, Plan } from '../language/step.ts'

/** The request. At least one of the three is set. */
export interface ViewRequest {
  /** Hides rows marked in this column. */
  readonly hideMarked: string | null
  /** Hides rows for which this condition is true; now() is evaluated by each query. */
  readonly expired: string | null
  /** Hides older rows. */
  readonly keep: { readonly by: string; readonly interval: Interval } | null
}

export interface ViewSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  readonly name: TableName
  /** The existing relation with the view's name. */
  readonly existing: TableModel | null
  /** The print of its definition (`printOf`); null where there is none. */
  readonly print: string | null
  /** `expired`, as parsed by PostgreSQL's grammar. */
  readonly expired: Predicate | null
  readonly condition: ConditionFacts
  readonly mayCreate: boolean
}

export interface ViewPlan extends Plan {
  readonly view: TableName
  /** Whether the view is as this would make it, by its comment, its definition, its columns and who may read it. */
  readonly isCurrent: boolean
}

const SECURITY_INVOKER_FROM = 150_000
/** Identifies our views. */
const KEPT = 'Kept by ebb view'

/** Plans creating or updating a view. Pure. */
export function planView(situation: ViewSituation, request: ViewRequest): ViewPlan {
  const { server, table, name, existing, condition } = situation
  const conditions = conditionsOf(situation, request)
  const objections = objectionsTo(situation, request)
  const base = {
    goal: `keep ${display(name)}, a view of ${display(table.name)}`,
    table: table.name,
    view: name,
    isCurrent: objections.length === 0 && existing !== null && isKept(situation, existing, conditions),
    dependents: [],
  }
  if (objections.length > 0) return { ...base, objections, evidence: [], notes: serverNotes(server), steps: [] }
  return {
    ...base,
    objections,
    evidence: [
      ...conditions.map(({ words }) => `hidden: rows ${words}`),
      ...describeReading(condition),
      `the horizon moves: now() is evaluated by each query`,
      `readable by the roles that may read ${display(table.name)}: ${readers(table).map(someoneText).join(', ') || 'its owner'}`,
    ],
    notes: notesOn(situation),
    steps: [viewStep(situation, conditions, existing === null)],
  }
}

interface Hidden {
  /** True for visible rows. */
  readonly shown: string
  readonly words: string
}

function conditionsOf({ table, expired }: ViewSituation, { hideMarked, keep }: ViewRequest): Hidden[] {
  const marked = hideMarked === null ? null : columnOf(table, hideMarked)
  const mark = marked === null ? null : markBy(marked, 'now()')
  const key = keep === null ? null : columnOf(table, keep.by)
  const horizon = keep === null || key === null ? null : horizonOf(key, keep.interval)
  return [
    ...(mark === null ? [] : [{ shown: mark.missing, words: `that are marked in ${hideMarked ?? ''}` }]),
    ...(expired === null ? [] : [{ shown: `(${expired.written}\n) is not true`, words: `where ${expired.written}` }]),
    ...(keep === null || key === null || horizon === null
      ? []
      : [
          {
            shown: withoutTime(key, `${ident(key.name).text} operator(pg_catalog.>=) ${horizon}`),
            words: `older than ${displayInterval(keep.interval)} by ${keep.by}`,
          },
        ]),
  ]
}

// A row without a time does not expire. For a not-null column, the view can use an index on it.
function withoutTime({ name, notNull }: Column, condition: string): string {
  return notNull ? condition : `(${condition} or ${ident(name).text} is null)`
}

function horizonOf({ type }: Column, interval: Interval): string | null {
  return momentOf(type, `(pg_catalog.now() operator(pg_catalog.-) interval '${intervalText(interval)}')`)
}

function viewStep(situation: ViewSituation, conditions: readonly Hidden[], isNew: boolean): ShortLockStep {
  const { table, name, condition, expired } = situation
  const lock: Lock = isNew
    ? { table: table.name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }
    : exclusive(name)
  return {
    kind: 'short lock',
    key: 'view',
    title: `${isNew ? 'create' : 'replace'} ${display(name)}`,
    because: 'it shows rows that are neither marked nor expired',
    locks: [lock],
    cost: 'milliseconds',
    quiet: null,
    acquire: [],
    statements: [
      ...(expired === null ? [] : putUnder(condition.settings)),
      definition(situation, conditions).text,
      ...(expired === null ? [] : putBack(condition.settings)),
      comment(situation, conditions).text,
      ...(isNew ? ownership(name, table.owner, situation.server.role) : []),
      ...readingRights(situation),
    ],
  }
}

function commentOf(conditions: readonly Hidden[]): string {
  return `${KEPT}: without rows ${conditions.map(({ words }) => words).join(', or ')}`
}

/**
 * The end of the comment, by which a view that was redefined by hand is known: what PostgreSQL prints of the definition,
 * hashed. Another major version may print it differently: then the view is not recognized, and is replaced once.
 */
function printedBy({ version }: ServerModel): string {
  return ` (as PostgreSQL ${Math.floor(version / 10_000)} prints it: `
}

/** An expression: the hash of what PostgreSQL prints of a view, which is a regclass. */
export function printOf(view: Sql): Sql {
  return sql`pg_catalog.to_hex(pg_catalog.hashtextextended(pg_catalog.pg_get_viewdef(${view}), 0))`
}

// What is printed is known only once the view is there.
function comment({ server, name }: ViewSituation, conditions: readonly Hidden[]): Sql {
  const view = literal(quoted(name).text)
  const words = literal(commentOf(conditions) + printedBy(server))
  const print = printOf(sql`${view}::pg_catalog.regclass`)
  const code = sql`begin
  execute pg_catalog.format('comment on view %s is %L', ${view}, pg_catalog.concat(${words}, ${print}, ')'));
end`
  return sql`do ${dollarQuoted(code.text)}`
}

function isKept({ table, server, print }: ViewSituation, existing: TableModel, conditions: readonly Hidden[]): boolean {
  const columnsOf = ({ columns }: TableModel) => columns.map(({ name, type }) => `${ident(name).text} ${type}`).join()
  const readersOf = (one: TableModel) =>
    readers(one)
      .map(({ column, grantee }) => JSON.stringify([column, grantee]))
      .sort()
      .join()
  return (
    existing.comment === `${commentOf(conditions)}${printedBy(server)}${print})` &&
    optionsOn(server).every((option) => existing.options.includes(option)) &&
    existing.owner === table.owner &&
    columnsOf(existing) === columnsOf(table) &&
    readersOf(existing) === readersOf(table)
  )
}

function optionsOn({ version }: ServerModel): string[] {
  return version >= SECURITY_INVOKER_FROM ? ['security_invoker=true'] : []
}

function definition({ server, table, name }: ViewSituation, conditions: readonly Hidden[]): Sql {
  const options = raw(
    optionsOn(server)
      .map((option) => ` with (${option})`)
      .join(''),
  )
  const columns = join(table.columns.map((column) => ident(column.name)))
  const where = raw(conditions.map(({ shown }) => `(${shown})`).join(' and '))
  return sql`create or replace view ${quoted(name)}${options} as select ${columns} from ${quoted(table.name)} where ${where}`
}

/** Exactly the roles that may read the table may read the view. */
function readingRights({ table, name, existing }: ViewSituation): string[] {
  const before = existing === null ? table.defaultGrantees : [...new Set(existing.grants.map(({ grantee }) => grantee))]
  const view = quoted(name)
  return [
    ...before
      .filter((grantee) => grantee !== table.owner)
      .map((grantee) => sql`revoke all on ${view} from ${someone(grantee)}`.text),
    ...readers(table).map(({ column, grantee }) =>
      column === null
        ? sql`grant select on ${view} to ${someone(grantee)}`.text
        : sql`grant select (${ident(column)}) on ${view} to ${someone(grantee)}`.text,
    ),
  ]
}

function readers({ grants, owner }: TableModel): Grant[] {
  return grants.filter(({ privilege, grantee }) => privilege === 'SELECT' && grantee !== owner)
}

function someone(grantee: string | null): Sql {
  return grantee === null ? raw('public') : ident(grantee)
}

function someoneText({ grantee }: Grant): string {
  return grantee ?? 'PUBLIC'
}

function columnOf({ columns }: TableModel, name: string): Column | null {
  return columns.find((column) => column.name === name) ?? null
}

function objectionsTo(situation: ViewSituation, request: ViewRequest): Objection[] {
  const { server, journalSchema, table, name, existing, condition, mayCreate } = situation
  const fundamental = serverObjections(server, journalSchema)
  if (fundamental.length > 0) return fundamental
  if (!['table', 'partitioned table'].includes(table.kind))
    return [objection('no-table', `${display(table.name)} is a ${table.kind}`, 'Pass the underlying table.')]
  const { hideMarked, keep } = request
  const marked = hideMarked === null ? null : columnOf(table, hideMarked)
  return [
    ...(hideMarked !== null && (marked === null || markBy(marked, 'now()') === null)
      ? [columnObjection(table, hideMarked)]
      : []),
    ...(keep === null ? [] : keyObjections(table, keep.by)),
    ...conditionObjections(condition),
    ...when(server.version < SECURITY_INVOKER_FROM && isSecured(table.rowSecurity), () =>
      objection(
        'row-security',
        `a view would show rows that the policies of ${display(table.name)} hide: before PostgreSQL 15 they are applied as the view's owner`,
        'Upgrade the server, or let readers use the condition themselves.',
      ),
    ),
    ...(existing === null
      ? mayCreate
        ? []
        : [
            objection(
              'schema-create',
              `${server.role} may not create anything in schema ${name.schema}`,
              `As its owner: grant create on schema ${ident(name.schema).text} to ${ident(server.role).text};`,
            ),
          ]
      : existingObjections(existing, table)),
  ]
}

function keyObjections(table: TableModel, by: string): Objection[] {
  const column = columnOf(table, by)
  if (column !== null && momentOf(column.type, 'now()') !== null) return []
  const what =
    column === null ? `${display(table.name)} has no column ${by}` : `${by} is of type ${column.type}, not a time`
  return [
    objection('view-key', what, 'Pass a column of type timestamptz, timestamp or date; or --expired "<condition>".'),
  ]
}

function existingObjections(existing: TableModel, table: TableModel): Objection[] {
  const name = display(existing.name)
  if (existing.kind !== 'view' || !(existing.comment ?? '').startsWith(KEPT))
    return [
      objection(
        'view-name',
        `${name} exists, and was not created by ebb view`,
        'Choose another name (--name; in a policy: view.name), or drop that one.',
      ),
    ]
  const fits = existing.columns.every(
    ({ name, type }, i) => table.columns[i]?.name === name && table.columns[i].type === type,
  )
  if (fits) return []
  return [
    objection(
      'view-columns',
      `columns of ${display(table.name)} were dropped or changed since ${name} was created, and columns can only be added at the end of a view`,
      sql`In one transaction: drop view ${quoted(existing.name)}, and what depends on it; then run this command again.`
        .text,
    ),
  ]
}

function notesOn({ server, table, name, existing, print }: ViewSituation): string[] {
  const isRedefined = existing?.comment?.includes(printedBy(server)) === true && !existing.comment.endsWith(`${print})`)
  return [
    ...serverNotes(server),
    ...(isRedefined
      ? [
          `${display(name)} was redefined by hand, and is replaced; to keep it as it is, give it another comment, and Ebb's view another name`,
        ]
      : []),
    `run this command again when ${display(table.name)} gains a column, or its grants change`,
    ...(server.version >= SECURITY_INVOKER_FROM
      ? [`row-level security and privileges of ${display(table.name)} apply to the role that reads ${display(name)}`]
      : []),
  ]
}

/** Abandons an unfinished run: its only step is a transaction. */
export function planAbandonView(runId: string, table: TableName): Plan {
  return abandonment(runId, table, 'nothing has been changed', [endTheRun('abandon:view')])
}
