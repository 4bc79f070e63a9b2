import type { ColumnPair } from '../../catalog/references/foreign-key.ts'
import type { Constraint, InboundForeignKey, TableModel } from '../../catalog/table/table-model.ts'
import { putBack, putUnder, type ConditionSettings } from '../../sql/condition-settings.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { dollarQuoted, ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { OnlineStep } from '../language/step.ts'

// Rows that refer to nothing, under a foreign key that passes for validated: a session in the replica role writes past
// its triggers, and so do sessions that disable them. A swap makes foreign keys anew and validates them afterwards, when
// it is too late to find such rows. So they are looked for before it.

/** A foreign key, and where its two sides are. */
export interface Referring {
  readonly key: string
  readonly from: TableName
  /** Null for all rows; else a condition that names columns of `from` alone. */
  readonly where: string | null
  readonly to: TableName
  readonly pairs: readonly ColumnPair[]
  /** Partitioned tables are read with their partitions; of others the key covers their own rows. */
  readonly partitioned: { readonly from: boolean; readonly to: boolean }
}

/** The validated foreign keys of a table, for those of its rows for which `where` is true. */
export function keysOf(table: TableModel, keys: readonly Constraint[], where: string | null = null): Referring[] {
  return keys.flatMap(({ name, validated, references, pairs, ontoPartitioned }) =>
    !validated || references === null || pairs === null
      ? []
      : [
          {
            key: name,
            from: table.name,
            where,
            to: references,
            pairs,
            partitioned: { from: table.kind === 'partitioned table', to: ontoPartitioned },
          },
        ],
  )
}

/** The validated foreign keys of others onto a table. */
export function keysOnto(table: TableModel, keys: readonly InboundForeignKey[]): Referring[] {
  return keys
    .filter(({ validated }) => validated)
    .map(({ name, table: from, tableKind, pairs }) => ({
      key: name,
      from,
      where: null,
      to: table.name,
      pairs,
      partitioned: { from: tableKind === 'partitioned table', to: table.kind === 'partitioned table' },
    }))
}

/** The key of the step that looks for them. */
export const REFERRING_ROWS = 'referring-rows'

/**
 * The step that fails where such rows are found; none where no key has to be validated after the swap. `settings` are
 * those under which the conditions are read.
 */
export function orphanCheck(keys: readonly Referring[], settings: ConditionSettings = {}): OnlineStep[] {
  if (keys.length === 0) return []
  const tables = [...new Set(keys.map(({ from }) => display(from)))].sort()
  return [
    {
      kind: 'online',
      key: REFERRING_ROWS,
      title: 'look for rows that refer to nothing',
      because: 'the swap creates foreign keys again, and such rows would keep them from being validated',
      locks: [],
      cost: `reads ${tables.join(', ')} once, and what they refer to`,
      statements: [...putUnder(settings), ...keys.map(check), ...putBack(settings)],
    },
  ]
}

/** What the role may not read is left to the validation, which needs no right to read. */
function check({ key, from, where, to, pairs, partitioned }: Referring): string {
  const [child, parent] = [place(from, partitioned.from), place(to, partitioned.to)]
  const columns = pairs.map(({ referring }, i) => sql`${ident(referring)} as ${ident(`ebb_${i}`)}`)
  const rows = sql`(select ${join(columns)} from ${child}${where === null ? raw('') : sql` where (${raw(where)}\n)`}) c`
  const referring = pairs.map((_, i) => sql`c.${ident(`ebb_${i}`)} is not null`)
  const equal = pairs.map(
    ({ referred, operator, collation }, i) =>
      sql`p.${ident(referred)}${raw(collation === null ? '' : ` collate ${collation}`)} ${raw(operator)} c.${ident(`ebb_${i}`)}`,
  )
  const found = sql`select count(*) from ${rows} where ${join(referring, ' and ')} and not exists (select from ${parent} p where ${join(equal, ' and ')})`
  const message = join(
    [
      literal(`rows of ${display(from)} refer to rows of ${display(to)} that do not exist (`),
      raw('ebb_found'),
      literal(`), though foreign key ${key} is marked as validated`),
    ],
    ' || ',
  )
  const readable = [from, to].map(
    (table) =>
      sql`has_table_privilege(${literal(quoted(table).text)}, 'select') and not row_security_active(${literal(quoted(table).text)})`,
  )
  return sql`do ${dollarQuoted(`declare ebb_found bigint; begin
  if ${join(readable, ' and ').text} then
    execute ${dollarQuoted(found.text).text} into ebb_found;
    if ebb_found > 0 then raise exception using errcode = '23503', message = ${message.text}; end if;
  end if;
end`)}`.text
}

function place(table: TableName, partitioned: boolean): Sql {
  return partitioned ? quoted(table) : sql`only ${quoted(table)}`
}
