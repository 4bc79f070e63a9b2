import pg from 'pg'
import { expect } from 'vitest'
import { test } from './database.ts'
import { startPgBouncer, type PoolMode } from './pgbouncer.ts'

test.for<[PoolMode, boolean]>([
  ['session', true],
  ['transaction', false],
])('a pooler in %s mode keeps a session for itself: %s', async ([mode, keeps], { database, needs }) => {
  const url = await startPgBouncer(needs('pgbouncer'), database, mode)
  const [one, other] = [new pg.Client(url), new pg.Client(url)]
  await Promise.all([one.connect(), other.connect()])

  const mine = await backend(one)
  await other.query('begin') // takes the server's session that `one` has given back, if it has
  expect((await backend(other)) !== mine).toBe(keeps)

  await Promise.all([one.end(), other.end()])
})

async function backend(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]!.pid
}
