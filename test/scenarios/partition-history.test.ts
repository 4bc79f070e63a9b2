import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { EngineOptions } from '../../src/engine/options.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { PartitionRequest } from '../../src/plan/language/policy.ts'
import { test, type Database } from '../support/database.ts'
import { KEYS } from '../support/history-shapes.ts'
import { anyCopying, anySizes, hasty, untilItIsDone } from '../support/history-runs.ts'
import { History } from '../support/history.ts'
import { randomFrom } from '../support/random.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partition, partitionByCopy, split } from '../support/commands.ts'

// As rebuild-history.test.ts, where the new table is partitioned: rows move from one partition to another, and the
// changes of each are caught. By id, for whose every value there is a partition. EBB_TEST_ROUNDS, EBB_TEST_SEED.

const ROUNDS = Number(process.env.EBB_TEST_ROUNDS ?? 4)

/** Few rows in each partition, so that many are moved to another one; enough of them for what the writers will insert. */
const BY_ID: PartitionRequest = monthly({ by: 'id', every: { kind: 'ids', ids: 300n }, keep: null, premake: 25 })

const sizes = (random: () => number) => anySizes(random, 200)

const WAYS = {
  'partition --method copy': async (database: Database, history: History, random: () => number) => {
    const request = { ...BY_ID, ...anyCopying(random) }
    await history.start()
    const copy = (options: EngineOptions) => partitionByCopy(database.url, written(history.table), request, options)
    return untilItIsDone(random, copy, sizes(random))
  },
  split: async (database: Database, history: History, random: () => number) => {
    // The history reaches 50,000 ids ahead, and is divided up to its end.
    const wider: PartitionRequest = { ...BY_ID, every: { kind: 'ids', ids: 1_000n }, premake: 3 }
    await partition(database.url, written(history.table), wider, quietly())
    const order = { partition: null, every: null, keep: null, ...anyCopying(random) }
    await history.start()
    const copy = (options: EngineOptions) => split(database.url, written(history.table), order, options)
    return untilItIsDone(random, copy, sizes(random))
  },
}

describe.each(Object.entries(WAYS))('%s keeps every write exactly once', (_, copy) => {
  for (let round = 0; round < ROUNDS; round++)
    test(`round ${round + 1}`, async ({ database }) => {
      const random = randomFrom(`round ${round + 1}`)
      const shape = { key: KEYS[0]!, uniqueness: 'none' } as const
      const history = await History.create(database, { shape, random, mayVanish: false, writers: 3, rowsEach: 100 })
      try {
        const { runId } = await copy(database, history, random)
        await setTimeout(random() * 100)
        await history.stop()
        expect(await history.differences(false)).toEqual([])

        await history.start()
        await setTimeout(random() * 100)
        await rollback(database.url, { runId }, quietly({ ...hasty, copySizes: sizes(random) }))
        await setTimeout(random() * 50)
        await history.stop()
        expect(await history.differences(false)).toEqual([])
      } finally {
        await history.end()
      }
      expect(history.transactions).toBeGreaterThan(20)
    })
})
