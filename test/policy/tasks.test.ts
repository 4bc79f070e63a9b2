import { expect, test } from 'vitest'
import { judgePolicy } from '../../src/policy/judge-policy.ts'
import { policiesOfProgram } from '../../src/policy/read-config.ts'
import { tasksNow } from '../../src/policy/tasks.ts'

const PURGE = { purge: { where: 'true' }, archive: 'none' }

/** What is done now, at an instant. */
async function nowOf(windows: readonly string[], instant: string) {
  const pace = { windows: [...windows] }
  const { policies } = await policiesOfProgram({ policies: { 'public.logs': { ...PURGE, pace } } })
  const now = BigInt(Date.parse(instant)) * 1000n
  const present = { registered: null, found: null }
  const standing = { table: { schema: 'public', name: 'logs' }, inForce: null, present, now, unfinished: null }
  return tasksNow(policies[0]!, judgePolicy(policies[0]!, standing as never, []))
}

test.for<[windows: string[], instant: string, closesInMs: number | null]>([
  [[], '2026-03-01T12:00:00Z', null],
  [['01:00-05:00'], '2026-03-01T00:59:59Z', 0],
  [['01:00-05:00'], '2026-03-01T01:00:00Z', 4 * 3_600_000],
  // On the minute, not a minute after the question.
  [['01:00-05:00'], '2026-03-01T04:58:59.250Z', 60_750],
  [['01:00-05:00'], '2026-03-01T04:59:59.250Z', 750],
  [['01:00-05:00', '05:00-05:30'], '2026-03-01T04:59:30Z', 1_830_000],
  [['22:00-04:30 Europe/Berlin'], '2026-03-01T03:29:00Z', 60_000],
  // The hour that the clock repeats is in the window twice.
  [['02:00-03:00 Europe/Berlin'], '2026-10-25T00:30:00Z', 90 * 60_000],
  [['00:00-12:00', '12:00-24:00'], '2026-03-01T11:00:00Z', null],
])('the windows %s close, as seen at %s, in %s ms', async ([windows, instant, closesInMs]) => {
  const now = await nowOf(windows, instant)
  expect(now.closesInMs).toBe(closesInMs)
  expect(now.tasks.map(({ kind }) => kind)).toEqual(closesInMs === 0 ? [] : ['purge'])
})
