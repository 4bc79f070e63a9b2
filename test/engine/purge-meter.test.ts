import { expect, test } from 'vitest'
import { progressOf } from '../../src/engine/purge/meter.ts'
import { chooseWalk } from '../../src/plan/purge/walk.ts'
import { ALONE, type PurgeLeaf, type PurgeWork, type Walk } from '../../src/plan/purge/work.ts'
import type { Emitted as Event } from '../../src/events.ts'
import { leaf } from '../support/models.ts'

function work(walk: Walk, more: Partial<PurgeLeaf> = {}): PurgeWork {
  const name = { schema: 'public', name: 'events' }
  const leaf = { name, oid: '1', walk, blocks: 1_000, rowsPerBlock: null, estimatedRows: 300, ...more }
  const action = { kind: 'delete' } as const
  return { table: name, oid: '1', where: 'true', settings: {}, leaves: [leaf], dependents: ALONE, action: action }
}

function told(walk: Walk, block: number, rows: number, more: Partial<PurgeLeaf> = {}): Event | undefined {
  const events: Event[] = []
  progressOf(work(walk, more), (event) => events.push(event))(0, block, rows)
  return events[0]
}

const ALONG: Walk = { kind: 'key', index: 'events_pkey', columns: [], unique: true }

test('along an index progress is the share of the estimated rows, until more have been deleted', () => {
  expect(told(ALONG, 0, 150)).toMatchObject({ type: 'progress', progress: { done: 150, total: 300, unit: 'rows' } })
  expect(told(ALONG, 0, 300)).toMatchObject({ type: 'progress', progress: { done: 300 } })
  expect(told(ALONG, 0, 301)).toMatchObject({ type: 'working', phase: 'deleting, 301 rows gone' })
})

test('of a table that was never analyzed there is no share of the rows', () => {
  const guessed = { notAnalyzed: true } as const
  expect(told(ALONG, 0, 150, guessed)).toMatchObject({ type: 'working', phase: 'deleting, 150 rows gone' })
  expect(told({ kind: 'blocks' }, 500, 150, guessed)).toMatchObject({ type: 'progress', progress: { total: 1_000 } })
  expect(chooseWalk(leaf({ rows: null }), null).leaf).toMatchObject(guessed)
  expect(chooseWalk(leaf(), null).leaf).not.toHaveProperty('notAnalyzed')
})

test('by blocks it is the share of the blocks, whatever the estimate', () => {
  expect(told({ kind: 'blocks' }, 500, 9_000)).toMatchObject({
    type: 'progress',
    progress: { done: 500, total: 1_000, unit: 'blocks' },
  })
})
