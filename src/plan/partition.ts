import type { ServerModel } from '../catalog/server-model.ts'
import type { Privileges } from '../catalog/situation.ts'
import type { Index, TableModel } from '../catalog/table-model.ts'
import { cellsBetween, floor, next, plus, type Cell } from '../grid/grid.ts'
import { displayInterval } from '../grid/interval.ts'
import { displayPosition, positionOf, toText, type Position } from '../grid/key.ts'
import { partitionName } from '../grid/partition-name.ts'
import { companion, display, freeName, quoted, type TableName } from '../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../sql/sql.ts'
import { chooseKey, isObjection, type KeyChoice, type KeyEvidence } from './key-choice.ts'
import {
  keyColumn,
  primaryKeyObjections,
  rangeObjections,
  uniquenessObjections,
  upsertObjection,
  widthObjections,
} from './key-objections.ts'
import { boundLiteral, createLeaf } from './leaf.ts'
import { rehearsal } from './rehearsal.ts'
import { defaultPremake, type PartitionRequest, type SetPolicy } from './request.ts'
import { privilegeObjections } from './privilege-objections.ts'
import { serverNotes, serverObjections } from './server-objections.ts'
import { fatesOf, leafShape, neighbours, planSwap, type NewPrimaryKey } from './swap.ts'
import { kindObjection, tableObjections } from './table-objections.ts'
import { assertDistinctKeys, type Lock, type Objection, type Plan, type Step } from './step.ts'

/** All that a plan depends on, read in one moment. */
export interface PartitionSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  readonly privileges: Privileges
  /** Of the column asked for; null when there is no such column. */
  readonly evidence: KeyEvidence | null
  /** Statements with ON CONFLICT on this table, where pg_stat_statements could be read; null where not. */
  readonly upserts: readonly string[] | null
  /** Names in the table's schema. */
  readonly taken: ReadonlySet<string>
}

/** A plan that ends in a set which `rotate` can keep. */
export interface PartitionPlan extends Plan {
  readonly policy: SetPolicy | null
  readonly history: TableName
  /** The table as it was, for the way back. */
  readonly former: TableModel
}

/** Plans the conversion of a table into partitions without moving a row. Pure: same situation, same plan. */
export function planPartition(situation: PartitionSituation, request: PartitionRequest): PartitionPlan {
  const { table, server } = situation
  const impossible = [...serverObjections(server, situation.journalSchema)]
  const kind = kindObjection(table)
  if (impossible.length > 0 || kind !== undefined)
    return refuse(situation, request, [...impossible, ...(kind === undefined ? [] : [kind])])

  const objections = [...privilegeObjections(table, situation.privileges, server.role), ...tableObjections(table)]
  const column = keyColumn(table, request.by)
  if ('wayOut' in column) return refuse(situation, request, [column, ...objections])
  const expiry = expiryObjections(table, request)
  if (expiry.length > 0 || situation.evidence === null) return refuse(situation, request, [...expiry, ...objections])
  const choice = chooseKey(request, situation.evidence)
  if (isObjection(choice)) return refuse(situation, request, [choice, ...objections])
  return convert(situation, request, choice, objections)
}

function convert(
  situation: PartitionSituation,
  request: PartitionRequest,
  choice: KeyChoice,
  objections: readonly Objection[],
): PartitionPlan {
  const { table, server } = situation
  const premake = request.premake ?? defaultPremake(request.every)
  const cut = cutFor(choice, situation.evidence?.now ?? 0n, premake)
  const runway = runwayFrom(choice, cut, premake)
  const primaryKey = newPrimaryKey(situation, choice.column)
  const idColumn = growingId(table)
  const all = [
    ...objections,
    ...uniquenessObjections(table, choice.column),
    ...(primaryKey === null ? [] : primaryKeyObjections(table, choice.column, idColumn)),
    ...(primaryKey === null ? [] : upsertObjection(situation.upserts ?? [], choice.column, idColumn)),
    ...rangeObjections(choice, runway.at(-1)?.to ?? cut, request),
    ...widthObjections(choice, runway.at(-1)?.to ?? cut),
  ].filter(({ code, acceptable }) => !(acceptable && request.accept.includes(code)))

  const names = chooseNames(situation, choice, runway)
  const steps = all.length > 0 ? [] : conversionSteps({ situation, choice, cut, runway, primaryKey, names, premake })
  assertDistinctKeys(steps)
  return {
    goal: `partition ${display(table.name)} by ${choice.column}, ${describeWidth(choice)}`,
    table: table.name,
    evidence: [...choice.evidence, ...describeCut(choice, cut, names.history, request)],
    fates: fatesOf(table, names.history, primaryKey),
    objections: all,
    notes: [...serverNotes(server), ...notesOn(situation, request, choice, primaryKey)],
    steps,
    policy: {
      column: choice.column,
      kind: choice.kind,
      timezone: request.timezone,
      every:
        choice.grid.kind === 'id' && request.every.kind === 'ids'
          ? { kind: 'ids', ids: choice.grid.width }
          : request.every,
      expireBy: request.expireBy,
      keep: request.keep,
      premake,
    },
    history: names.history,
    former: table,
  }
}

function refuse(
  { table }: PartitionSituation,
  request: PartitionRequest,
  objections: readonly Objection[],
): PartitionPlan {
  return {
    goal: `partition ${display(table.name)} by ${request.by}`,
    table: table.name,
    evidence: [],
    fates: [],
    objections,
    notes: [],
    steps: [],
    policy: null,
    history: table.name,
    former: table,
  }
}

function expiryObjections(table: TableModel, request: PartitionRequest): Objection[] {
  const object = (code: string, what: string, wayOut: string): Objection[] => [
    { code, what, wayOut, acceptable: false },
  ]
  const { expireBy } = request
  if (expireBy === null) {
    if (request.every.kind === 'ids' && request.keep !== null)
      return object(
        'expire-by',
        'rows partitioned by id have no age by themselves',
        'Name the time column by which they expire: --expire-by created_at.',
      )
    return []
  }
  const column = table.columns.find(({ name }) => name === expireBy)
  if (column === undefined)
    return object(
      'no-column',
      `${display(table.name)} has no column ${JSON.stringify(expireBy)}`,
      `Its columns are ${table.columns.map(({ name }) => name).join(', ')}.`,
    )
  if (!/^(timestamp|date)/.test(column.type))
    return object(
      'expire-by-type',
      `column ${expireBy} is of type ${column.type}, which is no time`,
      'Name a timestamptz, timestamp or date column with --expire-by.',
    )
  return []
}

// ---- where the bounds fall -------------------------------------------------

/** What preparing takes at most before the clock might reach the cut, in microseconds: the CHECK rejects rows beyond it. */
const MARGIN_MICROS = 2n * 3_600_000_000n

/**
 * The upper bound of the history partition: a bound of the grid, safely ahead
 * of everything that will be written until the swap, and of every row there is
 * as long as that lies within the runway.
 */
export function cutFor(choice: KeyChoice, now: bigint, premake: number): Position {
  const { grid, kind, max, head } = choice
  const safe = kind === 'id' ? head + idMargin(choice) : positionOf(kind, now + MARGIN_MICROS, choice.timezone)
  const wished = max !== null && max >= safe && max < furthest(choice, premake) ? max + 1n : safe
  const bound = floor(grid, kind, wished)
  return bound === wished ? bound : next(grid, kind, bound)
}

function furthest(choice: KeyChoice, premake: number): Position {
  let end = floor(choice.grid, choice.kind, choice.head)
  for (let i = 0; i <= premake; i++) end = next(choice.grid, choice.kind, end)
  return end
}

// Ids are reserved by caches and rolled-back work as well; where the rate is unknown a tenth of a partition has to do.
function idMargin({ idRate, grid }: KeyChoice): bigint {
  const width = grid.kind === 'id' ? grid.width : 0n
  const byRate = idRate === null ? 0n : BigInt(Math.ceil(idRate * Number(MARGIN_MICROS)))
  const tenth = width / 10n
  return byRate > tenth ? byRate : tenth
}

function runwayFrom(choice: KeyChoice, cut: Position, premake: number): Cell[] {
  let end = cut
  for (let i = 0; i < premake; i++) end = next(choice.grid, choice.kind, end)
  return cellsBetween(choice.grid, choice.kind, cut, end)
}

// ---- names -------------------------------------------------------------------

interface Names {
  readonly history: TableName
  readonly guard: string
  readonly leaves: readonly TableName[]
  readonly taken: ReadonlySet<string>
}

function chooseNames({ table, taken }: PartitionSituation, choice: KeyChoice, runway: readonly Cell[]): Names {
  const { schema, name } = table.name
  const used = new Set(taken)
  const history = freeName(companion(name, '_history'), used)
  used.add(history)
  const leaves = runway.map(({ from }) => {
    const leaf = partitionName(name, choice.grid, choice.kind, from, used)
    used.add(leaf)
    return { schema, name: leaf }
  })
  const constraints = new Set(table.constraints.map((constraint) => constraint.name))
  return {
    history: { schema, name: history },
    guard: freeName(companion(name, '_ebb_bound'), constraints),
    leaves,
    taken: used,
  }
}

// ---- the primary key -----------------------------------------------------------

/** PostgreSQL wants the key in the primary key; null when it is there already, or there is no primary key. */
function newPrimaryKey({ table, taken }: PartitionSituation, key: string): NewPrimaryKey | null {
  const index = table.indexes.find(({ primary }) => primary)
  const constraint = table.constraints.find(({ type }) => type === 'primary key')
  if (index === undefined || constraint === undefined || constraint.columns.includes(key)) return null
  const written = (column: string) => table.columns.find(({ name }) => name === column)?.quoted ?? column
  const included = index.included.filter((column) => column !== key)
  return {
    constraint: constraint.name,
    index: freeName(companion(constraint.name, '_history'), taken),
    definition: [
      `PRIMARY KEY (${[...constraint.columns, key].map(written).join(', ')})`,
      ...(included.length === 0 ? [] : [`INCLUDE (${included.map(written).join(', ')})`]),
      ...(constraint.deferrable ? ['DEFERRABLE'] : []),
      ...(constraint.deferred ? ['INITIALLY DEFERRED'] : []),
    ].join(' '),
  }
}

function buildPrimaryKeyIndex(table: TableModel, primaryKey: NewPrimaryKey, key: string): Step {
  const current = table.indexes.find(({ primary }) => primary) as Index
  const columns = join(
    [...current.columns.flatMap((column) => (column === null ? [] : [column])), key].map((column) => ident(column)),
  )
  const included = current.included.filter((column) => column !== key)
  const include = included.length === 0 ? raw('') : sql` include (${join(included.map((column) => ident(column)))})`
  const storage = current.options.length === 0 ? raw('') : sql` with (${raw(current.options.join(', '))})`
  const tablespace = current.tablespace === null ? raw('') : sql` tablespace ${ident(current.tablespace)}`
  return {
    kind: 'index',
    key: 'primary-key-index',
    title: `build the index of the new primary key, ${primaryKey.definition.replace('PRIMARY KEY ', '')}`,
    because: 'a primary key of a partitioned table must contain the key; built concurrently, it costs no lock',
    locks: [{ table: table.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: `about ${duration(rowsOf(table) / INDEXED_ROWS_PER_SECOND)} for ${count(rowsOf(table))} rows, and about as much disk as the present one (${bytes(current.bytes)}) and a half`,
    index: { schema: table.name.schema, name: primaryKey.index },
    statements: [
      sql`create unique index concurrently ${ident(primaryKey.index)} on ${quoted(table.name)} (${columns})${include}${storage}${tablespace}`
        .text,
    ],
  }
}

// ---- the steps -----------------------------------------------------------------

interface Conversion {
  readonly situation: PartitionSituation
  readonly choice: KeyChoice
  readonly cut: Position
  readonly runway: readonly Cell[]
  readonly primaryKey: NewPrimaryKey | null
  readonly names: Names
  readonly premake: number
}

function conversionSteps(conversion: Conversion): Step[] {
  const { situation, choice, cut, runway, primaryKey, names } = conversion
  const { table, server } = situation
  const [first, ...others] = runway
  const [firstName, ...otherNames] = names.leaves
  if (first === undefined || firstName === undefined) throw new Error('a runway has at least one partition')
  const request = {
    table,
    key: `range (${ident(choice.column).text})`,
    history: names.history,
    cut: boundLiteral(choice.kind, cut, 'to'),
    first: { name: firstName, to: boundLiteral(choice.kind, first.to, 'to') },
    guard: names.guard,
    primaryKey,
    taken: names.taken,
    role: server.role,
  }
  return [
    rehearsal(request, choice),
    ...(primaryKey === null ? [] : [buildPrimaryKeyIndex(table, primaryKey, choice.column)]),
    ...guardSteps(conversion),
    planSwap(request),
    ...others.map((cell, i) => leafStep(conversion, cell, otherNames[i] as TableName)),
    ...table.inboundForeignKeys.filter(({ validated }) => validated).map((key) => validateInbound(table, key)),
    analyzeStep(table),
  ]
}

/** Proves the bound without a lock that blocks: the CHECK is NOT VALID in a moment and validated at leisure. */
function guardSteps({ situation: { table }, choice, cut, names }: Conversion): Step[] {
  const place = quoted(table.name)
  const guard = ident(names.guard)
  const bound = sql`${ident(choice.column)} < ${literalOf(choice, cut)}`
  return [
    {
      kind: 'brief',
      key: 'guard',
      title: `say that every row lies before ${shown(choice, cut)}`,
      because: `PostgreSQL then need not read the table when it becomes a partition; until the swap a row beyond it would be rejected, so the bound lies well ahead`,
      locks: [{ table: table.name, mode: 'ACCESS EXCLUSIVE', blocks: 'reads and writes', held: 'milliseconds' }],
      cost: 'milliseconds: no row is read',
      quiet: table.name,
      acquire: [sql`lock table ${place} in access exclusive mode`.text],
      statements: [sql`alter table ${place} add constraint ${guard} check (${bound}) not valid`.text],
    },
    {
      kind: 'online',
      key: 'validate-guard',
      title: 'prove it',
      because: 'this reads every row once, while everybody works',
      locks: [{ table: table.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: `reads ${bytes(table.size.heap)}, about ${duration(table.size.heap / READ_BYTES_PER_SECOND)}`,
      statements: [sql`alter table ${place} validate constraint ${guard}`.text],
    },
  ]
}

function leafStep({ situation, choice }: Conversion, cell: Cell, name: TableName): Step {
  const { table, server } = situation
  const shape = {
    ...leafShape(table),
    triggers: table.triggers.filter(({ perRow, enabled }) => perRow && enabled !== 'origin'),
  }
  return {
    kind: 'brief',
    key: `runway:${name.name}`,
    title: `add partition ${display(name)}`,
    because: `for rows from ${shown(choice, cell.from)} until ${shown(choice, cell.to)}`,
    locks: leafLocks(table.name, neighboursReferenced(table)),
    cost: 'milliseconds: it is empty',
    quiet: null,
    acquire: [],
    statements: createLeaf(
      shape,
      name,
      boundLiteral(choice.kind, cell.from, 'from'),
      boundLiteral(choice.kind, cell.to, 'to'),
      server.role,
    ),
  }
}

/** What adding an empty partition locks: the parent harmlessly, referenced tables for a moment. */
export function leafLocks(parent: TableName, referenced: readonly TableName[]): Lock[] {
  return [
    { table: parent, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
    ...referenced.map((name): Lock => ({
      table: name,
      mode: 'SHARE ROW EXCLUSIVE',
      blocks: 'writes',
      held: 'milliseconds',
    })),
  ]
}

function neighboursReferenced(table: TableModel): TableName[] {
  const referencing = new Set(table.inboundForeignKeys.map((key) => display(key.table)))
  return neighbours(table).filter((name) => !referencing.has(display(name)))
}

function validateInbound(table: TableModel, key: TableModel['inboundForeignKeys'][number]): Step {
  return {
    kind: 'online',
    key: `validate:${display(key.table)}.${key.name}`,
    title: `validate foreign key ${key.name} of ${display(key.table)}`,
    because: 'the swap has pointed it at the new parent without checking the rows there are',
    locks: [
      { table: key.table, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' },
      { table: table.name, mode: 'ROW SHARE', blocks: 'nothing', held: 'all along' },
    ],
    cost: `reads ${display(key.table)} once`,
    statements: [sql`alter table ${quoted(key.table)} validate constraint ${ident(key.name)}`.text],
  }
}

function analyzeStep(table: TableModel): Step {
  return {
    kind: 'online',
    key: 'analyze',
    title: `analyze ${display(table.name)}`,
    because: 'autovacuum never analyses a partitioned parent, and without statistics of it plans go bad',
    locks: [{ table: table.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: 'reads a sample',
    statements: [sql`analyze ${quoted(table.name)}`.text],
  }
}

/** The bound as a literal of the column's own type: of any other type PostgreSQL does not take it as proof. */
function literalOf(choice: KeyChoice, position: Position): Sql {
  return sql`${literal(toText(choice.kind, position))}::${raw(choice.type)}`
}

// ---- words -----------------------------------------------------------------------

function describeWidth({ grid }: KeyChoice): string {
  return grid.kind === 'id' ? `${grid.width} ids a partition` : `one partition every ${displayInterval(grid.every)}`
}

function describeCut(
  choice: KeyChoice,
  cut: Position,
  history: TableName,
  { keep, timezone }: PartitionRequest,
): string[] {
  const where = `the rows there are become partition ${display(history)}, which ends at ${shown(choice, cut)}`
  if (keep === null || choice.kind === 'id') return [where]
  const gone = plus(cut, keep, choice.kind, timezone)
  return [
    where,
    `with ${displayInterval(keep)} kept it can go as a whole on ${displayPosition(choice.kind, gone, timezone)}`,
  ]
}

function notesOn(
  { upserts }: PartitionSituation,
  request: PartitionRequest,
  choice: KeyChoice,
  primaryKey: NewPrimaryKey | null,
): string[] {
  return [
    ...(primaryKey === null
      ? []
      : [
          `the primary key becomes ${primaryKey.definition}: ON CONFLICT must name ${choice.column} too, and uniqueness of the former columns alone holds no longer across partitions`,
        ]),
    ...(primaryKey !== null && upserts === null
      ? ['pg_stat_statements cannot be read, so whether the application uses ON CONFLICT is not known']
      : []),
    'INSERT … RETURNING xmin or xmax fails on partitioned tables, and ctid is unique only within one partition: statements that use them must change',
    ...(choice.kind === 'timestamp' || choice.kind === 'date'
      ? [`${choice.column} has no time zone; it is read as the wall clock of ${request.timezone}`]
      : []),
    ...(request.keep === null ? ['no --keep is given: rotate will make partitions ahead and remove none'] : []),
  ]
}

/** An integer primary key that could be the key while the rows expire by time. */
function growingId(table: TableModel): string | null {
  const primary = table.indexes.find(({ primary }) => primary)
  const column = primary?.columns.length === 1 ? primary.columns[0] : null
  const type = table.columns.find(({ name }) => name === column)?.type
  return column != null && (type === 'bigint' || type === 'integer') ? column : null
}

function shown({ kind, timezone }: KeyChoice, position: Position): string {
  return displayPosition(kind, position, timezone)
}

// Cautious figures from a small machine; only the order of magnitude matters to the reader.
const READ_BYTES_PER_SECOND = 400_000_000
const INDEXED_ROWS_PER_SECOND = 1_000_000

function rowsOf(table: TableModel): number {
  return table.estimatedRows ?? 0
}

function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = n < 1 ? 0 : Math.min(Math.floor(Math.log10(n) / 3), units.length - 1)
  return `${(n / 1000 ** power).toFixed(power === 0 || n / 1000 ** power >= 100 ? 0 : 1)} ${units[power]}`
}

function count(n: number): string {
  return Math.round(n).toLocaleString('en-US')
}

function duration(seconds: number): string {
  if (seconds < 1) return 'a second'
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}
