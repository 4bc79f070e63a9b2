import { quoted } from '../sql/names.ts'
import { literal, raw, sql, type Sql } from '../sql/sql.ts'
import { captureFunction } from './capture.ts'
import { sameKey } from './copy-key.ts'
import type { CopyWork } from './copy-work.ts'

// Dual writes: in the last moments before a swap each change goes into both
// tables, in the transaction that makes it. What always holds:
//
//   - A change is in both tables, or its key is in the log. So with the log empty
//     both hold the same rows in every snapshot from the last catching up on, and
//     the swap is seen by nobody, however old their transaction.
//   - Nothing of it reaches the application: whatever fails is undone, and the key
//     is logged as before. A row that is not found where it should be (not caught
//     up with yet, or too new for the snapshot of the writer) is logged as well.
//   - Each row costs a subtransaction; a transaction has a few of them and then
//     logs, for more than 64 would slow down all snapshots, and all standbys.
//   - Beginning and ending is another body for the function, which nobody waits
//     for. Whoever is under way with the former one does it the former way.

/** So many rows of a transaction are written to both tables, well below the 64 subtransactions that a snapshot has room for. */
export const ROWS_OF_A_TRANSACTION = 48

export interface DualWrites {
  /** Rows of one transaction that are written to both tables; null for all. */
  readonly rows: number | null
  /** Whether the source has virtual generated columns, which triggers do not know. */
  readonly virtualColumns: boolean
}

/** The statement that has the trigger write to both tables from now on. */
export function dualWrites(work: CopyWork, options: DualWrites): string {
  return captureFunction(work.capture, block(work, options), ['set row_security = off'])
}

/** The statement that has it write keys to the log only. */
export function logOnly({ capture }: CopyWork): string {
  return captureFunction(capture)
}

function block(work: CopyWork, { rows, virtualColumns }: DualWrites): string {
  const { target, columns, searchPath } = work
  const key = (alias: string) => sameKey(work.capture.key, 't', alias)
  const kept = work.keep === null ? raw('') : sql` where (${raw(work.keep)}\n)`
  const row = (which: 'old' | 'new') => sql`(select ${raw(which)}.*) s${kept}`
  const written =
    work.keep === null || !virtualColumns
      ? row('new')
      : sql`${quoted(work.source)} s where (${raw(work.keep)}\n) and ${sameKey(work.capture.key, 's', 'new')}`
  const path = (setting: Sql) => sql`perform pg_catalog.set_config('search_path', ${setting}, true)`.text
  return `
  declare
    found_rows bigint := 1;
  begin
    if tg_op <> 'TRUNCATE'${rows === null ? '' : ` and pg_catalog.length(coalesce(pg_catalog.current_setting('ebb.dual_writes', true), '')) < ${rows}`} then
      ${rows === null ? '' : "perform pg_catalog.set_config('ebb.dual_writes', pg_catalog.concat(pg_catalog.current_setting('ebb.dual_writes', true), '.'), true);"}
      begin
        if tg_op <> 'INSERT' then
          ${sql`delete from ${quoted(target)} t where ${key('old')}`.text};
          get diagnostics found_rows = row_count;
        end if;
        ${path(literal(searchPath))};
        if found_rows = 1${work.keep === null || virtualColumns ? '' : sql` or not exists (select from ${row('old')})`.text} then
          if tg_op <> 'DELETE' then
            ${sql`insert into ${quoted(target)} (${raw(columns)}) select ${raw(columns)} from ${written}`.text};
          end if;
          return null;
        end if;
        ${path(literal('pg_catalog, pg_temp'))};
      exception when others then null;
      end;
    end if;
  end;`
}
