import { expect } from 'vitest'
import { inTransaction } from '../../src/db/transaction.ts'
import { test } from '../support/database.ts'

test('a transaction that begins and cannot be set up is rolled back', async ({ database }) => {
  const session = await database.session('test')
  const failing = inTransaction(session, { local: ["lock_timeout = 'soon'"] }, () => Promise.resolve())
  await expect(failing).rejects.toMatchObject({ code: '22023' })
  const { rows } = await session.query<{ one: number }>('select 1 as one')
  expect(rows).toEqual([{ one: 1 }])
})

test('settings of a transaction end with it', async ({ database }) => {
  const session = await database.session('test')
  const shown = async () => (await session.query<{ lock_timeout: string }>('show lock_timeout')).rows[0]?.lock_timeout
  const before = await shown()
  expect(await inTransaction(session, { local: ["lock_timeout = '1234ms'"] }, shown)).toBe('1234ms')
  expect(await shown()).toBe(before)
})
