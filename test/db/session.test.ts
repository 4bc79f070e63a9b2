import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { openSession, withSession } from '../../src/db/session.ts'
import { ident } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'

/** Each of them would change what Ebb does, or how long it takes. */
const DEFAULTS = [
  ['timezone', 'Asia/Tokyo', 'UTC'],
  ['datestyle', 'German', 'ISO, MDY'],
  ['extra_float_digits', '0', '1'],
  ['bytea_output', 'escape', 'hex'],
  ['transform_null_equals', 'on', 'off'],
  ['intervalstyle', 'iso_8601', 'postgres'],
  ['lock_timeout', '1h', '500ms'],
  ['statement_timeout', '1s', '0'],
  ['idle_in_transaction_session_timeout', '0', '1min'],
  ['standard_conforming_strings', 'off', 'on'],
  ['jit', 'on', 'off'],
  ['parallel_setup_cost', '0', '1000'],
  ['quote_all_identifiers', 'on', 'off'],
  ['exit_on_error', 'on', 'off'],
] as const

test.for(DEFAULTS)(
  'a default of the database does not apply to our sessions: %s',
  async ([name, theirs, ours], { database, skip }) => {
    const given = database.admin(`alter database ${ident(database.name).text} set ${name} to '${theirs}'`)
    if (name === 'standard_conforming_strings' && database.version >= 190_000) {
      await expect(given).rejects.toMatchObject({ code: '0A000' })
      skip('19 knows only one way to read strings')
    }
    await given
    const session = await openSession(database.url, 'test')
    try {
      const { rows } = await session.query<{ value: string }>(`select current_setting('${name}') as value`)
      expect(rows[0]?.value).toBe(ours)
    } finally {
      await session.end()
    }
  },
)

test('the server’s reason for closing the connection between two queries is reported', async ({ database }) => {
  const lost = withSession(database.url, 'test', async (session) => {
    await session.query("set idle_in_transaction_session_timeout = '100ms'")
    await session.query('begin')
    await sleep(600)
    await session.query('select 1')
  })
  await expect(lost).rejects.toMatchObject({
    message: 'the connection was lost (terminating connection due to idle-in-transaction timeout)',
    kind: 'try later',
  })
})

test('an unresponsive server is unavailable, not misconfigured', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const session = openSession({ host: '127.0.0.1', port, connectionTimeoutMillis: 300 }, 'test')
  await expect(session).rejects.toMatchObject({ message: 'cannot connect: timeout expired', kind: 'try later' })
})
