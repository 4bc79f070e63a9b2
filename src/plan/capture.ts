import type { TableModel } from '../catalog/table-model.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import { ident, join, literal, raw, sql } from '../sql/sql.ts'
import { keyList, type CopyKey } from './copy-key.ts'
import type { Objection } from './step.ts'

// Capture: a trigger that writes the key of every changed row into a log. What
// must hold, whatever happens to us:
//
//   - It never fails the application: everything is qualified, the function
//     runs with its owner's rights, and trigger, function and log go together.
//   - Nothing escapes it: creating the trigger waits for every writer that began
//     before; it fires in replication too (enable always); a truncation, which
//     fires no row trigger, leaves a mark of its own.
//   - The log survives a crash, for changes that nobody remembers are lost.

/** Where the changes of one table are caught. */
export interface Capture {
  readonly table: TableName
  readonly key: CopyKey
  readonly log: TableName
  readonly function: TableName
  readonly trigger: string
  readonly truncateTrigger: string
}

export function captureOf(table: TableName, key: CopyKey, journalSchema: string, name: string): Capture {
  return {
    table,
    key,
    log: { schema: journalSchema, name: `${name}_log` },
    function: { schema: journalSchema, name: `${name}_capture` },
    trigger: `${name}_capture`,
    truncateTrigger: `${name}_truncated`,
  }
}

/** Log and function: nobody sees them yet. */
export function prepareCapture({ key, log, function: place }: Capture): string[] {
  const columns = join(key.columns.map(({ name, type }) => sql`${ident(name)} ${raw(type)}`))
  return [
    // A primary key: a publication of all tables would otherwise refuse our deletes.
    sql`create table ${quoted(log)} (ebb_seq bigint generated always as identity primary key, ${columns})`.text,
    sql`create function ${quoted(place)}() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as ${literal(body(log, key))}`
      .text,
    sql`revoke all on function ${quoted(place)}() from public`.text,
  ]
}

function body(log: TableName, key: CopyKey): string {
  const insert = (row: string) => sql`insert into ${quoted(log)} (${keyList(key)}) values (${keyList(key, row)})`.text
  const truncation = { schema: log.schema, name: 'truncation' }
  // Byte by byte: the operators of a type from an extension are not on the path, and a key logged twice does no harm.
  const moved = sql`row(${keyList(key, 'new')})::record *<> row(${keyList(key, 'old')})::record`.text
  return `
begin
  if tg_op = 'TRUNCATE' then
    ${sql`insert into ${quoted(truncation)} (log_name) values (${literal(log.name)})`.text};
    return null;
  end if;
  if tg_op <> 'INSERT' then
    ${insert('old')};
  end if;
  if tg_op = 'INSERT' or (tg_op = 'UPDATE' and ${moved}) then
    ${insert('new')};
  end if;
  return null;
end`
}

/** Begins to catch. Takes SHARE ROW EXCLUSIVE: it waits for writers, and no reader waits for it. */
export function startCapture({ table, function: place, trigger, truncateTrigger }: Capture): string[] {
  const target = quoted(table)
  return [
    sql`create trigger ${ident(trigger)} after insert or update or delete on ${target} for each row execute function ${quoted(place)}()`
      .text,
    sql`create trigger ${ident(truncateTrigger)} after truncate on ${target} for each statement execute function ${quoted(place)}()`
      .text,
    sql`alter table ${target} enable always trigger ${ident(trigger)}`.text,
    sql`alter table ${target} enable always trigger ${ident(truncateTrigger)}`.text,
  ]
}

/** Ends catching; the triggers first, or the application would meet a trigger whose log is gone. */
export function endCapture({ table, function: place, trigger, truncateTrigger, log }: Capture): string[] {
  return [
    sql`drop trigger if exists ${ident(trigger)} on ${quoted(table)}`.text,
    sql`drop trigger if exists ${ident(truncateTrigger)} on ${quoted(table)}`.text,
    sql`drop function if exists ${quoted(place)}()`.text,
    sql`drop table if exists ${quoted(log)}`.text,
  ]
}

/** Of a table whose former one is still being kept up to date: whoever replaces it would have to care for both. */
export function captureObjections({ name, triggers }: TableModel): Objection[] {
  const captured = triggers.some((trigger) => /^ebb_[0-9a-f]{8}_(?:forward|back)_capture$/.test(trigger.name))
  if (!captured) return []
  return [
    {
      code: 'captured',
      what: `changes of ${display(name)} are still being caught, for the way back from an earlier run`,
      wayOut: 'Let its former table go (ebb retire), or bring it back (ebb rollback); see ebb status.',
      acceptable: false,
    },
  ]
}
