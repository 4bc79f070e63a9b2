import { quoted, type TableName } from './names.ts'
import { dollarQuoted, literal } from './sql.ts'

/** A table to be dropped. People exchange tables for others of the same name: only the oid tells which it was. */
export interface Dropped {
  readonly name: TableName
  readonly oid: string
}

/**
 * Drops a table if it still is the one that was seen, and stops if another has its name: compared under the lock, so
 * that it stays so. If it is gone there is nothing to do. A database that was restored from a dump has other oids: where
 * `witness` has another one than was seen, too, the name decides.
 */
export function dropTable({ name, oid }: Dropped, witness?: Dropped): string {
  return guarded(quoted(name).text, oid, witness === undefined ? null : isNot(quoted(witness.name).text, witness.oid))
}

/** Whether a statement is one made by `dropTable`, and executes nothing else. */
export function isDropTable(statement: string): boolean {
  const [, place = ''] = /\n {4}drop table ("(?:[^"]|"")+"\."(?:[^"]|"")+");\n/.exec(statement) ?? []
  const [, oid = ''] = / is distinct from '(\d+)'::/.exec(statement) ?? []
  return statement === guarded(place, oid, null)
}

function guarded(place: string, oid: string, otherwise: string | null): string {
  const isOther = [isNot(place, oid), ...(otherwise === null ? [] : [`not (${otherwise})`])].join(' and ')
  const message = literal(`${place} is not the table that is to be dropped: another has its name`).text
  return `do ${
    dollarQuoted(`begin
  if pg_catalog.to_regclass(${literal(place).text}) is not null then
    lock table ${place} in access exclusive mode;
    if ${isOther} then raise object_not_in_prerequisite_state using message = ${message}; end if;
    drop table ${place};
  end if;
end`).text
  }`
}

function isNot(place: string, oid: string): string {
  return `pg_catalog.to_regclass(${literal(place).text})::pg_catalog.oid is distinct from ${literal(oid).text}::pg_catalog.oid`
}
