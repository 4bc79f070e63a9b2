import type { Column, OwnedSequence, TableModel } from '../../catalog/table/table-model.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, literal, raw, sql } from '../../sql/sql.ts'
import { commentOn } from './definitions.ts'
import { grants } from './privileges.ts'

// The sequences of a table's columns, those of identity columns among them, which follow its name.

/** Hands the sequences of the columns to the table that has the name now; `aside` is what identities' own are called meanwhile. */
export function sequences(
  table: TableModel,
  from: TableName,
  aside: Readonly<Record<string, string>>,
  role: string,
): string[] {
  return table.sequences.flatMap((sequence) => {
    const column = table.columns.find(({ name }) => name === sequence.column)
    if (column === undefined) throw new Error(`no column ${sequence.column}`)
    if (!sequence.identity)
      return [sql`alter sequence ${quoted(sequence.name)} owned by ${quoted(table.name)}.${ident(column.name)}`.text]
    const setAside = { schema: sequence.name.schema, name: aside[sequence.name.name] ?? '' }
    return moveIdentity(from, table, column, sequence, setAside, role)
  })
}

/**
 * Hands an identity column from one table to another. PostgreSQL has no way to
 * move the sequence itself, so it makes room for a new one that takes over
 * name, settings and position; the old column keeps its values and loses its identity.
 */
function moveIdentity(
  from: TableName,
  { name: to, owner, persistence }: TableModel,
  column: Column,
  sequence: OwnedSequence,
  aside: TableName,
  role: string,
): string[] {
  const { name } = sequence
  const kind = raw(column.identity ?? 'always')
  const settings = raw(
    `increment by ${sequence.increment} minvalue ${sequence.min} maxvalue ${sequence.max} start with ${sequence.start} ` +
      `cache ${sequence.cache} ${sequence.cycle ? 'cycle' : 'no cycle'}`,
  )
  const own = sequence.type === column.type
  return [
    sql`alter table ${quoted(to)} alter column ${ident(column.name)} add generated ${kind} as identity (sequence name ${quoted(name)}${own ? sql` ${settings}` : raw('')})`
      .text,
    // Of another type than the column's it cannot be made, only altered.
    ...(own ? [] : [sql`alter sequence ${quoted(name)} as ${raw(sequence.type)} ${settings}`.text]),
    sql`select pg_catalog.setval(${literal(quoted(name).text)}::pg_catalog.regclass, last_value, is_called) from ${quoted(aside)}`
      .text,
    ...sequencePersistence(sequence, persistence),
    sql`alter table ${quoted(from)} alter column ${ident(column.name)} drop identity`.text,
    ...grants('sequence', name, { owner, role }, sequence.grants, sequence.defaultGrantees),
    ...commentOn(sql`sequence ${quoted(name)}`, sequence.comment),
  ]
}

/** From 15 on the sequence of an identity is made as its table is. */
function sequencePersistence({ name, unlogged }: OwnedSequence, ofTable: TableModel['persistence']): string[] {
  if (unlogged == null || unlogged === (ofTable === 'unlogged')) return []
  return [sql`alter sequence ${quoted(name)} set ${raw(unlogged ? 'unlogged' : 'logged')}`.text]
}
