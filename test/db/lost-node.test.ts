import { describe, expect, test } from 'vitest'
import { lossExplained } from '../../src/db/connection-error.ts'
import { isConnectionLost, isLockRefused, lostNode } from '../../src/db/sqlstate.ts'
import { EbbError } from '../../src/errors.ts'

// A node of a Citus cluster that is down, or goes down: errors as the coordinator of 13.2 has given them.

function refused(code: string, message: string, where?: string): Error {
  return Object.assign(new Error(message), { code, where })
}

const REMOTE = 'connection to the remote node postgres@127.0.0.1:9711 failed with the following error: '
const EXECUTING = 'while executing command on 127.0.0.1:9711'
const CLOSED = 'server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally'

describe('a node that cannot be reached', () => {
  test.for([
    ['at the start', refused('08006', `${REMOTE}Connection refused\n\tIs the server running on that host?`)],
    ['between two statements', refused('08006', `${REMOTE}connection not open`)],
    ['crashed before the commit', refused('XX000', CLOSED, EXECUTING)],
    ['stopped before the commit', refused('57P01', 'terminating connection due to administrator command', EXECUTING)],
    ['while it starts', refused('57P03', 'the database system is starting up', `${EXECUTING}\nSQL statement "…"`)],
    ['before it is brought up to date', refused('55000', '127.0.0.1:9711 is a metadata node, but is out of sync')],
    ['among several connections', refused('XX000', 'failure on connection marked as essential: 127.0.0.1:9711')],
  ] as const)('%s', ([, error]) => {
    expect(lostNode(error)).toBe('127.0.0.1:9711')
    // The session is still there.
    expect(isConnectionLost(error)).toBe(false)
    const explained = lossExplained(error)
    expect(explained).toMatchObject({ kind: 'try later', cause: error })
    expect((explained as EbbError).message).toMatch(/^the node 127.0.0.1:9711 of the Citus cluster cannot be reached/)
  })
})

test('another error on a node is none of these, nor is the end of the session itself', () => {
  const error = refused('23505', 'duplicate key value violates unique constraint "p_102008"', EXECUTING)
  expect([lostNode(error), lossExplained(error)]).toEqual([null, error])
  const ended = refused('57P01', 'terminating connection due to administrator command')
  expect([lostNode(ended), isConnectionLost(ended)]).toEqual([null, true])
})

test('what Citus refuses while shards are moved can be retried', () => {
  const moved = refused('XX000', 'could not acquire the lock required to colocate distributed table public.events')
  expect(isLockRefused(moved)).toBe(true)
  expect(isLockRefused(refused('XX000', 'cache lookup failed for relation 16400'))).toBe(false)
})
