import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { abandon, resume } from '../../src/engine/runs/runs.ts'
import { EbbError } from '../../src/errors.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { type EventsTable } from '../support/events-table.ts'
import { expectNothingNoticed, expectUntouched, inUse, leftovers, unlessNothingToAbandon } from '../support/in-use.ts'
import { startTool, type Errand } from '../support/process.ts'
import { randomFrom } from '../support/random.ts'
import { holdCursor } from '../support/reads.ts'
import { isToBeRepeated, modelOf, monthly, persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { type Writers } from '../support/writers.ts'
import { partition, planPartitionOf } from '../support/commands.ts'

// Wherever the tool, its sessions or the server die: the same command goes on and finishes,
// or `abandon` leaves the table as it was, and the application never notices.

const ROWS = 20_000
const USE = {
  rows: ROWS,
  reads: ({ view }: EventsTable) => [holdCursor(sql`select id from ${quoted(view)} order by id desc limit 50`)],
}

describe('a killed process', () => {
  test('after each step, is finished by the same command', async ({ database }) => {
    const { events, writers } = await inUse(database, USE)
    const errand = errandOn(database, events)

    for (const key of await stepKeys(database, events)) {
      expect(await startTool({ ...errand, dieAt: `step finished: ${key}` }).end()).toBe('SIGKILL')
    }
    await persevere(() => partition(database.url, written(events), monthly(), quietly()))

    await expectConverted(database, events, writers)
  })

  test('at the start of each step, is finished by resume', async ({ database }) => {
    const { events, writers } = await inUse(database, USE)
    const errand = errandOn(database, events)

    for (const key of await stepKeys(database, events)) {
      expect(await startTool({ ...errand, dieAt: `step started: ${key}` }).end()).toBe('SIGKILL')
      // The next one dies one step later, so this one has to be done.
      await persevere(() => stepOn(database, events, key))
    }
    await persevere(() => partition(database.url, written(events), monthly(), quietly()))

    await expectConverted(database, events, writers)
  })

  test('after each step before the swap, leaves the table unchanged when abandoned', async ({ database }) => {
    const { events, writers } = await inUse(database, USE)
    const before = await modelOf(database, events)
    const keys = await stepKeys(database, events)

    for (const key of keys.slice(0, keys.indexOf('swap'))) {
      const errand = { ...errandOn(database, events), dieAt: `step finished: ${key}` }
      expect(await startTool(errand).end()).toBe('SIGKILL')
      await persevere(() => abandon(database.url, { table: events }, quietly()))
      await expectUntouched(database, events, before)
    }

    await expectNothingNoticed(database, events, writers, ROWS)
  })

  test.for([
    ['goes on', 'partition'],
    ['goes back', 'abandon'],
  ] as const)('during an index build, %s', async ([_, command], { database }) => {
    const { events, writers } = await inUse(database, USE)
    const before = await modelOf(database, events)
    const holder = await database.session('holder')
    await holder.query('begin')
    await holder.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'never to be')`)

    const tool = startTool(errandOn(database, events))
    await tool.says('step started', 'primary-key-index')
    await tool.says('waiting')
    tool.signal('SIGKILL')
    expect(await tool.end()).toBe('SIGKILL')
    // The server notices by itself that nobody wants the index any more.
    await until(async () => !(await isAtWork(database)), { what: 'the server to give up the index' })
    expect(await leftovers(database)).toHaveLength(2) // the index that was begun, and the run
    await holder.query('rollback')

    if (command === 'partition') {
      await persevere(() => partition(database.url, written(events), monthly(), quietly()))
      await expectConverted(database, events, writers)
    } else {
      await persevere(() => abandon(database.url, { table: events }, quietly()))
      await expectUntouched(database, events, before)
      await expectNothingNoticed(database, events, writers, ROWS)
    }
  })

  test('at random moments, is resumed or undone', async ({ database }) => {
    const { events, writers } = await inUse(database, USE)
    const before = await modelOf(database, events)
    const random = randomFrom('kill at random moments')

    for (let i = 0; i < 10; i++) {
      const dieAtStatement = { number: 20 + Math.floor(random() * 60), afterMs: Math.floor(random() * 30) }
      await startTool({ ...errandOn(database, events), dieAtStatement }).end()
      if (random() < 0.5 && !(await isPastTheSwap(database, events))) {
        await persevere(() => abandon(database.url, { table: events }, quietly())).catch(unlessNothingToAbandon)
        await expectUntouched(database, events, before)
      }
    }
    await persevere(() => partition(database.url, written(events), monthly(), quietly()))

    await expectConverted(database, events, writers)
  })
})

describe('a terminated session', () => {
  test.for([
    ['at work', 'desc'],
    ['that looks around', 'asc'],
  ] as const)('the one %s, during each step', async ([_, order], { database }) => {
    const { events, writers } = await inUse(database, USE)
    const administrator = await database.session('administrator', { admin: true })

    const interrupted = await strikeAtEachStep(database, events, async () => {
      await administrator.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'ebb partition %' order by backend_start ${order} limit 1`,
      )
    })
    await persevere(() => partition(database.url, written(events), monthly(), quietly()))

    expect(interrupted).toBeGreaterThan(0)
    await expectConverted(database, events, writers)
  })
})

describe('a server crash', () => {
  test('during each step, is recovered from after the restart', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const { events, writers } = await inUse(database, { ...USE, reconnect: true })

    const interrupted = await strikeAtEachStep(database, events, async () => {
      await server.crash()
      await server.restart()
    })
    await persevere(() => partition(database.url, written(events), monthly(), quietly()))
    const before = writers.writes
    await until(() => writers.writes > before + 20)

    expect(interrupted).toBeGreaterThan(1)
    await expectConverted(database, events, writers)
  })
})

/** Calls `strike` a moment after each step has begun, the first time it does; returns how often that ended the run. */
async function strikeAtEachStep(database: Database, events: TableName, strike: () => Promise<void>): Promise<number> {
  const random = randomFrom('strike while a step is under way')
  let interrupted = 0
  for (const key of await stepKeys(database, events)) {
    let struck: Promise<void> | undefined
    const options = quietly({
      observer: (event) => {
        if (event.type === 'step started' && event.step.key === key) struck = setTimeout(random() * 20).then(strike)
      },
    })
    const outcome = await partition(database.url, written(events), monthly(), options).catch((error: unknown) => error)
    await struck
    if (!(outcome instanceof Error)) continue
    interrupted++
    expect(outcome).toSatisfy(isToBeRepeated)
  }
  return interrupted
}

function errandOn({ url }: Database, table: TableName): Errand {
  return { command: 'partition', url, table, request: monthly() }
}

async function stepKeys(database: Database, events: TableName): Promise<string[]> {
  const { steps } = await planPartitionOf(database.url, written(events), monthly(), quietly())
  return steps.map(({ key }) => key)
}

/** Does this one step and stops. */
async function stepOn(database: Database, events: TableName, key: string): Promise<void> {
  const stop = new AbortController()
  const options = quietly({
    signal: stop.signal,
    observer: (event) => {
      if (event.type === 'step finished' && event.step.key === key) stop.abort()
    },
  })
  await resume(database.url, { table: events }, options).catch((error: unknown) => {
    if (!(error instanceof EbbError && error.kind === 'stopped')) throw error
  })
}

async function isPastTheSwap(database: Database, events: TableName): Promise<boolean> {
  return (await modelOf(database, events)).kind === 'partitioned table'
}

async function expectConverted(database: Database, events: TableName, writers: Writers): Promise<void> {
  expect((await modelOf(database, events)).kind).toBe('partitioned table')
  expect(await leftovers(database)).toEqual([])
  await expectNothingNoticed(database, events, writers, ROWS)
}

async function isAtWork(database: Database): Promise<boolean> {
  const { rowCount } = await database.admin(
    `select from pg_stat_activity where datname = current_database() and application_name like 'ebb partition %'`,
  )
  return rowCount !== 0
}
