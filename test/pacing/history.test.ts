import { describe, expect, test as pure } from 'vitest'
import { paceIntervals, recordIntervals } from '../../src/journal/pace-intervals.ts'
import type { PaceInterval } from '../../src/journal/pace-intervals.ts'
import { History, joined } from '../../src/pacing/history.ts'
import type { Reading } from '../../src/pacing/reading.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'
import { pacedRun, WELL } from './support.ts'

const SECOND = 1_000_000n

function at(seconds: number, more: Partial<Reading> = {}): Reading {
  return { ...WELL, at: BigInt(seconds) * SECOND, ...more }
}

const wait = (pid: number, milliseconds: number) => ({ pid, since: '12:00', milliseconds })

/** What is in the journal after all changes so far. */
function recorded(into: PaceInterval[], history: History, seconds: number): PaceInterval[] {
  const { first, intervals } = history.changes(BigInt(seconds) * SECOND)
  return [...into.slice(0, first), ...intervals]
}

describe('the history of a run’s pace', () => {
  pure('has what happened, second by second', () => {
    const history = new History()
    history.reading(at(0, { replica: { name: 'r', bytes: 10, seconds: 0.5 } }))
    history.turn()
    history.pause('replica lag', 200)
    history.reading(at(4, { replica: { name: 'r', bytes: 70, seconds: null }, blocked: [wait(1, 5), wait(2, 9)] }))
    history.pause('fixed pause', 100)
    history.pause('replica lag', 50)
    history.reading(at(5, { blocked: [wait(2, 30)] }))
    history.turn()
    history.reading(at(7, { blocked: null }))
    expect(recorded([], history, 7)).toEqual([
      {
        ...{ from: 0n, to: 5n * SECOND, turns: 1, pausedMs: { 'replica lag': 250, 'fixed pause': 100 } },
        ...{ lagBytes: 70, lagSeconds: 0.5, waits: 2, longestWaitMs: 9 },
      },
      {
        ...{ from: 5n * SECOND, to: 7n * SECOND, turns: 1, pausedMs: {} },
        ...{ lagBytes: null, lagSeconds: null, waits: 0, longestWaitMs: 30 },
      },
    ])
  })

  pure('stays short, and loses no figure, however long the run takes and however often it is resumed', () => {
    let journal: PaceInterval[] = []
    let turns = 0
    for (let night = 0; night < 40; night++) {
      const history = new History(journal)
      for (let second = 0; second < 1000; second++) {
        const now = night * 86_400 + second
        history.reading(at(now))
        history.turn()
        turns++
        history.pause('fixed pause', 2)
        if (second % 10 === 0) journal = recorded(journal, history, now)
      }
      journal = recorded(journal, history, night * 86_400 + 1000)
      expect(journal.length).toBeLessThanOrEqual(121)
    }
    expect(journal.reduce((sum, one) => sum + one.turns, 0)).toBe(turns)
    expect(journal.reduce((sum, { pausedMs }) => sum + (pausedMs['fixed pause'] ?? 0), 0)).toBe(turns * 2)
    expect(journal.length).toBeGreaterThan(40)
    expect(journal.toSorted((a, b) => Number(a.from - b.from))).toEqual(journal)
  })

  pure('of a run that is resumed again and again for a moment stays short, too', () => {
    let journal: PaceInterval[] = []
    for (let minute = 0; minute < 1000; minute++) {
      const history = new History(journal)
      history.reading(at(minute * 60))
      history.turn()
      journal = recorded(journal, history, minute * 60 + 1)
    }
    expect(journal.length).toBeLessThanOrEqual(121)
    expect(joined(journal).reduce((sum, one) => sum + one.turns, 0)).toBe(1000)
  })

  pure('is recorded again where that has failed', () => {
    const history = new History()
    history.reading(at(0))
    history.reading(at(6))
    const lost = history.changes(6n * SECOND)
    history.notRecorded(lost)
    history.reading(at(12))
    expect(history.changes(12n * SECOND)).toMatchObject({ first: 0, intervals: { length: 3 } })
    expect(history.changes(13n * SECOND)).toMatchObject({ first: 2, intervals: { length: 1 } })
  })
})

test('a run’s pauses are in the journal when its step has ended, and what comes later is added', async ({
  database,
}) => {
  const { worker } = await pacedRun(database)
  await worker.query(sql`
    insert into ebb.run (command, schema_name, table_name, request, plan, ebb_version) values ('purge', 'public', 't', '{}', '{}', '0')`)
  for (const turns of [1, 2]) {
    const { pace } = await pacedRun(database, { pauseMs: 20 }, { runId: '1' })
    await pace.turn(null)
    for (let i = 0; i < turns; i++) await pace.turn({ rows: 1, milliseconds: 1 })
    const { pausedMsBy } = pace.summary()
    await pace.close()
    const intervals = await paceIntervals(worker, 'ebb', '1')
    expect(intervals).toHaveLength(turns)
    expect(intervals.at(-1)).toMatchObject({ turns: turns + 1, pausedMs: pausedMsBy })
    expect(intervals.at(-1)!.to).toBeGreaterThan(intervals.at(-1)!.from)
  }
  const [first] = await paceIntervals(worker, 'ebb', '1')
  await recordIntervals(worker, 'ebb', '1', { first: 0, intervals: [first!] })
  expect(await paceIntervals(worker, 'ebb', '1')).toEqual([first])
})

test('a run that is killed has left its pauses up to some seconds before', async ({ database }) => {
  const { worker } = await pacedRun(database)
  await worker.query(sql`
    insert into ebb.run (command, schema_name, table_name, request, plan, ebb_version) values ('purge', 'public', 't', '{}', '{}', '0')`)
  await pacedRun(database, {}, { runId: '1' })
  await until(async () => (await paceIntervals(worker, 'ebb', '1')).length === 1, { what: 'the first interval' })
})
