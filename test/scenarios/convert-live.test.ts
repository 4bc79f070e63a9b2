import { describe, expect } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { insertClick, manyEvents } from '../support/many-events.ts'
import { callFunction, holdCursor, readThrough } from '../support/reads.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { verifyWrites } from '../support/verify-writes.ts'
import { startWriters } from '../support/writers.ts'
import { partition } from '../support/commands.ts'

const ROWS = 5_000_000
/** Promised: no application session waits longer because of us. */
const LONGEST_WAIT_MS = 250
/** Promised: the swap holds its locks for less. */
const SWAP_MS = 50

describe('converting five million rows while the application works', () => {
  test.for([
    ['by time', {}],
    ['by id', { by: 'id', every: { kind: 'ids', ids: 1_000_000n }, expireBy: 'created_at' }],
  ] as const)('%s loses nothing, and no session waits', async ([title, request], { database, judgeTimes }) => {
    const { events, view, counter } = await manyEvents(database, ROWS)
    const writers = await startWriters(database, {
      insert: insertClick(events),
      reads: [
        readThrough(view, 'id'),
        callFunction(counter),
        holdCursor(sql`select id from ${quoted(view)} where id > 4999000`),
      ],
      pauseMs: 5,
    })

    const result = await partition(database.url, written(events), monthly(request), quietly())
    const report = await writers.stop()

    const check = await database.session('check')
    await verifyWrites(check, events, 'token', report, ROWS)
    console.log(
      `converted ${title}: locked ${result.swap?.heldMs.toFixed(1)} ms in attempt ${result.swap?.attempts}; ` +
        `${report.writes} writes and ${report.reads} reads meanwhile, longest ${report.longestWaitMs.toFixed(0)} ms, p99 ${report.p99Ms.toFixed(1)} ms`,
    )
    expect(report.errors).toEqual([])
    expect(report.writes).toBeGreaterThan(100)
    expect(report.reads).toBeGreaterThan(20)
    await judgeTimes(() => {
      expect(result.swap?.heldMs).toBeLessThan(SWAP_MS)
      expect(result.swap?.longestWaitCausedMs).toBeLessThan(LONGEST_WAIT_MS)
      expect(report.longestWaitMs).toBeLessThan(LONGEST_WAIT_MS)
    })
  })
})
