import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { dollarQuoted, ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { keyList, type CopyKey } from './key.ts'
import { dropTriggers, triggerState } from '../table/definitions.ts'
import type { Objection } from '../language/objection.ts'

// Capture: a trigger that writes the key of every changed row into a log. What
// must hold, whatever happens to us:
//
//   - It never fails the application. What can fail does so inside of an
//     exception block, and leaves a mark: the log has a gap. The mark is the
//     value of a sequence, for that needs neither a new page nor a transaction.
//   - It costs little. A block that writes takes a transaction id, so only the
//     first row of each transaction is written in one; the others are only
//     read in one, which takes none. docs/decisions.md has the measurements.
//   - Nothing escapes it: creating the trigger waits for every writer that began
//     before; it fires in replication too (enable always); a truncation, which
//     fires no row trigger, leaves a mark of its own.
//   - The log survives a crash, for a change that is not in it would be lost.
//   - It draws nothing from a sequence, so lastval() stays the application's own;
//     setval(), which leaves the mark, does not change that either.

/** Where the changes of one table are caught. */
export interface Capture {
  readonly table: TableName
  readonly key: CopyKey
  readonly log: TableName
  readonly function: TableName
  readonly trigger: string
  readonly truncateTrigger: string
}

/** What there is of a capture in the database. */
export type CaptureObjects = Omit<Capture, 'key'>

export function captureOf(table: TableName, key: CopyKey, journalSchema: string, name: string): Capture {
  return { key, ...captureObjects(table, journalSchema, name) }
}

export function captureObjects(table: TableName, journalSchema: string, name: string): CaptureObjects {
  return {
    table,
    log: { schema: journalSchema, name: `${name}_log` },
    function: { schema: journalSchema, name: `${name}_capture` },
    trigger: `${name}_capture`,
    truncateTrigger: `${name}_truncated`,
  }
}

/** The sequence that has a value once something could not be caught; see `gapMark`. */
export function gapOf({ log }: Pick<Capture, 'log'>): TableName {
  return { schema: log.schema, name: log.name.replace(/_log$/, '_gap') }
}

/** Whether it serves the rollback of a copy, and not the copy. */
export function isWayBack({ log }: Pick<Capture, 'log'>): boolean {
  return log.name.endsWith('_back_log')
}

/**
 * Takes entries out of the log, the earlier transactions' first: the statement deletes exactly those that it has read
 * and returns their keys. `limit` is a number, or its place in an explanation; null for all.
 */
export function takeFromLog({ log, key }: Capture, limit: number | string | null): Sql {
  const some = sql` where ctid = any (array(select ctid from ${quoted(log)} order by ebb_seq limit ${raw(String(limit))}))`
  return sql`delete from ${quoted(log)}${limit === null ? raw('') : some} returning ${keyList(key)}`
}

/** Log, mark and function: not in use yet. */
export function prepareCapture(capture: Capture): string[] {
  const { key, log, function: place } = capture
  const columns = join(key.columns.map(({ name, type }) => sql`${ident(name)} ${raw(type)}`))
  return [
    // No sequence: lastval() of the application's session would tell of it.
    sql`create table ${quoted(log)} (ebb_seq xid8 not null default pg_catalog.pg_current_xact_id(), ${columns})`.text,
    sql`create index on ${quoted(log)} (ebb_seq)`.text,
    // Or a publication that the log is in would refuse our deletes.
    sql`alter table ${quoted(log)} replica identity full`.text,
    sql`create sequence ${quoted(gapOf(capture))}`.text,
    captureFunction(capture),
    sql`revoke all on function ${quoted(place)}() from public`.text,
  ]
}

/**
 * The function of the triggers. The mark is known to it by its oid, so that it can be left whatever becomes of names and
 * rights on the schema. What the PL/pgSQL block `first` returns from need not be logged; `settings` are further ones.
 */
export function captureFunction(capture: Capture, first = '', settings: readonly string[] = []): string {
  const gap = literal(quoted(gapOf(capture)).text)
  const [before, after] = body(capture, first).map(dollarQuoted)
  const under = raw(['set search_path = pg_catalog, pg_temp', ...settings].join(' '))
  const head = sql`create or replace function ${quoted(capture.function)}() returns trigger language plpgsql security definer ${under} as `
  const creation = sql`begin execute ${dollarQuoted(head.text)} || pg_catalog.quote_literal(${before} || ${gap}::regclass::oid || ${after}); end`
  return sql`do ${dollarQuoted(creation.text)}`.text
}

/** The source of the function, before and after the oid of the mark. */
function body({ log, key }: Capture, first: string): [string, string] {
  const flag = literal(`ebb.${log.name}`).text
  const truncation = sql`insert into ${quoted({ schema: log.schema, name: 'truncation' })} (log_name) values (${literal(log.name)})`
  return [
    `
#variable_conflict use_column
declare
  ebb_gap constant oid := `,
    `;
  ebb_state text := current_setting(${flag}, true);
${declared(key)}
begin${first}
  if ebb_state = 'open' and tg_op <> 'TRUNCATE' then
    begin
      ${indented(reading(key), 6)}
    exception when others then
      ${indented(markGap(flag), 6)}
      return null;
    end;
    ${indented(writing(log, key), 4)}
    return null;
  end if;
  begin
    if ebb_state = 'closed' and pg_sequence_last_value(ebb_gap) is not null then
      return null;
    end if;
    if tg_op = 'TRUNCATE' then
      ${truncation.text};
      return null;
    end if;
    ${indented(reading(key), 4)}
    ${indented(writing(log, key), 4)}
    ebb_state := set_config(${flag}, 'open', true);
  exception when others then
    ${indented(markGap(flag), 4)}
  end;
  return null;
end`,
  ]
}

// The SQLSTATE of what went wrong, as a number. If that cannot be left, the sequence is not what it was: see captured.ts.
// The rest of the transaction need not try; that is only believed together with the mark, for any session can set a setting.
function markGap(flag: string): string {
  return `ebb_state := set_config(${flag}, 'closed', true);
begin
  perform setval(ebb_gap::regclass, ('x' || encode(sqlstate::bytea, 'hex'))::bit(40)::bigint);
exception when others then null;
end;`
}

function indented(code: string, by: number): string {
  return code.replaceAll('\n', `\n${' '.repeat(by)}`)
}

/** The variable that holds a part of the key: never the name of a column. */
function variable(row: 'old' | 'new', position: number): string {
  return `ebb_${row}_${position + 1}`
}

function declared({ columns }: CopyKey): string {
  return (['old', 'new'] as const)
    .flatMap((row) => columns.map(({ type }, i) => `  ${variable(row, i)} ${type};`))
    .join('\n')
}

/** A column that has another name, or values that its old type does not have, fails here. */
function reading({ columns }: CopyKey): string {
  const read = (row: 'old' | 'new') =>
    columns.map(({ name }, i) => sql`${raw(variable(row, i))} := ${raw(row)}.${ident(name)};`.text).join(' ')
  return `if tg_op <> 'INSERT' then ${read('old')} end if;
if tg_op <> 'DELETE' then ${read('new')} end if;`
}

function writing(log: TableName, key: CopyKey): string {
  const list = (row: 'old' | 'new') => key.columns.map((_, i) => variable(row, i)).join(', ')
  const insert = (row: 'old' | 'new') =>
    sql`insert into ${quoted(log)} (${keyList(key)}) values (${raw(list(row))})`.text
  // Byte by byte: the operators of a type from an extension are not on the path, and a key logged twice does no harm.
  return `if tg_op <> 'INSERT' then ${insert('old')}; end if;
if tg_op = 'INSERT' or tg_op = 'UPDATE' and row(${list('new')})::record *<> row(${list('old')})::record then
  ${insert('new')};
end if;`
}

/** Begins to catch. Takes SHARE ROW EXCLUSIVE: it waits for writers, and no reader waits for it. */
export function startCapture({ table, function: place, trigger, truncateTrigger }: Capture): string[] {
  const target = quoted(table)
  return [
    sql`create trigger ${ident(trigger)} after insert or update or delete on ${target} for each row execute function ${quoted(place)}()`
      .text,
    sql`create trigger ${ident(truncateTrigger)} after truncate on ${target} for each statement execute function ${quoted(place)}()`
      .text,
    ...[trigger, truncateTrigger].flatMap((name) => triggerState([table], { name, enabled: 'always' })),
  ]
}

/** Takes the triggers off the table, whatever it is called now. The log stays. */
export function dropCapture({ trigger, truncateTrigger }: Capture, table: TableName): string[] {
  return dropTriggers(table, [{ name: trigger }, { name: truncateTrigger }])
}

/** Ends catching; the triggers first, or the application would meet a trigger whose log is gone. */
export function endCapture(capture: CaptureObjects): string[] {
  const { table, trigger, truncateTrigger } = capture
  return [
    sql`drop trigger if exists ${ident(trigger)} on ${quoted(table)}`.text,
    sql`drop trigger if exists ${ident(truncateTrigger)} on ${quoted(table)}`.text,
    ...dropHelpers(capture),
  ]
}

/** What is left of a capture when its triggers have gone. */
export function dropHelpers(capture: CaptureObjects): string[] {
  return [
    sql`drop function if exists ${quoted(capture.function)}()`.text,
    sql`drop sequence if exists ${quoted(gapOf(capture))}`.text,
    sql`drop table if exists ${quoted(capture.log)}`.text,
  ]
}

/** A table whose retired table is still kept up to date: to replace it would mean to maintain both. */
export function captureObjections({ name, triggers }: TableModel): Objection[] {
  const captured = triggers.some((trigger) => /^ebb_[0-9a-f]{8}_(?:forward|back)_capture$/.test(trigger.name))
  if (!captured) return []
  return [
    {
      code: 'captured',
      what: `changes of ${display(name)} are still being captured, for a rollback of an earlier run`,
      fix: 'Drop its retired table (ebb retire), or bring it back (ebb rollback); see ebb status.',
      acceptable: false,
    },
  ]
}
