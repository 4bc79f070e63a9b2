import { expect, test } from 'vitest'
import type { BlockedSession, Reading } from '../../src/pacing/reading.ts'
import { Tally } from '../../src/pacing/summary.ts'

function waitsSeen(...readings: (readonly BlockedSession[])[]): number {
  const tally = new Tally()
  for (const blocked of readings) tally.reading({ blocked, walPosition: null } as unknown as Reading)
  return tally.summary().waitsSeen
}

test('a wait is counted once, also if it was seen before PostgreSQL had recorded its start', () => {
  const wait = (since: string, pid = 7): BlockedSession => ({ pid, since, milliseconds: 0 })
  expect(waitsSeen([wait('')], [wait('12:00')], [wait('12:00')])).toBe(1)
  expect(waitsSeen([wait('12:00')], [wait('12:05')])).toBe(2)
  expect(waitsSeen([wait('12:00')], [wait('')], [wait('12:05')])).toBe(2)
  expect(waitsSeen([wait('')], [], [wait('12:00')])).toBe(2)
  expect(waitsSeen([wait('')], [wait('', 8)])).toBe(2)
})
