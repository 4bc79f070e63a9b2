import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { inOneGo } from '../../src/db/in-one-go.ts'
import { test } from '../support/database.ts'

test('used twice at once in a session, it leaves pipelining as it was', async ({ database }) => {
  const session = await database.session('test')
  const { pipeline } = session as typeof session & { readonly pipeline: boolean }
  const asking = (seconds: number) => inOneGo(session, () => [session.query(`select pg_sleep(${seconds})`)])
  const first = asking(0.05)
  await sleep(10)
  await Promise.all([first, asking(0.05)])
  expect(session).toMatchObject({ pipeline })
})
