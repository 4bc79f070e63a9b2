import { expect, test } from 'vitest'
import { assertRunnable } from '../../src/migrate/check-sql.ts'

const LATER = 'frobnicate table events into atoms' // as a later grammar may allow

test.each([
  ['the template as it was written', '-- Runs in one transaction, together with its record.\n', /no statement/],
  ['comments and semicolons', '/* later */ ;; -- perhaps', /no statement/],
  ['a commit', 'create table one (); commit; create table two ();', /begins or ends/],
  [
    'the same in capitals, beside what the grammar here does not know',
    `${LATER}; /* now */ COMMIT; select 1`,
    /begins or ends/,
  ],
  ['a begin, as many write it', `begin; ${LATER}; end`, /begins or ends/],
  ['start transaction', `start transaction; ${LATER}`, /begins or ends/],
  ['prepare transaction', `${LATER}; prepare transaction 'x'`, /begins or ends/],
  [
    'an end after the body of a function',
    `create function f() begin atomic select 1; end; ${LATER}; end`,
    /begins or ends/,
  ],
])('a file of SQL is refused with %s', async (_, text, refused) => {
  await expect(assertRunnable('1', text, 'up')).rejects.toThrow(refused)
})

test.each([
  ['what the grammar here does not know', LATER],
  ['words in quotes and comments', `select 'x; commit; ', $$; begin; $$, "commit" /* ; rollback; */ from t -- ; end`],
  [
    'bodies of functions',
    `create function f() returns int begin atomic select case when true then 1 end; end; ${LATER}`,
  ],
  ['an empty body', 'create function f() returns void begin atomic end'],
  ['names', 'select begin, commit from "end"; prepare p as select 1; start_work();'],
  ['what are no words at all', `select 'unfinished`],
])('and left to the server with %s', async (_, text) => {
  await assertRunnable('1', text, 'up')
})

test('the file that undoes it must say something, too', async () => {
  await expect(assertRunnable('1', '-- nothing', 'down')).rejects.toThrow(/no statement in the file that undoes it/)
})
