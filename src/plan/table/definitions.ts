import type {
  Column,
  Constraint,
  Index,
  Publication,
  RowSecurity,
  SqlFunction,
  TableModel,
  Trigger,
} from '../../catalog/table/table-model.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'

// The statements that give a table what a table of the same name had before.
// Wherever PostgreSQL prints a complete definition it is executed word for
// word: the new table has the old name by then, so the text means the new one.
// No definition is ever rewritten by search and replace.

type Statement = string

/** What `like … including` leaves behind of a column: statistics target, `n_distinct`, … */
export function columnSettings(table: TableModel): Statement[] {
  const alter = (column: Column, action: Sql) =>
    sql`alter table ${quoted(table.name)} alter column ${ident(column.name)} ${action}`.text
  return table.columns.flatMap((column) => [
    ...(column.statisticsTarget === null
      ? []
      : [alter(column, sql`set statistics ${raw(String(column.statisticsTarget))}`)]),
    ...(column.options.length === 0 ? [] : [alter(column, sql`set (${raw(column.options.join(', '))})`)]),
  ])
}

export function constraint(table: TableName, model: Pick<Constraint, 'name' | 'definition' | 'comment'>): Statement[] {
  return [
    sql`alter table ${quoted(table)} add constraint ${ident(model.name)} ${raw(model.definition)}`.text,
    ...constraintComment(table, model),
  ]
}

export function constraintComment(
  table: TableName,
  { name, comment }: Pick<Constraint, 'name' | 'comment'>,
): Statement[] {
  return commentOn(sql`constraint ${ident(name)} on ${quoted(table)}`, comment)
}

/**
 * A key's definition with the storage parameters of its index, which the grammar wants
 * before DEFERRABLE. pg_get_constraintdef leaves them out, but for exclusion constraints.
 */
export function withStorage(
  definition: string,
  { type }: Pick<Constraint, 'type'>,
  options: readonly string[],
): string {
  if (options.length === 0 || type === 'exclusion') return definition
  const attributes = / DEFERRABLE( INITIALLY DEFERRED)?$/.exec(definition)?.[0] ?? ''
  const keys = definition.slice(0, definition.length - attributes.length)
  return `${keys} WITH (${options.join(', ')})${attributes}`
}

/** An index that no constraint owns. */
export function index(schema: string, model: Index): Statement[] {
  return [...inTablespace(model.tablespace, [model.definition]), ...indexSettings(schema, model)]
}

/** A key with its index; no definition that PostgreSQL prints says where an index is, nor that of a key how it is stored. */
export function key(table: TableName, model: Index, keyed: Constraint, definition = keyed.definition): Statement[] {
  const stored = withStorage(definition, keyed, model.options)
  return [
    ...inTablespace(model.tablespace, constraint(table, { ...keyed, definition: stored })),
    ...indexSettings(table.schema, { ...model, name: keyed.name }),
  ]
}

/** Indexes that these make, those of partitions too, come into the tablespace. */
export function inTablespace(tablespace: string | null, statements: readonly Statement[]): Statement[] {
  if (tablespace === null) return [...statements]
  return [
    sql`set local default_tablespace = ${ident(tablespace)}`.text,
    ...statements,
    `set local default_tablespace = ''`,
  ]
}

/** Statements after an index has been created, be it a constraint's or not; a constraint has a comment of its own. */
function indexSettings(schema: string, index: Index): Statement[] {
  const { name, statisticsTargets } = index
  const place = quoted({ schema, name })
  return [
    ...statisticsTargets.map(
      ({ column, target }) =>
        sql`alter index ${place} alter column ${raw(String(column))} set statistics ${raw(String(target))}`.text,
    ),
    ...keyIndex(schema, index),
  ]
}

/** Renaming the index of a constraint renames the constraint. */
export function renameIndexes(schema: string, names: readonly (readonly [from: string, to: string])[]): Statement[] {
  return names.map(([from, to]) => sql`alter index ${ident(schema, from)} rename to ${ident(to)}`.text)
}

/** What a constraint's index has besides what the constraint says. */
export function keyIndex(schema: string, { name, extensions, comment }: Index): Statement[] {
  const object = sql`index ${quoted({ schema, name })}`
  return [...dependsOn(object, extensions), ...commentOn(object, comment)]
}

export function trigger(table: TableName, { name, definition, extensions, comment }: Trigger): Statement[] {
  const object = sql`trigger ${ident(name)} on ${quoted(table)}`
  return [definition, ...dependsOn(object, extensions), ...commentOn(object, comment)]
}

export function dropTriggers(table: TableName, triggers: readonly { readonly name: string }[]): Statement[] {
  return triggers.map(({ name }) => sql`drop trigger ${ident(name)} on ${quoted(table)}`.text)
}

export const TRIGGER_STATE = {
  origin: 'enable',
  disabled: 'disable',
  replica: 'enable replica',
  always: 'enable always',
} as const

/**
 * The firing state of a trigger, said to the parent and to each partition:
 * before 15 the parent's state does not reach the partitions' own triggers.
 */
export function triggerState(
  tables: readonly TableName[],
  { name, enabled }: Pick<Trigger, 'name' | 'enabled'>,
): Statement[] {
  if (enabled === 'origin') return []
  return tables.map(
    (table) => sql`alter table ${quoted(table)} ${raw(TRIGGER_STATE[enabled])} trigger ${ident(name)}`.text,
  )
}

export function isSecured(state: RowSecurity): boolean {
  return state === 'on' || state === 'forced'
}

export function rowSecurity(table: TableName, state: RowSecurity): Statement[] {
  const alter = sql`alter table ${quoted(table)}`
  return [
    ...(isSecured(state) ? [sql`${alter} enable row level security`.text] : []),
    ...(state === 'forced' || state === 'off, but forced' ? [sql`${alter} force row level security`.text] : []),
  ]
}

export function policies(table: Pick<TableModel, 'name' | 'policies'>): Statement[] {
  return table.policies.flatMap((policy) => {
    const to = join(policy.roles.map((role) => (role === null ? raw('public') : ident(role))))
    const kind = raw(policy.permissive ? 'permissive' : 'restrictive')
    const using = policy.using === null ? raw('') : sql` using (${raw(policy.using)})`
    const check = policy.check === null ? raw('') : sql` with check (${raw(policy.check)})`
    return [
      sql`create policy ${ident(policy.name)} on ${quoted(table.name)} as ${kind} for ${raw(policy.command)} to ${to}${using}${check}`
        .text,
      ...commentOn(sql`policy ${ident(policy.name)} on ${quoted(table.name)}`, policy.comment),
    ]
  })
}

export function rules(table: TableModel): Statement[] {
  return table.rules.flatMap(({ name, definition, enabled, comment }) => [
    withoutSemicolon(definition),
    ...(enabled === 'origin'
      ? []
      : [sql`alter table ${quoted(table.name)} ${raw(TRIGGER_STATE[enabled])} rule ${ident(name)}`.text]),
    ...commentOn(sql`rule ${ident(name)} on ${quoted(table.name)}`, comment),
  ])
}

/** `or replace` keeps a rule's state and comment, and takes the new table for the one it mentions. */
export function otherRules({ otherRules = [] }: TableModel): Statement[] {
  return otherRules.map(({ definition }) =>
    withoutSemicolon(definition.replace(/^CREATE RULE/, 'CREATE OR REPLACE RULE')),
  )
}

/** The same for a policy, which is altered to what it is. */
export function otherPolicies({ otherPolicies = [] }: TableModel): Statement[] {
  return otherPolicies.map(({ of, name, using, check }) => {
    const parts = [
      ...(using === null ? [] : [sql`using (${raw(using)})`]),
      ...(check === null ? [] : [sql`with check (${raw(check)})`]),
    ]
    return sql`alter policy ${ident(name)} on ${quoted(of)} ${join(parts, ' ')}`.text
  })
}

/** A constraint trigger cannot be replaced. */
export function dropOtherTriggers({ otherTriggers = [] }: TableModel): Statement[] {
  return otherTriggers.flatMap((one) => dropTriggers(one.of, [one]))
}

export function otherTriggers({ otherTriggers = [] }: TableModel): Statement[] {
  return otherTriggers.flatMap((one) => [...trigger(one.of, one), ...triggerState([one.of], one)])
}

export function statistics(table: TableModel, role: string): Statement[] {
  return table.statistics.flatMap(({ name, definition, owner, target, comment }) => [
    definition,
    ...(owner === role ? [] : [sql`alter statistics ${quoted(name)} owner to ${ident(owner)}`.text]),
    ...(target === null ? [] : [sql`alter statistics ${quoted(name)} set statistics ${raw(String(target))}`.text]),
    ...commentOn(sql`statistics ${quoted(name)}`, comment),
  ])
}

export function renameStatistics(names: readonly (readonly [from: TableName, to: string])[]): Statement[] {
  return names.map(([from, to]) => sql`alter statistics ${quoted(from)} rename to ${ident(to)}`.text)
}

const REPLICA_IDENTITY = { default: null, nothing: 'nothing', full: 'full' } as const

/** What logical replication says of an updated row; `indexName` is that of the table at hand. */
export function replicaIdentity(
  table: TableName,
  model: Pick<TableModel, 'replicaIdentity'>,
  indexName: string | null,
): Statement[] {
  const alter = sql`alter table ${quoted(table)} replica identity`
  if (model.replicaIdentity === 'index')
    return indexName === null ? [] : [sql`${alter} using index ${ident(indexName)}`.text]
  const identity = REPLICA_IDENTITY[model.replicaIdentity]
  return identity === null ? [] : [sql`${alter} ${raw(identity)}`.text]
}

/** Takes the table out of the publications that name it. */
export function unpublish(table: TableName, list: readonly Publication[]): Statement[] {
  return list
    .filter(({ covers }) => covers === 'table')
    .map(({ name }) => sql`alter publication ${ident(name)} drop table ${quoted(table)}`.text)
}

export function publish(table: TableName, list: readonly Publication[]): Statement[] {
  return list
    .filter(({ covers }) => covers === 'table')
    .map(({ name, columns, filter }) => {
      const only = columns === null ? raw('') : sql` (${join(columns.map((column) => ident(column)))})`
      const where = filter === null ? raw('') : sql` where (${raw(filter)})`
      return sql`alter publication ${ident(name)} add table ${quoted(table)}${only}${where}`.text
    })
}

/** `create or replace` keeps the view's identity, owner, grants, and the views on top of it; its options it would reset. */
export function views(table: TableModel): Statement[] {
  return table.views.map(({ name, options, definition }) => {
    const withOptions = options.length === 0 ? raw('') : sql` with (${raw(options.join(', '))})`
    return sql`create or replace view ${quoted(name)}${withOptions} as ${raw(withoutSemicolon(definition))}`.text
  })
}

/** `create or replace` forgets on which extensions they depend. */
export function functions(table: TableModel): Statement[] {
  return table.functions.flatMap(({ signature, definition, extensions }: SqlFunction) => [
    withoutSemicolon(definition),
    ...dependsOn(sql`routine ${raw(signature)}`, extensions),
  ])
}

export function foreignKeysOf(table: Pick<TableModel, 'constraints'>): Constraint[] {
  return table.constraints.filter(({ type }) => type === 'foreign key')
}

/** PostgreSQL 14 has dropped one onto a partitioned table by itself, where the table that has it was detached. */
export function dropForeignKeys(table: TableName, keys: readonly { readonly name: string }[]): Statement[] {
  return keys.map(({ name }) => sql`alter table ${quoted(table)} drop constraint if exists ${ident(name)}`.text)
}

export function tableComment(table: TableModel): Statement[] {
  return commentOn(sql`table ${quoted(table.name)}`, table.comment)
}

function dependsOn(object: Sql, extensions: readonly string[] = []): Statement[] {
  return extensions.map((extension) => sql`alter ${object} depends on extension ${ident(extension)}`.text)
}

export function commentOn(object: Sql, comment: string | null): Statement[] {
  return comment === null ? [] : [sql`comment on ${object} is ${literal(comment)}`.text]
}

function withoutSemicolon(definition: string): string {
  return definition.trimEnd().replace(/;$/, '')
}
