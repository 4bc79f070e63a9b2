import { expect } from 'vitest'
import { openSession } from '../../src/db/session.ts'
import { ident } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'

/** Each of them would change what Ebb does, or how long it takes. */
const DEFAULTS = [
  ['timezone', 'Asia/Tokyo', 'UTC'],
  ['datestyle', 'German', 'ISO, DMY'],
  ['intervalstyle', 'iso_8601', 'postgres'],
  ['lock_timeout', '1h', '500ms'],
  ['statement_timeout', '1s', '0'],
  ['idle_in_transaction_session_timeout', '0', '1min'],
  ['standard_conforming_strings', 'off', 'on'],
  ['jit', 'on', 'off'],
] as const

test.for(DEFAULTS)('a default of the database does not reach us: %s', async ([name, theirs, ours], { database }) => {
  await database.admin(`alter database ${ident(database.name).text} set ${name} to '${theirs}'`)
  const session = await openSession(database.url, 'test')
  try {
    const { rows } = await session.query<{ value: string }>(`select current_setting('${name}') as value`)
    expect(rows[0]?.value).toBe(ours)
  } finally {
    await session.end()
  }
})
