import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { openSession, type Session } from '../../src/db/session.ts'
import { ComparedRanges } from '../../src/engine/copy/compared-ranges.ts'
import { workTogether, type SharedWork } from '../../src/engine/copy/jobs.ts'
import { Gain } from '../../src/pacing/gain.ts'
import type { TableContext } from '../../src/engine/table-context.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'

// The second job of `--jobs auto`, on a server of its own: on the one that tests share somebody is always active.

describe('by auto', () => {
  test('a second job works while nobody else does, ends within a second when somebody comes, and its failure ends both', async ({
    ownServer,
    judgeTimes,
  }) => {
    const { database } = await ownServer()
    const app = await database.session('app')
    const { work, control, ended } = await shared(database.adminUrl)

    await until(() => work.active, { what: 'the second job' })
    const came = performance.now()
    let busy = true
    const coming = (async () => {
      while (busy) await app.query('select 1').then(() => sleep(20))
    })()
    await until(() => !work.active, { what: 'the end of the second job' })
    const gaveBackMs = performance.now() - came
    const begun = work.begun
    await sleep(600)
    expect(work.begun).toBe(begun)
    busy = false
    await coming
    await until(() => work.active, { what: 'the second job, again' })

    work.finish()
    await ended
    expect(work.active).toBe(false)
    await control.end()

    const failing = await shared(database.adminUrl, () => Promise.reject(new Error('the second one')))
    await failing.ended
    expect(failing.work.errors).toEqual([new Error('the second one')])
    await failing.control.end()
    await judgeTimes(() => expect(gaveBackMs).toBeLessThan(1_000))
  })

  test('there is one job where the role cannot see what others do, or connections are few', async ({ ownServer }) => {
    const { database } = await ownServer({ max_connections: '15' })
    const blind = await shared(database.url)
    const crowded = await shared(database.adminUrl)
    await database.session('somebody else', { admin: true })

    await sleep(500)
    for (const { work, control, ended } of [blind, crowded]) {
      work.finish()
      await ended
      expect(work.begun).toBe(0)
      await control.end()
    }
  })
})

interface Work {
  active: boolean
  begun: number
  readonly errors: unknown[]
  finish: () => void
}

/** Work that the first job does until `finish`, and the second in pieces of 50 ms. */
async function shared(url: string, piece: () => Promise<unknown> = () => sleep(50)) {
  const control = await openSession(url, 'test')
  const work: Work = { active: false, begun: 0, errors: [], finish: () => {} }
  const finished = new Promise<void>((resolve) => (work.finish = resolve))
  const gain = new Gain()
  for (const milliseconds of [100, 100]) gain.piece()(100, milliseconds)
  const together: SharedWork = {
    jobs: 'auto',
    sessions: 1,
    gain,
    first: () => finished,
    further: async ([session], goesOn) => {
      work.active = true
      work.begun++
      while (goesOn()) {
        await piece()
        await session?.query('select')
      }
      work.active = false
    },
    fail: (error) => {
      work.errors.push(error)
      work.finish()
    },
  }
  const context = { target: url, holder: 'test', control } as unknown as TableContext
  return { work, control, ended: workTogether(together, context) }
}

test('a second job is worth it where two do more than one, and until that is known', () => {
  const gained = (alone: readonly number[], together: readonly number[]) => {
    const gain = new Gain()
    for (const milliseconds of alone) gain.piece()(10, milliseconds)
    const between = gain.piece()
    gain.joined = true
    between(10, 1_000_000) // Begun alone, ended together: it tells nothing.
    for (const milliseconds of together) gain.piece()(10, milliseconds)
    return gain.isWorthIt
  }
  expect(gained([100], [300, 300, 300, 300])).toBe(true)
  expect(gained([100, 100], [300, 300, 300])).toBe(true)
  expect(gained([100, 100], [300, 300, 300, 300])).toBe(false)
  expect(gained([100, 110, 90], [180, 190, 170, 190])).toBe(false)
  expect(gained([100, 110, 90], [130, 140, 150, 140])).toBe(true)
})

describe('the ranges of a comparison that several jobs share', () => {
  const session = {} as Session
  const behind = (keys: readonly number[]) =>
    new ComparedRanges<number>({ number: 0, after: null }, (_, after) => {
      const next = keys.find((key) => after === null || key > Number(after[0]))
      return Promise.resolve(next === undefined ? null : [String(next)])
    })

  test('follow one another, and are recorded in order, without waiting for one another', async () => {
    const ranges = behind([10, 20])
    const taken = await Promise.all([1, 2, 3, 4].map(() => ranges.take(session, 1)))
    const recorded: (readonly number[])[] = []
    const record = (at: number) => ranges.record(taken[at]!, at, (found) => Promise.resolve(void recorded.push(found)))
    await record(1)
    expect(recorded).toEqual([])
    await record(0)
    await record(2)

    expect(taken.map((range) => range?.span)).toEqual([
      { after: null, upto: ['10'] },
      { after: ['10'], upto: ['20'] },
      { after: ['20'], upto: null },
      undefined,
    ])
    expect(recorded).toEqual([[0, 1], [2]])
  })

  test('that come after one that could not be recorded are not either: a resumed run would pass over it', async () => {
    const ranges = behind([10, 20])
    const [first, second] = [await ranges.take(session, 1), await ranges.take(session, 1)]
    const failing = ranges.record(first!, 0, () => Promise.reject(new Error('failed')))
    const later = ranges.record(second!, 1, () => Promise.reject(new Error('recorded')))
    await expect(failing).rejects.toThrow('failed')
    await expect(later).rejects.toThrow('failed')
  })

  test('of which one is never compared, those after it are not recorded', async () => {
    const ranges = behind([10, 20])
    await ranges.take(session, 1)
    const second = await ranges.take(session, 1)
    await ranges.record(second!, 1, () => Promise.reject(new Error('recorded')))
  })
})
