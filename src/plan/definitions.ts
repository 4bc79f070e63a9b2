import type {
  Column,
  Constraint,
  Grant,
  Index,
  InboundForeignKey,
  OwnedSequence,
  Publication,
  TableModel,
  Trigger,
} from '../catalog/table-model.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { withoutNotValid } from './facts.ts'
import { ident, join, literal, raw, sql, type Sql } from '../sql/sql.ts'

// The statements that give a table what a table of the same name had before.
// Wherever PostgreSQL prints a complete definition it is executed word for
// word: the new table has the old name by then, so the text means the new one.
// No definition is ever rewritten by search and replace.

type Statement = string

/** `table` becomes the property of its owner; nothing when we are the owner ourselves. */
export function ownership(table: TableName, owner: string, role: string): Statement[] {
  return owner === role ? [] : [sql`alter table ${quoted(table)} owner to ${ident(owner)}`.text]
}

/**
 * Exactly these privileges: those that `alter default privileges` would add are
 * taken away first, and the owner's own are left alone while they are complete.
 */
export function grants(
  what: 'table' | 'sequence',
  name: TableName,
  owner: string,
  given: readonly Grant[],
  byDefault: readonly string[],
): Statement[] {
  const object = sql`${raw(what)} ${quoted(name)}`
  const owned = given.filter((grant) => grant.grantee === owner && grant.column === null)
  const complete = owned.length >= (what === 'table' ? COMPLETE_TABLE_PRIVILEGES : COMPLETE_SEQUENCE_PRIVILEGES)
  const others = given.filter((grant) => !(complete && owned.includes(grant)))
  return [
    ...revokeDefaults(what, name, byDefault),
    ...(complete ? [] : [sql`revoke all on ${object} from ${ident(owner)}`.text]),
    ...others.flatMap((grant) => grantStatement(object, owner, grant)),
  ]
}

/** Takes away what `alter default privileges` has just given. */
export function revokeDefaults(what: 'table' | 'sequence', name: TableName, byDefault: readonly string[]): Statement[] {
  return byDefault.map((grantee) => sql`revoke all on ${raw(what)} ${quoted(name)} from ${raw(grantee)}`.text)
}

// INSERT, SELECT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER (and MAINTAIN from 17 on); USAGE, SELECT, UPDATE.
const COMPLETE_TABLE_PRIVILEGES = 7
const COMPLETE_SEQUENCE_PRIVILEGES = 3

// A privilege keeps the role that granted it: revoking that role's right later must still cascade to it.
function grantStatement(
  object: Sql,
  owner: string,
  { column, privilege, grantee, grantor, grantable }: Grant,
): Statement[] {
  const columns = column === null ? raw('') : sql` (${ident(column)})`
  const to = grantee === null ? raw('public') : ident(grantee)
  const statement =
    sql`grant ${raw(privilege.toLowerCase())}${columns} on ${object} to ${to}${raw(grantable ? ' with grant option' : '')}`
      .text
  return grantor === owner ? [statement] : [sql`set local role ${ident(grantor)}`.text, statement, 'reset role']
}

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

export function constraint(
  table: TableName,
  { name, definition, comment }: Pick<Constraint, 'name' | 'definition' | 'comment'>,
): Statement[] {
  return [
    sql`alter table ${quoted(table)} add constraint ${ident(name)} ${raw(definition)}`.text,
    ...commentOn(sql`constraint ${ident(name)} on ${quoted(table)}`, comment),
  ]
}

/**
 * A key's definition with the storage parameters of its index, which
 * pg_get_constraintdef leaves out and the grammar wants before DEFERRABLE.
 */
export function withStorage(definition: string, options: readonly string[]): string {
  if (options.length === 0) return definition
  const attributes = / DEFERRABLE( INITIALLY DEFERRED)?$/.exec(definition)?.[0] ?? ''
  const keys = definition.slice(0, definition.length - attributes.length)
  return `${keys} WITH (${options.join(', ')})${attributes}`
}

/** An index that no constraint owns. */
export function index(
  schema: string,
  { name, definition, comment, statisticsTargets, tablespace }: Index,
): Statement[] {
  const place = quoted({ schema, name })
  return [
    definition,
    ...statisticsTargets.map(
      ({ column, target }) =>
        sql`alter index ${place} alter column ${raw(String(column))} set statistics ${raw(String(target))}`.text,
    ),
    ...(tablespace === null ? [] : [sql`alter index ${place} set tablespace ${ident(tablespace)}`.text]),
    ...commentOn(sql`index ${place}`, comment),
  ]
}

/** The comment on the index behind a constraint; the constraint has one of its own. */
export function indexComment(schema: string, { name, comment }: Index): Statement[] {
  return commentOn(sql`index ${quoted({ schema, name })}`, comment)
}

export function trigger(table: TableName, { name, definition, comment }: Trigger): Statement[] {
  return [definition, ...commentOn(sql`trigger ${ident(name)} on ${quoted(table)}`, comment)]
}

const TRIGGER_STATE = {
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

export function rowSecurity(table: TableName, state: TableModel['rowSecurity']): Statement[] {
  if (state === 'off') return []
  return [
    sql`alter table ${quoted(table)} enable row level security`.text,
    ...(state === 'forced' ? [sql`alter table ${quoted(table)} force row level security`.text] : []),
  ]
}

export function policies(table: TableModel): Statement[] {
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

export function statistics(table: TableModel, role: string): Statement[] {
  return table.statistics.flatMap(({ name, definition, owner, target, comment }) => [
    definition,
    ...(owner === role ? [] : [sql`alter statistics ${quoted(name)} owner to ${ident(owner)}`.text]),
    ...(target === null ? [] : [sql`alter statistics ${quoted(name)} set statistics ${raw(String(target))}`.text]),
    ...commentOn(sql`statistics ${quoted(name)}`, comment),
  ])
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

/** The table takes the place of `former` in the publications that name it. */
export function publications(table: TableName, former: TableName, list: readonly Publication[]): Statement[] {
  return list
    .filter(({ covers }) => covers === 'table')
    .flatMap(({ name, columns, filter }) => {
      const only = columns === null ? raw('') : sql` (${join(columns.map((column) => ident(column)))})`
      const where = filter === null ? raw('') : sql` where (${raw(filter)})`
      return [
        sql`alter publication ${ident(name)} drop table ${quoted(former)}`.text,
        sql`alter publication ${ident(name)} add table ${quoted(table)}${only}${where}`.text,
      ]
    })
}

/** `create or replace` keeps the view's identity, owner, grants, and the views on top of it; its options it would reset. */
export function views(table: TableModel): Statement[] {
  return table.views.map(({ name, options, definition }) => {
    const withOptions = options.length === 0 ? raw('') : sql` with (${raw(options.join(', '))})`
    return sql`create or replace view ${quoted(name)}${withOptions} as ${raw(withoutSemicolon(definition))}`.text
  })
}

export function functions(table: TableModel): Statement[] {
  return table.functions.map(({ definition }) => withoutSemicolon(definition))
}

/** Points a foreign key of another table at the table that has the name now; validated later, online. */
export function repointForeignKey(key: InboundForeignKey): Statement[] {
  return [sql`alter table ${quoted(key.table)} drop constraint ${ident(key.name)}`.text, ...addForeignKey(key)]
}

/** Without looking at the rows there are. */
export function addForeignKey(key: InboundForeignKey): Statement[] {
  const table = quoted(key.table)
  const definition = `${withoutNotValid(key.definition)} NOT VALID`
  return [
    sql`alter table ${table} add constraint ${ident(key.name)} ${raw(definition)}`.text,
    ...commentOn(sql`constraint ${ident(key.name)} on ${table}`, key.comment),
  ]
}

/** Hands the sequences of the columns to the table that has the name now; `aside` is what identities' own are called meanwhile. */
export function sequences(table: TableModel, from: TableName, aside: Readonly<Record<string, string>>): Statement[] {
  return table.sequences.flatMap((sequence) => {
    const column = table.columns.find(({ name }) => name === sequence.column)
    if (column === undefined) throw new Error(`no column ${sequence.column}`)
    if (!sequence.identity)
      return [sql`alter sequence ${quoted(sequence.name)} owned by ${quoted(table.name)}.${ident(column.name)}`.text]
    const former = { schema: sequence.name.schema, name: aside[sequence.name.name] ?? '' }
    return moveIdentity(from, table.name, column, sequence, former, table.owner)
  })
}

/**
 * Hands an identity column from one table to another. PostgreSQL has no way to
 * move the sequence itself, so it makes room for a new one that takes over
 * name, settings and position; the former column keeps its values and loses its identity.
 */
function moveIdentity(
  from: TableName,
  to: TableName,
  column: Column,
  sequence: OwnedSequence,
  aside: TableName,
  owner: string,
): Statement[] {
  const { name } = sequence
  const kind = raw(column.identity ?? 'always')
  const settings = raw(
    `increment by ${sequence.increment} minvalue ${sequence.min} maxvalue ${sequence.max} start with ${sequence.start} ` +
      `cache ${sequence.cache} ${sequence.cycle ? 'cycle' : 'no cycle'}`,
  )
  return [
    sql`alter table ${quoted(to)} alter column ${ident(column.name)} add generated ${kind} as identity (sequence name ${quoted(name)} ${settings})`
      .text,
    sql`select pg_catalog.setval(${literal(quoted(name).text)}::pg_catalog.regclass, last_value, is_called) from ${quoted(aside)}`
      .text,
    sql`alter table ${quoted(from)} alter column ${ident(column.name)} drop identity`.text,
    ...grants('sequence', name, owner, sequence.grants, sequence.defaultGrantees),
    ...commentOn(sql`sequence ${quoted(name)}`, sequence.comment),
  ]
}

export function tableComment(table: TableModel): Statement[] {
  return commentOn(sql`table ${quoted(table.name)}`, table.comment)
}

function commentOn(object: Sql, comment: string | null): Statement[] {
  return comment === null ? [] : [sql`comment on ${object} is ${literal(comment)}`.text]
}

function withoutSemicolon(definition: string): string {
  return definition.trimEnd().replace(/;$/, '')
}
