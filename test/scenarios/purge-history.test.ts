import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { untilItIsDone } from '../support/history-runs.ts'
import { KEYS, type KeyShape } from '../support/history-shapes.ts'
import { History } from '../support/history.ts'
import { startTool } from '../support/process.ts'
import { batchesOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { randomFrom } from '../support/random.ts'
import { persevere } from '../support/tool.ts'

// A table is purged of the rows that are not kept, while it is written to in every way there is, and now and then
// written anew, and the purge stopped or killed. No row is gone that was kept when its batch came, each is in the journal once, and in the end none is
// left. EBB_TEST_ROUNDS for more, EBB_TEST_SEED for the same again.

const ROUNDS = Number(process.env.EBB_TEST_ROUNDS ?? 10)

describe('a purge deletes every matching row once, and no other', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const key = KEYS[round % KEYS.length]!
    const spread = round % 3 === 1

    test(`round ${round + 1}: key ${key.title}${spread ? ', in partitions' : ''}`, async ({ database }) => {
      const random = randomFrom(`round ${round + 1}`)
      const history = await History.create(database, {
        shape: { key, uniqueness: 'none', spread },
        random,
        mayVanish: true,
        rowsEach: 400,
      })
      const owner = await database.session('owner')
      await owner.query(sql`analyze ${quoted(history.table)}`.text)
      // With a trigger, batches have to look first.
      const told = round % 2 === 0
      if (told) await tellOfDeletions(database, history)
      try {
        await history.start()
        for (let purges = 0; purges < 4; purges++) {
          const rewriting = random() < 0.5 ? rewrite(database, history, random() * 200) : undefined
          await purged(database, history, anyRequest(random, key), random)
          await rewriting
        }
        await history.stop()
        await purged(database, history, purgeRequest('not kept'), () => 0.5)
        expect(await history.differencesFromKept()).toEqual([])
      } finally {
        await history.end()
      }
      expect(history.transactions).toBeGreaterThan(20)
      if (told) await expectToldOnce(database)
    })
  }
})

function anyRequest(random: () => number, key: KeyShape): PurgeRequest {
  const orders = [null, key.columns[0]!.name, 'kept']
  return purgeRequest('not kept', { orderBy: orders[Math.floor(random() * orders.length)]!, vacuum: random() < 0.2 })
}

/** In tiny batches; now and then it is killed, or stopped, somewhere, and goes on. */
async function purged(
  database: Database,
  history: History,
  request: PurgeRequest,
  random: () => number,
): Promise<void> {
  const { url } = database
  const { table } = history
  const batchRows = 1 + Math.floor(random() * 15)
  const lockLimits = { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 300 }
  while (random() < 0.25) {
    const dieAtStatement = { number: 20 + Math.floor(random() * 300), afterMs: Math.floor(random() * 4) }
    const errand = { command: 'purge', url, table, purge: request, batchRows, options: { lockLimits } } as const
    expect(await startTool({ ...errand, dieAtStatement }).end()).toSatisfy(isDeadOrDone)
  }
  await untilItIsDone(random, (options) =>
    persevere(() => purgeRows(database, table, request, { ...options, turns: batchesOf(batchRows), lockLimits })),
  )
}

/** A session of one that was killed may still hold the lease, and then nothing is done. */
function isDeadOrDone(end: number | string): boolean {
  return end === 'SIGKILL' || end === EXIT.done || end === EXIT.tryLater
}

async function rewrite(database: Database, { table }: History, afterMs: number): Promise<void> {
  await setTimeout(afterMs)
  const stranger = await database.session('stranger')
  await stranger.query(`set lock_timeout = '200ms'`)
  await stranger.query(sql`vacuum full ${quoted(table)}`.text).catch(() => {}) // not to be had: another time
}

async function tellOfDeletions(database: Database, { table }: History): Promise<void> {
  const owner = await database.session('owner')
  await owner.query(`
    create table public.told (n bigint, kept boolean);
    create function public.tell() returns trigger language plpgsql as $$
    begin
      if current_setting('application_name') like 'ebb purge%' then insert into public.told values (old.n, old.kept); end if;
      return old;
    end $$`)
  await owner.query(
    sql`create trigger tell after delete on ${quoted(table)} for each row execute function public.tell()`.text,
  )
}

/** The journal has as many rows as have gone, and none of them was to be kept. */
async function expectToldOnce(database: Database): Promise<void> {
  const { rows } = await database.admin(`
    select (select count(*)::int from public.told) as told, (select count(*)::int from public.told where kept) as kept,
      (select sum(rows)::int from ebb.purge_batch) as journal`)
  const { told, kept, journal } = rows[0] as { told: number; kept: number; journal: number }
  expect(kept).toBe(0)
  expect(told).toBeGreaterThan(200)
  expect(journal).toBe(told)
}
