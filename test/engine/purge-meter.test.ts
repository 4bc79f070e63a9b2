import { expect, test } from 'vitest'
import { progressOf } from '../../src/engine/purge/meter.ts'
import { ALONE, type PurgeWork, type Walk } from '../../src/plan/purge/work.ts'
import type { Emitted as Event } from '../../src/events.ts'

function work(walk: Walk): PurgeWork {
  const name = { schema: 'public', name: 'events' }
  const leaf = { name, oid: '1', walk, blocks: 1_000, rowsPerBlock: null, estimatedRows: 300 }
  const action = { kind: 'delete' } as const
  return { table: name, oid: '1', where: 'true', settings: {}, leaves: [leaf], dependents: ALONE, action: action }
}

function told(walk: Walk, block: number, rows: number): Event | undefined {
  const events: Event[] = []
  progressOf(work(walk), (event) => events.push(event))(0, block, rows)
  return events[0]
}

const ALONG: Walk = { kind: 'key', index: 'events_pkey', columns: [], unique: true }

test('along an index progress is the share of the estimated rows, until more have been deleted', () => {
  expect(told(ALONG, 0, 150)).toMatchObject({ type: 'progress', progress: { done: 150, total: 300, unit: 'rows' } })
  expect(told(ALONG, 0, 300)).toMatchObject({ type: 'progress', progress: { done: 300 } })
  expect(told(ALONG, 0, 301)).toMatchObject({ type: 'working', phase: 'deleting, 301 rows gone' })
})

test('by blocks it is the share of the blocks, whatever the estimate', () => {
  expect(told({ kind: 'blocks' }, 500, 9_000)).toMatchObject({
    type: 'progress',
    progress: { done: 500, total: 1_000, unit: 'blocks' },
  })
})
