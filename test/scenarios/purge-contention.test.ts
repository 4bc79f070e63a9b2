import { describe, expect } from 'vitest'
import type pg from 'pg'
import { setTimeout } from 'node:timers/promises'
import type { EngineOptions } from '../../src/engine/options.ts'
import { EbbError } from '../../src/errors.ts'
import type { Event } from '../../src/events.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { Hold } from '../support/hold.ts'
import { batchesOf, contentOf, matching, purgeRequest, purgeRows } from '../support/purging.ts'
import { randomFrom } from '../support/random.ts'
import { quietly, written } from '../support/tool.ts'
import { PATIENCE_MS, until } from '../support/until.ts'
import { planPurgeOf, purge } from '../support/commands.ts'

// An application that works on the rows that are to go: it never waits for a purge, never becomes the victim of a
// deadlock, and what it keeps in time stays.

const ROWS = 2_000
const OLD = purgeRequest(`kind = 'old'`)
const PATIENT = { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: PATIENCE_MS }

/** Every other row is old. */
async function accounts(database: Database): Promise<TableName> {
  const table = database.table('accounts')
  const owner = await database.session('setup')
  await owner.query(
    sql`create table ${quoted(table)} (id int primary key, kind text not null, note text default repeat('x', 80))`.text,
  )
  await owner.query(
    sql`insert into ${quoted(table)} select n, case when n % 2 = 0 then 'old' else 'new' end from generate_series(1, ${ROWS}::int) n`,
  )
  await owner.query(sql`create index on ${quoted(table)} (kind, id)`.text)
  await owner.query(sql`analyze ${quoted(table)}`.text)
  return table
}

/** The ways that a batch may take: over blocks, looking first or not, and along an index. */
const WAYS = [
  ['block after block', OLD],
  ['along an index', purgeRequest(`kind = 'old'`, { orderBy: 'id' })],
] as const

describe.for(WAYS)('%s', ([, request]) => {
  test('locked rows are skipped at once, and revisited', async ({ database }) => {
    const table = await accounts(database)
    const app = await database.session('app')
    await app.query('begin')
    await app.query(sql`select from ${quoted(table)} where id in (10, 11, 1200, 2000) for update`)

    const purging = start(database, table, { lockLimits: PATIENT, turns: batchesOf(100) }, request)
    await purging.waits(/for 3 rows that others hold locked/)
    expect(await contentOf(database, table, `kind = 'new'`)).toMatchObject({ rows: 3 })
    await app.query('commit')

    const { figures, remaining } = await purging.end
    expect(figures).toMatchObject({ rows: ROWS / 2, locked: 0 })
    expect(remaining).toMatchObject({ matching: 0, held: 0 })
  })

  test('rows locked for too long are left, reported, and deleted by the same command later', async ({ database }) => {
    const table = await accounts(database)
    const app = await database.session('app')
    await app.query('begin')
    await app.query(sql`select from ${quoted(table)} where id = 10 for share`)

    const hasty = { lockLimits: { ...PATIENT, deadlineMs: 300 }, turns: batchesOf(100) }
    const { figures, remaining } = await purgeRows(database, table, request, hasty)
    expect(figures).toMatchObject({ rows: ROWS / 2 - 1, locked: 1 })
    expect(remaining).toMatchObject({ matching: 1, held: 0 })

    await app.query('commit')
    expect((await purgeRows(database, table, request, hasty)).figures).toMatchObject({ rows: 1, locked: 0 })
  })

  test.for([
    ['so that it is to be kept', 'new', 1],
    ['and is still to go', 'old', 0],
  ] as const)('a row changed while a batch looks at others, %s', async ([, kind, left], { database }) => {
    const table = await accounts(database)
    const app = await database.session('app')
    const hold = await Hold.at(database, 'id = 20')
    const held = { ...request, rows: matching(`kind = 'old' and ${hold.keep}`) }
    const purging = start(database, table, { turns: batchesOf(500) }, held)
    await hold.reached()
    await app.query(sql`update ${quoted(table)} set kind = ${kind}, note = 'changed in time' where id = 4`)
    await hold.release()

    const { remaining } = await purging.end
    const { rows } = await app.query(sql`select kind from ${quoted(table)} where id = 4`)
    expect(rows).toHaveLength(left)
    expect(remaining).toMatchObject({ matching: 0, held: 0 })
  })
})

test('a row changed in an open transaction is left to it, and kept if it no longer matches', async ({ database }) => {
  const table = await accounts(database)
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`update ${quoted(table)} set kind = 'new' where id = 4`)
  await app.query(sql`delete from ${quoted(table)} where id = 6`)
  const purging = start(database, table, { lockLimits: PATIENT, turns: batchesOf(100) })
  await purging.waits(/for 2 rows/)
  await app.query('commit')
  const { figures, remaining } = await purging.end
  expect(figures).toMatchObject({ rows: ROWS / 2 - 2, locked: 0 })
  expect(remaining).toMatchObject({ matching: 0, held: 0 })
  expect(await contentOf(database, table, 'id <> 4')).toMatchObject({ rows: 1 })
})

test('an application never waits for a row longer than a batch takes, nor a purge for an application', async ({
  database,
  judgeTimes,
}) => {
  const table = await accounts(database)
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`select from ${quoted(table)} where id = 1000 for update`)
  const began = performance.now()
  const purging = start(database, table, { lockLimits: PATIENT, turns: batchesOf(10) })
  await purging.waits(/for 1 row /)
  const tookMs = performance.now() - began
  // The others of its batch went in their turn: nobody tried fewer and fewer rows until only the held one was left.
  const { rows } = await database.admin('select rows::int, locked::int from ebb.purge_batch where locked > 0')
  expect(rows).toEqual([{ rows: 9, locked: 1 }])
  await app.query('rollback')
  await purging.end
  // A hundred batches and some rounds for the one row that is held.
  await judgeTimes(() => expect(tookMs).toBeLessThan(5_000))
})

test('a locked table is waited for by polling, and named', async ({ database }) => {
  const table = await accounts(database)
  const app = await database.session('a migration')
  const reader = await database.session('reader')
  const { purge: work } = await planPurgeOf(database.url, written(table), OLD, quietly())
  expect(work).not.toBeNull()
  const purging = start(database, table, {
    lockLimits: PATIENT,
    turns: {
      turn: async (last) => {
        if (last === null) {
          await app.query('begin')
          await app.query(sql`lock table ${quoted(table)} in share mode`.text)
        }
        return { rows: 100 }
      },
    },
  })
  await purging.waits(/for the lock on .*accounts.*a migration/)
  // Nobody queues behind us meanwhile.
  await reader.query(sql`set lock_timeout = '10s'`.text)
  await reader.query(sql`select count(*) from ${quoted(table)}`)
  await app.query('commit')
  expect((await purging.end).figures).toMatchObject({ rows: ROWS / 2 })
})

test('a second purge of the table names the first; it changes nothing', async ({ database }) => {
  const table = await accounts(database)
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`select from ${quoted(table)} where id = 10 for update`)
  const first = start(database, table, { lockLimits: PATIENT, turns: batchesOf(100) })
  await first.waits(/for 1 row /)
  const second = await purgeRows(database, table, OLD).catch((error: unknown) => error)
  expect(second).toBeInstanceOf(EbbError)
  expect(second).toMatchObject({
    kind: 'try later',
    message: expect.stringMatching(/ebb purge .* is running on/) as string,
  })
  const other = await purgeRows(database, table, purgeRequest('id < 50')).catch((error: unknown) => error)
  expect(other).toMatchObject({
    kind: 'objections',
    message: expect.stringMatching(/run 1 .*is unfinished/) as string,
  })
  await app.query('commit')
  await first.end
})

test('two purges of the same rows, and an application that locks rows in the opposite order: it gets no error', async ({
  database,
}) => {
  const table = await accounts(database)
  // Batches take their time, so that the application meets them half way.
  await database.admin(`
      create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.001); return old; end $$`)
  await database.admin(
    sql`create trigger slowly before delete on ${quoted(table)} for each row execute function slowly()`.text,
  )
  const random = randomFrom('an application in the opposite order')
  const stop = new AbortController()
  const apps = await Promise.all(
    [1, 2, 3].map(async (i) => backwards(await database.session(`app ${i}`), table, random, stop.signal)),
  )
  // Each has a journal of its own, so that no lease keeps them apart.
  const both = [1, 2].map((i) =>
    purge(
      database.url,
      written(table),
      i === 1 ? OLD : purgeRequest(`kind = 'old'`, { orderBy: 'id' }),
      quietly({ journalSchema: `journal_${i}`, lockLimits: PATIENT, turns: batchesOf(40) }),
    ),
  )
  const results = await Promise.all(both)
  stop.abort()
  const errors = (await Promise.all(apps.map(({ done }) => done))).flat()
  expect(errors).toEqual([])
  expect(apps.every(({ transactions }) => transactions() > 3)).toBe(true)
  const gone = results.reduce((sum, { figures }) => sum + (figures?.rows ?? 0), 0)
  const left = await contentOf(database, table, `kind = 'new'`)
  expect(gone + left.rows).toBe(ROWS / 2)
})

/** Updates rows from the end to the beginning, some in a transaction of some milliseconds, until told to stop. Errors are returned. */
function backwards(app: pg.Client, table: TableName, random: () => number, signal: AbortSignal) {
  let transactions = 0
  const loop = async () => {
    const errors: unknown[] = []
    while (!signal.aborted) {
      // In groups of four that all of them share, or they would meet each other half way.
      const top = 4 * Math.ceil((random() * ROWS) / 4)
      try {
        await app.query('begin')
        for (let id = top; id > top - 20; id -= 4) {
          await app.query(sql`update ${quoted(table)} set note = 'seen' where id between ${id - 3}::int and ${id}::int`)
          await setTimeout(2)
        }
        await app.query('commit')
        transactions++
      } catch (error) {
        errors.push(error)
        await app.query('rollback')
      }
      await setTimeout(1)
    }
    return errors
  }
  return { done: loop(), transactions: () => transactions }
}

/** A purge under way. */
function start(database: Database, table: TableName, options: Partial<EngineOptions>, request = OLD) {
  const events: Event[] = []
  const end = purgeRows(database, table, request, { ...options, observer: (event) => void events.push(event) })
  end.catch(() => {}) // told by whoever awaits the end
  const tooLate = end.then(() => {
    throw new Error('the purge has ended')
  })
  tooLate.catch(() => {})
  return {
    end,
    waits: (reason: RegExp) =>
      Promise.race([
        tooLate,
        until(() => events.some((event) => event.type === 'waiting' && reason.test(event.reason)), {
          what: `it to wait ${reason}`,
        }),
      ]),
  }
}
