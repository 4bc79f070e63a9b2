import { expect, test } from 'vitest'
import type { Reading } from '../../src/pacing/reading.ts'
import { worstOf, type WorkerReading } from '../../src/pacing/readings/workers.ts'

const COORDINATOR: Reading = {
  at: 0n,
  blocked: [],
  replica: { name: 'r0', bytes: 10, seconds: null },
  slot: null,
  walPosition: null,
  wal: null,
  archiveBacklogBytes: null,
  active: 3,
  busy: null,
  vacuum: null,
  healthSql: null,
  healthUrl: null,
  missing: {},
}

function worker(node: string, load: Partial<WorkerReading['load']> = {}): WorkerReading {
  return { node, load: { blocked: [], replica: null, slot: null, active: 0, ...load } }
}

test('a cluster is as its node that is worst off', () => {
  const waiting = { pid: 7, since: 'now', milliseconds: 5 }
  const one = worker('a:1', { blocked: [waiting], replica: { name: 'r1', bytes: 500, seconds: 2 }, active: 9 })
  const two = worker('b:2', { slot: { name: 's2', bytes: 8 } })
  expect(worstOf(COORDINATOR, [one, two])).toMatchObject({
    blocked: [waiting],
    replica: { name: 'r1 of a:1', bytes: 500 },
    slot: { name: 's2 of b:2', bytes: 8 },
    active: 9,
    missing: {},
  })
})

test('of a worker that does not answer, or does not show who is active, nothing is made up', () => {
  const { missing, replica } = worstOf(COORDINATOR, [{ node: 'a:1', load: null }])
  expect([missing, replica]).toEqual([{ 'blocked sessions': 'a:1 does not answer' }, COORDINATOR.replica])
  expect(worstOf(COORDINATOR, [worker('b:2', { active: null })]).active).toBeNull()
})
