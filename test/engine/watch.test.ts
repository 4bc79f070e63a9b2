import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { backendPid } from '../../src/db/pooler.ts'
import { openSession } from '../../src/db/session.ts'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { watched } from '../../src/engine/watch.ts'
import type { Emitted as Event } from '../../src/events.ts'
import { test, type Database } from '../support/database.ts'

// What is told of a long statement, while it runs.

async function toldOf(database: Database, statements: readonly string[], restMs = 0): Promise<Event[]> {
  const [session, control] = [await openSession(database.url, 'test'), await openSession(database.url, 'test')]
  onTestFinished(async () => void (await Promise.all([session.end(), control.end()])))
  const events: Event[] = []
  await watched(
    { control, pid: await backendPid(session), lockLimits: LOCK_LIMITS },
    (event) => void events.push(event),
    async () => {
      for (const statement of statements) await session.query(statement)
      await sleep(restMs)
    },
  )
  return events
}

test('without progress from PostgreSQL, a statement is reported with its duration', async ({ database }) => {
  const events = await toldOf(database, ['select pg_sleep(3.5)'])
  expect(events.map(({ type }) => type)).toContain('working')
  for (const event of events) {
    expect(event).toMatchObject({ type: 'working', phase: null })
    expect((event as { seconds: number }).seconds).toBeGreaterThan(2)
  }
})

test('short statements and pauses are not reported', async ({ database, judgeTimes }) => {
  const events = await toldOf(database, ['select pg_sleep(1)'], 2_500)
  await judgeTimes(() => expect(events).toEqual([]))
})

test('a vacuum reports its progress', async ({ database }) => {
  const app = await database.session('app')
  await app.query(
    `create table filler with (autovacuum_enabled = off) as select repeat('x', 900) as x from generate_series(1, 24000)`,
  )
  await app.query('delete from filler')
  const events = await toldOf(database, [
    'set vacuum_cost_delay = 50; set vacuum_cost_limit = 200',
    'vacuum (truncate false) public.filler',
  ])
  const [progress] = events.flatMap((event) => (event.type === 'progress' ? [event.progress] : []))
  expect(progress).toMatchObject({
    what: expect.stringMatching(/^(scanning|vacuuming) heap$/) as string,
    unit: 'blocks',
  })
  expect(progress?.total).toBeGreaterThan(500)
})
