import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import { test, type Database } from '../support/database.ts'
import { anyCopying, anySizes, hasty, untilItIsDone } from '../support/history-runs.ts'
import { KEYS, UNIQUES, type KeyShape, type Uniqueness } from '../support/history-shapes.ts'
import { History } from '../support/history.ts'
import { randomFrom } from '../support/random.ts'
import { quietly, written } from '../support/tool.ts'
import { rebuild } from '../support/commands.ts'

// A table is rebuilt while it is written to in every way there is. Afterwards every acknowledged write is there
// exactly once, and nothing else; after the roll-back again. EBB_TEST_ROUNDS for more, EBB_TEST_SEED for the same again.

const ROUNDS = Number(process.env.EBB_TEST_ROUNDS ?? 20)
const UNIQUENESS = Object.keys(UNIQUES) as Uniqueness[]

describe('a rebuild keeps every write exactly once', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const key = KEYS[round % KEYS.length]!
    const uniqueness = UNIQUENESS[Math.floor(round / KEYS.length) % UNIQUENESS.length]!

    test(`round ${round + 1}: key ${key.title}, uniqueness ${uniqueness}`, async ({ database }) => {
      const random = randomFrom(`round ${round + 1}`)
      const request = anyRequest(random, key)
      await preferIndexes(database)
      const history = await History.create(database, {
        shape: { key, uniqueness },
        random,
        mayVanish: request.keep !== null,
      })
      try {
        await history.start()
        await setTimeout(50)

        const runId = await rebuiltAtLast(database, history, request, random)
        await setTimeout(random() * 100)
        await history.stop()
        expect(await history.differences(request.keep !== null)).toEqual([])

        await history.start()
        await setTimeout(random() * 100)
        await rollback(database.url, { runId }, quietly({ ...hasty, copySizes: anySizes(random) }))
        await setTimeout(random() * 50)
        await history.stop()
        expect(await history.differences(false)).toEqual([])
      } finally {
        await history.end()
      }
      expect(history.transactions).toBeGreaterThan(20)
    })
  }
})

/** So small a table is read as a whole otherwise, and never copied by ranges of its key. */
async function preferIndexes(database: Database): Promise<void> {
  await database.admin(
    `do $$ begin execute format('alter database %I set enable_seqscan = off', current_database()); end $$`,
  )
}

function anyRequest(random: () => number, key: KeyShape): RebuildRequest {
  const { name } = key.columns[0]!
  // The first is copied by ranges of the key, the others by blocks.
  const keeps = [`kept::int = 1 and "${name}" >= ${key.least}`, 'kept', null]
  return { keep: keeps[Math.floor(random() * keeps.length)]!, ...anyCopying(random) }
}

/** Rebuilds; now and then it is stopped somewhere, and goes on. */
async function rebuiltAtLast(
  database: Database,
  history: History,
  request: RebuildRequest,
  random: () => number,
): Promise<string> {
  const { runId } = await untilItIsDone(random, (options) =>
    rebuild(database.url, written(history.table), request, options),
  )
  return runId
}
