import type { Constraint, Index, TableModel } from '../../catalog/table/table-model.ts'
import { display, freeCompanion, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { provenKeys } from './constraint-triggers.ts'
import * as definitions from './definitions.ts'
import { foreignKeysOf } from './definitions.ts'
import { withoutNotValid } from './fact.ts'
import { factsOf } from './facts.ts'
import { ownersAlone, ownership } from './privileges.ts'
import type { ShortLockStep, Facts, OnlineStep, Step } from '../language/step.ts'
import { showBytes } from '../../text/units.ts'

// The shadow: a new table with the columns of the source and, while it fills,
// nothing else. What slows a load or would refuse rows that the source has
// (indexes, checks, foreign keys) is added when the rows are there.

/** A new table in the making, plain or partitioned. */
export interface Shadow {
  readonly name: TableName
  /** None where it is a plain table. */
  readonly leaves: readonly TableName[]
  readonly create: readonly string[]
  /** Indexes, keys and constraints, to be made when the rows are there. */
  readonly finish: readonly Step[]
  /** Under the lock, once the table has given up its name: it takes that, and then what has been built its place. */
  readonly takePlace: readonly string[]
  readonly indexes: readonly string[]
  readonly foreignKeys: readonly string[]
  /** What must be true of the table before the swap commits. */
  readonly after: Facts
  /** After the swap, while the table is in use. */
  readonly settle: readonly Step[]
  /** What is true of the table when all is done. */
  readonly outcome: Facts
}

/** The names of the shadow and its indexes until the swap gives them those of the source. */
export interface ShadowNames {
  readonly shadow: TableName
  readonly indexes: Readonly<Record<string, string>>
}

export function shadowNames(table: TableModel, taken: ReadonlySet<string>): ShadowNames {
  const used = new Set(taken)
  const use = (base: string): string => {
    const name = freeCompanion(base, '_ebb', used)
    used.add(name)
    return name
  }
  const shadow = { schema: table.name.schema, name: use(table.name.name) }
  return { shadow, indexes: Object.fromEntries(table.indexes.map(({ name }) => [name, use(name)])) }
}

/** A shadow that is one plain table. `share` is the part of the rows that is kept, for estimates. */
export function plainShadow(table: TableModel, names: ShadowNames, role: string, share: number): Shadow {
  const { shadow } = names
  const checks = [...table.constraints.filter(({ type }) => type === 'check'), ...unprovenNotNull(table)]
  return {
    name: shadow,
    leaves: [],
    create: [...createPlain(table, shadow, role), ...ownership(shadow, table.owner, role)],
    finish: [
      ...table.indexes.map((index) => indexStep(table, names, index, null, share)),
      ...checks.map((check) => checkStep(shadow, check)),
    ],
    takePlace: [rename(shadow, table.name), ...resetAutovacuum(table)],
    indexes: [...renamedIndexes(table, names), ...clusterMark(table)],
    foreignKeys: addForeignKeys([table.name], foreignKeysOf(table)),
    after: factsOf(withUnproven(table, foreignKeysOf(table))),
    settle: validateForeignKeys([table.name], provenKeys(table)),
    outcome: factsOf(table),
  }
}

/** Columns only, unlogged like the table; autovacuum stays away until the rows are there and it would find something to do. */
function createPlain(table: TableModel, shadow: TableName, role: string): string[] {
  const place = quoted(shadow)
  const tablespace = table.tablespace === null ? raw('') : sql` tablespace ${ident(table.tablespace)}`
  const own = table.options.filter((option) => !option.startsWith('autovacuum_enabled='))
  const options = raw([...own, 'autovacuum_enabled=false'].join(', '))
  return [
    sql`create ${raw(table.persistence === 'unlogged' ? 'unlogged ' : '')}table ${place} (${columnsLike(table)}) with (${options})${tablespace}`
      .text,
    ...withoutUnprovenNotNull(table, shadow),
    ...definitions.columnSettings({ ...table, name: shadow }),
    ...ownersAlone(shadow, role, table.defaultGrantees),
  ]
}

/** LIKE would have it hold for every row, and those that violate it would be refused. */
function withoutUnprovenNotNull(table: TableModel, shadow: TableName): string[] {
  return unprovenNotNull(table).map(
    ({ name }) => sql`alter table ${quoted(shadow)} drop constraint ${ident(name)}`.text,
  )
}

/** From 18 on NOT NULL may be NOT VALID. */
function unprovenNotNull(table: TableModel): Constraint[] {
  return table.constraints.filter(({ type, validated }) => type === 'not null' && !validated)
}

/** The columns with defaults, generation, storage, compression and comments; no constraints but NOT NULL. */
export function columnsLike(table: TableModel): Sql {
  const what = ['defaults', 'generated', 'storage', 'compression', 'comments']
  return sql`like ${quoted(table.name)} ${raw(what.map((one) => `including ${one}`).join(' '))}`
}

/** As it was; with what came after it, so that the parameters are in the same order again. */
function resetAutovacuum(table: TableModel): string[] {
  const place = quoted(table.name)
  const own = table.options.filter((option) => !option.startsWith('toast.'))
  const position = own.findIndex((option) => option.startsWith('autovacuum_enabled='))
  if (position === -1) return [sql`alter table ${place} reset (autovacuum_enabled)`.text]
  const wanted = own.slice(position)
  const names = wanted.map((option) => option.split('=')[0])
  return [
    sql`alter table ${place} reset (${raw(names.join(', '))})`.text,
    sql`alter table ${place} set (${raw(wanted.join(', '))})`.text,
  ]
}

function clusterMark(table: TableModel): string[] {
  return table.indexes
    .filter(({ clustered }) => clustered)
    .map(({ name }) => sql`alter table ${quoted(table.name)} cluster on ${ident(name)}`.text)
}

export function rename(table: TableName, { name }: TableName): string {
  return sql`alter table ${quoted(table)} rename to ${ident(name)}`.text
}

/** From the names under which they were built. */
export function renamedIndexes({ name }: TableModel, { indexes }: ShadowNames): string[] {
  return definitions.renameIndexes(
    name.schema,
    Object.entries(indexes).map(([index, built]) => [built, index]),
  )
}

/** The columns that are written; generated ones make themselves. */
export function writtenColumns(table: TableModel): Sql {
  return join(table.columns.filter(({ generated }) => !generated).map(({ name }) => ident(name)))
}

/** Builds an index of the shadow: the source's, under another name; `definition` where a key has to change. */
export function indexStep(
  table: TableModel,
  names: ShadowNames,
  index: Index,
  definition: string | null,
  share: number,
): OnlineStep {
  return online(
    `index:${index.name}`,
    `build index ${index.name}`,
    'after the load, which is several times faster than during it',
    `about ${showBytes(index.bytes * share)}`,
    shadowIndex(table, names, index, definition),
  )
}

function shadowIndex(
  table: TableModel,
  { shadow, indexes }: ShadowNames,
  index: Index,
  definition: string | null,
): string[] {
  const { schema } = table.name
  const name = indexes[index.name] ?? ''
  const constraint = table.constraints.find((candidate) => candidate.name === index.constraint)
  if (constraint === undefined)
    return definitions.index(schema, { ...index, name, definition: indexDefinition(index, name, shadow) })
  return definitions.key(shadow, index, { ...constraint, name }, definition ?? constraint.definition)
}

function indexDefinition(index: Index, name: string, table: TableName): string {
  const unique = index.unique ? 'unique ' : ''
  return sql`create ${raw(unique)}index ${ident(name)} on ${quoted(table)} ${raw(index.tail)}`.text
}

/** A check, or NOT NULL, in the state it is in: one that was never validated must not refuse the rows that violate it. */
export function checkStep(shadow: TableName, check: Constraint): OnlineStep {
  return online(
    `check:${check.name}`,
    `add ${check.type} ${check.name}`,
    'in the state it is in',
    'reads the new table once',
    definitions.constraint(shadow, check),
  )
}

/** Before 15 a partition that is detached loses its foreign keys onto partitioned tables, without a word. */
export function lostByDetaching(table: TableModel, version: number): Constraint[] {
  return version < 150000 ? foreignKeysOf(table).filter(({ ontoPartitioned }) => ontoPartitioned) : []
}

/**
 * Adds the foreign keys without looking at the rows. Only under the lock of a swap: until then the copy lags behind,
 * and its rows would keep what they point at from being deleted, though the application has deleted them already.
 */
export function addForeignKeys(tables: readonly TableName[], keys: readonly Constraint[]): string[] {
  return keys.flatMap((key) =>
    tables.flatMap((place) => definitions.constraint(place, { ...key, definition: unproven(key.definition) })),
  )
}

/** Proves those that were proven before. */
export function validateForeignKeys(tables: readonly TableName[], keys: readonly Constraint[]): OnlineStep[] {
  return keys.map(({ name }) =>
    online(
      `validate:${name}`,
      `validate foreign key ${name}`,
      'the swap has added it NOT VALID',
      'reads the new table once',
      tables.map((place) => sql`alter table ${quoted(place)} validate constraint ${ident(name)}`.text),
    ),
  )
}

/** The table as it is between the swap and the validation of these foreign keys. */
export function withUnproven(table: TableModel, keys: readonly Constraint[]): TableModel {
  const constraints = table.constraints.map((one) =>
    keys.includes(one) ? { ...one, validated: false, definition: unproven(one.definition) } : one,
  )
  return { ...table, constraints }
}

/** The table as it is when all have been validated. */
export function withProven(table: TableModel): TableModel {
  const constraints = table.constraints.map((one) =>
    one.type === 'foreign key' ? { ...one, validated: true, definition: withoutNotValid(one.definition) } : one,
  )
  return { ...table, constraints }
}

function unproven(definition: string): string {
  return / NOT (?:VALID|ENFORCED)$/.test(definition) ? definition : `${definition} NOT VALID`
}

/** A foreign key of tables that are not in use yet: added NOT VALID, then validated without blocking the referenced table. */
export function foreignKeySteps(
  tables: readonly TableName[],
  key: Pick<Constraint, 'name' | 'definition' | 'comment' | 'references' | 'validated'>,
): Step[] {
  const add = shortLockStep(
    `foreign-key:${key.name}`,
    `add foreign key ${key.name}`,
    'without looking at the rows yet',
    key.references as TableName,
    tables.flatMap((table) => definitions.constraint(table, { ...key, definition: unproven(key.definition) })),
  )
  if (!key.validated) return [add]
  return [
    add,
    online(
      `validate:${key.name}`,
      `validate foreign key ${key.name}`,
      'reads every row once, while the table stays in use',
      'reads the new table once',
      tables.map((table) => sql`alter table ${quoted(table)} validate constraint ${ident(key.name)}`.text),
    ),
  ]
}

/** A step that locks a referenced table against writes, for milliseconds. */
export function shortLockStep(
  key: string,
  title: string,
  because: string,
  referenced: TableName,
  statements: readonly string[],
): ShortLockStep {
  return {
    kind: 'short lock',
    key,
    title: `${title}, which points at ${display(referenced)}`,
    because,
    locks: [{ table: referenced, mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', held: 'milliseconds' }],
    cost: 'milliseconds',
    quiet: null,
    acquire: [],
    statements,
  }
}

/** A step on tables that are not in use yet. */
export function online(
  key: string,
  title: string,
  because: string,
  cost: string,
  statements: readonly string[],
): OnlineStep {
  return { kind: 'online', key, title, because, locks: [], cost, statements }
}
