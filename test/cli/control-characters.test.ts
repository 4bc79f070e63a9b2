import { execFileSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { ebb } from './support.ts'

// Names, messages and queries of others may hold any character. On a terminal each stays text, and begins no line.

/** Erases a line, rings, goes back and on, turns the direction of writing: and what comes after a break is a line of ours. */
const TRICK = '\u001b[2K\u0007\r\t\nFORGED\u009b1m\u202e\u2028'
const MONTHLY = ['--by', 'at', '--every', '1 month', '--keep', '30 days']

describe('control characters in names are escaped on a terminal', () => {
  test('in a plan, which psql can still run', async ({ database, needs }) => {
    const psql = needs('psql')
    const table = await trickyTable(database)
    const words = ['partition', display(table), ...MONTHLY]
    const shown = await onTerminal(database, words)
    expectHarmless(shown)
    expect(shown).toContain(String.raw`U&"e\001b[2K\0007\000d\0009\000aFORGED\009b1m\202e\2028"`)
    const { out } = await ebb([...words, '--url', database.url])
    expect(out).toBe(shown)
    execFileSync(psql, ['--no-psqlrc', '--quiet', database.url], { input: out, stdio: ['pipe', 'ignore', 'pipe'] })
    const { rows } = await database.admin(sql`select relkind from pg_class where oid = ${quoted(table).text}::regclass`)
    expect(rows).toEqual([{ relkind: 'p' }])
  })

  test('in any plan or report, and in events of a run', async ({ database }) => {
    const table = await trickyTable(database)
    const name = display(table)
    for (const words of [
      ['inspect', name],
      ['advise', name],
      ['purge', name, '--where', `"${`k${TRICK}`.replaceAll('"', '""')}" = 'x'`, '--no-archive'],
      ['rebuild', name, '--keep-all'],
      ['rebuild', name, '--keep-all', '--execute'],
      ['status'],
      ['rollback', name],
      ['retire', name, '--execute'],
      ['partition', name, ...MONTHLY, '--execute'],
      ['rotate', name, '--no-archive'],
      ['split', name, '--no-archive'],
      ['purge', name, '--where', "at < now() - interval '80 days'", '--candidates', '--execute'],
      ['candidates'],
      ['candidates', '3', '--sample', '3'],
      ['purge', name, '--where', "at < now() - interval '80 days'", '--no-archive', '--execute'],
      ['rotate', name, '--no-archive', '--execute'],
      ['status'],
    ]) {
      const shown = await onTerminal(database, words)
      expectHarmless(shown, words.join(' '))
      expect(shown, words.join(' ')).not.toMatch(/TypeError|unexpected|error:/)
    }
  })

  test('in JSON', async ({ database }) => {
    const table = await trickyTable(database)
    const shown = await onTerminal(database, ['inspect', display(table), '--json'])
    expectHarmless(shown)
    expect(JSON.stringify(JSON.parse(shown))).toContain(JSON.stringify(table.name).slice(1, -1))
  })

  test('in objections', async ({ database }) => {
    const table = await trickyTable(database)
    const trigger = ident(`t${TRICK}`).text
    await database.admin(
      `create function f() returns trigger language plpgsql as 'begin return null; end';
       create trigger ${trigger} after update on ${quoted(table).text} referencing old table as o for each row execute function f()`,
    )
    const shown = await onTerminal(database, ['partition', display(table), ...MONTHLY])
    expectHarmless(shown)
    expect(shown).toContain(String.raw`transition-tables:t\x1b[2K\x07\x0d\x09\x0aFORGED`)
  })

  test('in errors about missing objects', async ({ database }) => {
    expectHarmless(await onTerminal(database, ['inspect', `"none${TRICK}"`]))
    expectHarmless(await onTerminal(database, [`in${TRICK}`]))
    expectHarmless(await onTerminal(database, ['inspect', `--o${TRICK}`]))
    expectHarmless(await onTerminal(database, ['purge', 'x', '--where', `nonsense${TRICK}`]))
  })
})

describe('control characters from other sources are escaped on a terminal', () => {
  test.for([true, false])('in sessions and queries waited for (terminal: %s)', async (isTTY, { database }) => {
    const table = await trickyTable(database)
    const holder = await database.session('holder')
    await holder.query(`set application_name = ${literal(`a${TRICK}`).text}`)
    await holder.query('begin')
    await holder.query(`lock table ${quoted(table).text} in access share mode /* ${TRICK} */`)
    const words = ['partition', display(table), ...MONTHLY, '--execute', '--deadline', '1']
    const shown = await onTerminal(database, words, isTTY)
    expect(shown).toMatch(/waiting: /)
    expectHarmless(shown)
    await holder.query('rollback')
  })

  test('in prepared transactions', async ({ database }) => {
    const table = await trickyTable(database)
    const holder = await database.session('holder')
    const gid = literal(`g${TRICK}`).text
    await holder.query(`begin; lock table ${quoted(table).text} in access share mode; prepare transaction ${gid}`)
    const shown = await onTerminal(database, ['partition', display(table), ...MONTHLY, '--execute', '--deadline', '1'])
    await holder.query(`rollback prepared ${gid}`)
    expect(shown).toContain(String.raw`prepared transaction "g\u001b[2K`)
    expectHarmless(shown)
  })

  test('in messages, details, hints and contexts of PostgreSQL, also in the journal', async ({ database }) => {
    const table = await trickyTable(database)
    const text = literal(`m${TRICK}`).text
    const raising = `if current_setting('transaction_read_only') = 'off' then
      raise exception using message = ${text}, detail = ${text}, hint = ${text}; end if; return true;`
    await database.admin(
      `create function ${ident(`f${TRICK}`).text}(timestamptz) returns boolean immutable language plpgsql as ${literal(`begin ${raising} end`).text}`,
    )
    const condition = `${ident(`f${TRICK}`).text}(at) and at < now() - interval '80 days'`
    const words = ['purge', display(table), '--where', condition, '--no-archive', '--execute', '--show-values']
    const shown = await onTerminal(database, words)
    expect(shown).toContain(String.raw`m\x1b[2K`)
    expectHarmless(shown)
    // The journal has no message, which may have values of rows in it.
    const status = await onTerminal(database, ['status'])
    expect(status).toContain('an exception was raised (SQLSTATE P0001)')
    expectHarmless(status)
  })
})

/** What a person sees of both streams; the terminal's own way to write over the last line is ours. */
async function onTerminal(database: Database, words: readonly string[], isTTY = true): Promise<string> {
  let shown = ''
  const output = { write: (text: string) => void (shown += text), isTTY, columns: 500 }
  await ebb([...words, '--url', database.url], { out: output, err: output })
  return shown.replaceAll('\r\u001b[2K', '')
}

function expectHarmless(shown: string, what = ''): void {
  // eslint-disable-next-line no-control-regex -- what must not be there
  expect(shown, what).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e\u2028]/)
  for (const line of shown.split('\n')) expect(line, what).not.toMatch(/^(-- *)?FORGED/)
}

async function trickyTable(database: Database): Promise<TableName> {
  const table = { schema: 'public', name: `e${TRICK}` }
  const owner = await database.session('setup')
  const [name, column] = [quoted(table).text, ident(`k${TRICK}`).text]
  await owner.query(
    `create table ${name} (id bigint generated always as identity primary key, at timestamptz not null, ${column} text default ${literal(TRICK).text})`,
  )
  await owner.query(
    `insert into ${name} (at) select now() - (2001 - n) * interval '1 hour' from generate_series(1, 2000) n`,
  )
  await owner.query(`create index ${ident(`i${TRICK}`).text} on ${name} (at)`)
  await owner.query(`comment on table ${name} is ${literal(`c${TRICK}`).text}`)
  await owner.query(`analyze ${name}`)
  return table
}
