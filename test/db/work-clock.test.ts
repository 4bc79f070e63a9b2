import type { Client } from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { timeQueries, workClock } from '../../src/db/work-clock.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** A session whose queries take so many milliseconds, each its own text. */
function timed(): Client {
  const query = (ms: string) => new Promise((resolve) => setTimeout(resolve, Number(ms)))
  const client = { query } as unknown as Client
  timeQueries(client)
  return client
}

test('a clock of the work leaves out the way there and back, of queries that travel together once', async () => {
  const session = timed()
  const alone = workClock(session)
  const first = session.query('20')
  await vi.advanceTimersByTimeAsync(20)
  await first
  expect(alone()).toBe(0)

  expect(await workOf(session, ['20', '20', '80'])).toBeCloseTo(60, 0)
  // Those behind the first one are held back on their way.
  expect(await workOf(session, ['20', '35'])).toBe(0)
})

/** Of queries that are sent together. */
async function workOf(session: Client, queries: readonly string[]): Promise<number> {
  const clock = workClock(session)
  const sent = Promise.all(queries.map((ms) => session.query(ms)))
  await vi.advanceTimersByTimeAsync(Math.max(...queries.map(Number)))
  await sent
  return clock()
}
