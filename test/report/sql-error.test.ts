import type { DatabaseError } from 'pg'
import { describe, expect, test as plainTest } from 'vitest'
import { reasonOf } from '../../src/db/sqlstate.ts'
import { EbbError, type ErrorKind } from '../../src/errors.ts'
import { errorText, tellError } from '../../src/report/error-text.ts'
import { describeSqlError, pointInto } from '../../src/report/sql-error.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'

async function failure(database: Database, statement: string): Promise<DatabaseError & { statement?: string }> {
  const client = await database.session('fails')
  return client.query(statement).then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => error as DatabaseError,
  )
}

test('code, detail and position are shown, if known', async ({ database }) => {
  await database.admin('create table public.t (id int primary key); grant all on public.t to public')
  const unique = await failure(database, 'insert into public.t values (1), (1)')
  const [message, hidden] = describeSqlError(unique)
  expect(message).toBe('SQLSTATE 23505: duplicate key value violates unique constraint "t_pkey"')
  expect(hidden).toBe('detail: values of rows, shown with --show-values')
  expect(describeSqlError(unique, true)).toEqual([message, 'detail: Key (id)=(1) already exists.'])

  const statement = 'select id,\n       naem\nfrom public.t\nwhere true'
  const unknown = Object.assign(await failure(database, statement), { statement })
  expect(describeSqlError(unknown)).toEqual([
    'SQLSTATE 42703: column "naem" does not exist',
    'select id,',
    '       naem',
    '       ^',
    'from public.t',
    'where true',
  ])
})

test.for([
  ['a value that cannot be read', `select cast(v as int) from t`, 'invalid text representation (SQLSTATE 22P02)'],
  ['a constraint', `insert into t select * from t`, 'duplicate key value violates unique constraint "t_pkey"'],
  ['a division', `select 1 / (v = '')::int from t`, 'division by zero'],
  ['a function that raises', `select raises(v) from t`, 'an exception was raised (SQLSTATE P0001)'],
  ['one that pretends to be a constraint', `select pretends(v) from t`, 'a row is refused (SQLSTATE 23505)'],
  [
    'a statement that a function has composed',
    `select composes(v) from t`,
    'invalid text representation (SQLSTATE 22P02)',
  ],
] as const)('%s: no value of a row is told unless asked', async ([, statement, reason], { database }) => {
  await database.admin(`
    create table public.t (v text primary key); insert into t values ('secret');
    create function raises(v text) returns int language plpgsql as $$ begin raise exception 'no %', v using hint = 'not ' || v, detail = v; end $$;
    create function pretends(v text) returns int language plpgsql as $$ begin raise unique_violation using message = v; end $$;
    create function composes(v text) returns int language plpgsql as $$ declare i int; begin execute format('select %L::int', v) into i; return i; end $$;
    grant all on public.t to public`)
  const cause = await failure(database, statement)
  const whole = (error: unknown, withValues = false) => errorText(tellError(error, withValues))
  const foreseen = new EbbError(`copy: ${reasonOf(cause)}`, { state: 'Kept.', next: 'Again.' }, 'failed', cause)

  expect(whole(cause)).toContain(`error: PostgreSQL refused a statement: ${reason}\n`)
  for (const error of [cause, foreseen]) {
    expect(whole(error)).not.toContain('secret')
    // Of a division nothing is known.
    if (!statement.includes('/')) expect(whole(error, true)).toContain('secret')
  }
})

plainTest('neither the field that COPY was at', () => {
  const where = 'COPY t, line 1, column v: "secret"'
  const error = Object.assign(new Error('"secret"'), { code: '22P02', severity: 'ERROR', where })
  expect(errorText(tellError(error))).not.toContain('secret')
  expect(errorText(tellError(error, true))).toContain(where)
})

test('inside a function its own statement is shown', async ({ database }) => {
  const error = await failure(database, `do $$ begin perform 1 from nowhere; end $$`)
  const lines = describeSqlError(error)
  expect(lines.join('\n')).toMatch(/where: PL\/pgSQL function/)
  expect(lines.at(-2)).toContain('from nowhere')
  expect(lines.at(-1)?.indexOf('^')).toBe(lines.at(-2)?.indexOf('nowhere'))
})

test('an unexpected error of PostgreSQL is shown with its message', async ({ database }) => {
  const text = errorText(tellError(await failure(database, sql`select 1 / 0`.text)))
  expect(text).toBe(
    `error: PostgreSQL refused a statement: division by zero
       SQLSTATE 22012
  now: Its transaction has been rolled back; what was committed before is kept.
 next: Resolve the cause and run the same command again. If the message does not show the cause, please report it.
`,
  )
})

test('a lock that was not available is a temporary failure', async ({ database }) => {
  await database.admin('create table public.t (id int); grant all on public.t to public')
  const holder = await database.session('holder')
  await holder.query('begin; lock table public.t in row exclusive mode')
  const error = await failure(database, "set lock_timeout = '10ms'; lock table public.t in share mode")
  // From 19 on PostgreSQL says which lock it was, too.
  const { kind, details } = tellError(error)
  expect(kind).toBe('try later')
  expect(details[0]).toBe('SQLSTATE 55P03')
  expect(details.slice(1)).toEqual(
    database.version < 190_000 ? [] : [expect.stringMatching(/^where: waiting for ShareLock/)],
  )
})

describe('the caret', () => {
  plainTest.each([
    ['the first character', 'selec 1', 1, ['selec 1', '^']],
    ['after a character outside of the BMP', "select '😀' || x", 15, ["select '😀' || x", '              ^']],
    ['a tab keeps its width', '\tx y', 4, ['\tx y', '\t  ^']],
    ['no place', 'select', Number.NaN, []],
  ])('%s', (_, statement, position, lines) => {
    expect(pointInto(statement, position)).toEqual(lines)
  })

  plainTest('of a long statement only what is near', () => {
    const statement = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'].join('\n')
    expect(pointInto(statement, statement.indexOf('four') + 1)).toEqual(['two', 'three', 'four', '^', 'five', 'six'])
  })
})

describe('other errors', () => {
  plainTest('a foreseen one tells its three sentences, and what PostgreSQL said beyond the message', () => {
    const cause = Object.assign(new Error('no'), { code: '2BP01', severity: 'ERROR', detail: 'view v' })
    const error = new EbbError('validate the CHECK: no', { state: 'Undone.', next: 'Again.' }, 'failed', cause)
    expect(errorText(tellError(error))).toBe(
      'error: validate the CHECK: no\n       SQLSTATE 2BP01\n       detail: view v\n  now: Undone.\n next: Again.\n',
    )
  })

  plainTest('any other is a bug, with its stack and without passwords', () => {
    const told = tellError(new TypeError('cannot read postgres://u:secret@h/d'))
    expect(told).toMatchObject({ message: 'this is a bug, please report it', kind: 'bug' })
    expect(told.details[0]).toBe('TypeError: cannot read postgres://u:***@h/d')
    expect(told.details.some((line) => line.includes('sql-error.test'))).toBe(true)
  })
})

test('messages of PostgreSQL are shown, except for statements cancelled by a stop', async ({ database }) => {
  const cancelled = await failure(database, 'select pg_cancel_backend(pg_backend_pid())')
  const divided = await failure(database, 'select 1 / 0')
  const toldOf = (kind: ErrorKind, cause: DatabaseError) =>
    tellError(new EbbError('it has ended', { state: 'Half done.', next: 'Go on.' }, kind, cause)).details
  expect(toldOf('failed', cancelled)).toEqual(['SQLSTATE 57014'])
  expect(toldOf('stopped', cancelled)).toEqual([])
  expect(toldOf('stopped', divided)).toEqual(['SQLSTATE 22012'])
})
