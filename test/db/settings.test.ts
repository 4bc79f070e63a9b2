import { expect } from 'vitest'
import { askUnder } from '../../src/db/settings.ts'
import { test } from '../support/database.ts'

const SETTINGS = { search_path: '"public"', IntervalStyle: 'iso_8601' }

test('a question is asked under its settings, in a transaction of its own that changes nothing', async ({
  database,
}) => {
  const session = await database.session('test')
  const asked = sql('current_setting($1) as path, make_interval(days => 1)::text as day, current_setting($2) as read', [
    'search_path',
    'transaction_read_only',
  ])
  const before = await session.query(asked)
  const first = await askUnder(session, SETTINGS, () => session.query(asked))
  expect(first.rows).toEqual([{ path: 'public', day: 'P1D', read: 'on' }])
  expect(session.getTransactionStatus()).toBe('I')
  expect((await session.query(asked)).rows).toEqual(before.rows)
})

test('one that fails leaves neither a transaction nor a setting', async ({ database }) => {
  const session = await database.session('test')
  await expect(askUnder(session, SETTINGS, () => session.query('select 1 / 0'))).rejects.toMatchObject({
    code: '22012',
  })
  expect(session.getTransactionStatus()).toBe('I')
  const { rows } = await session.query(sql('make_interval(days => 1)::text as day', []))
  expect(rows).toEqual([{ day: '1 day' }])
})

function sql(what: string, values: readonly string[]) {
  return { text: `select ${what}`, values: [...values] }
}
