import { quoted } from '../../sql/names.ts'
import { asFunctionSettings } from '../../sql/condition-settings.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { captureFunction } from './capture.ts'
import { keyList, sameKey, type CopyKey } from './key.ts'
import type { CopyWork } from './work.ts'

// Dual writes: in the last moments before a swap each change is written to both
// tables, in the transaction that makes it. Invariants:
//
//   - A change is in both tables, or its key is in the log. So with the log empty
//     both hold the same rows in every snapshot taken since the last catching up, and
//     no transaction can see the swap, however old it is.
//   - The current state of the row is written, not the change: other triggers may
//     have changed the row again in the meantime.
//   - The application meets no error of it: a write that fails is undone, and the key
//     is logged as before. Deferred constraints are checked at once, for at the commit
//     it would be too late.
//   - A row that is in neither table may be in the transaction that is applying the
//     log, unless the log is empty: then it is logged once more.
//   - Each row costs a subtransaction; a transaction uses a few of them and then
//     logs, for more than 64 would slow down all snapshots, and all standbys.
//   - Dual writes begin and end by replacing the function's body, which waits for no
//     lock. Calls that are running finish with the previous body.

/** So many rows of a transaction are written to both tables, well below the 64 subtransactions that a snapshot has room for. */
export const ROWS_OF_A_TRANSACTION = 48

/** A log larger than this is not looked through for a row: it may have been long, and not be vacuumed yet. */
const LARGE_LOG_BYTES = 131_072

export interface DualWrites {
  /** Rows of one transaction that are written to both tables; null for all. */
  readonly rows: number | null
  /** Constraints of the target that may be checked as late as at the commit. Their names are indexes', so unlike all others of the schema. */
  readonly deferrable: readonly string[]
}

/** The statement that has the trigger write to both tables from now on. */
export function dualWrites(work: CopyWork, options: DualWrites): string {
  const condition = work.keep === null ? [] : asFunctionSettings(work.settings)
  return captureFunction(work.capture, dualWritesBlock(work, options), ['set row_security to off', ...condition])
}

/** The statement that has it write keys to the log only. */
export function logOnly({ capture }: CopyWork): string {
  return captureFunction(capture)
}

/** What the trigger does first: a PL/pgSQL block, whose variables are never the names of columns. */
export function dualWritesBlock(work: CopyWork, { rows, deferrable }: DualWrites): string {
  const { target, capture } = work
  const count = "pg_catalog.current_setting('ebb.dual_writes', true)"
  const few = rows === null ? '' : ` and pg_catalog.length(coalesce(${count}, '')) < ${rows}`
  const names = deferrable.map((name) => ident(target.schema, name).text).join(', ')
  return `
  declare
    ebb_deleted bigint;
    ebb_inserted bigint;
    ebb_uncertain boolean := false;
  begin
    if tg_op <> 'TRUNCATE'${few} then
      ${rows === null ? '' : `perform pg_catalog.set_config('ebb.dual_writes', pg_catalog.concat(${count}, '.'), true);`}
      begin
        ${names === '' ? '' : `set constraints ${names} immediate;`}
        if tg_op <> 'INSERT' then${setRow(work, 'old')}
        end if;
        if tg_op = 'INSERT' or (tg_op = 'UPDATE' and ${moved(capture.key)}) then${setRow(work, 'new')}
        end if;
        if not ebb_uncertain then
          return null;
        end if;
      exception when others then null;
      end;
    end if;
  end;`
}

/** Byte by byte: a row that is set twice is the same. */
function moved(key: CopyKey): string {
  return sql`row(${keyList(key, 'new')})::record *<> row(${keyList(key, 'old')})::record`.text
}

/** Sets the row with this key to what the source holds. Indexes and conditions are evaluated under the user's path. */
function setRow({ source, target, columns, keep, settings, capture }: CopyWork, which: 'old' | 'new'): string {
  const { log, key } = capture
  const remove = sql`delete from ${quoted(target)} t where ${sameKey(key, 't', which)}`.text
  const path = (setting: Sql) => sql`perform pg_catalog.set_config('search_path', ${setting}, true)`.text
  const kept = keep === null ? raw('') : sql` and (${raw(keep)}\n)`
  return `
          ${remove};
          get diagnostics ebb_deleted = row_count;
          ${path(literal(settings.search_path ?? ''))};
          ${sql`insert into ${quoted(target)} (${raw(columns)}) select ${raw(columns)} from ${quoted(source)} s where ${sameKey(key, 's', which)}${kept}`.text};
          get diagnostics ebb_inserted = row_count;
          ${path(literal('pg_catalog, pg_temp'))};
          if ebb_deleted = 0 and ebb_inserted = 0 then
            ebb_uncertain := ebb_uncertain or pg_catalog.pg_relation_size(${sql`${literal(quoted(log).text)}::pg_catalog.regclass`.text}) > ${LARGE_LOG_BYTES}
              or exists (${sql`select from ${quoted(log)} l where ${sameKey(key, 'l', which)}`.text});
            ${remove};
          end if;`
}
