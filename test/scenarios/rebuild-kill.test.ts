import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { abandon, planRollbackOf, resume, rollback } from '../../src/engine/runs/runs.ts'
import { EbbError } from '../../src/errors.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { type TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import {
  expectNothingNoticed,
  expectUntouched,
  inUse,
  unfinishedRuns,
  unlessNothingToAbandon,
} from '../support/in-use.ts'
import { startTool, type Errand } from '../support/process.ts'
import { randomFrom } from '../support/random.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { isToBeRepeated, modelOf, persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { planRebuildOf, rebuild } from '../support/commands.ts'

// Wherever a rebuild, its sessions or the server die: the same command goes on and finishes, or `abandon` leaves no
// trace, and the application never notices.

const ROWS = 3_000
const SMALL = { copySizes: { chunkBlocks: 4, batchEntries: 20, shortLog: 10 } }
const request = rebuildRequest({ transport: 'copy', jobs: 2 })

describe('a killed rebuild', () => {
  test('after each step, is finished by the same command; so is its rollback', async ({ database }) => {
    const { events, writers } = await inUse(database, { rows: ROWS })
    const before = await modelOf(database, events)

    for (const key of await stepKeys(database, events))
      expect(await startTool({ ...errandOn(database, events), dieAt: `step finished: ${key}` }).end()).toBe('SIGKILL')
    const { runId } = await persevere(() => again(database, events))
    await expectRebuilt(database, events, before)

    const { steps } = await planRollbackOf(database.url, { runId }, quietly())
    for (const { key } of steps) {
      const errand: Errand = { command: 'rollback', url: database.url, table: events, options: SMALL }
      expect(await startTool({ ...errand, dieAt: `step finished: ${key}` }).end()).toBe('SIGKILL')
    }
    await persevere(() => resume(database.url, { table: events }, quietly()))
    expect((await modelOf(database, events)).oid).toBe(before.oid)
    await expectUntouched(database, events, before)
    await expectNothingNoticed(database, events, writers, ROWS)
  })

  test('after each step before the swap, leaves no trace when abandoned', async ({ database }) => {
    const { events, writers } = await inUse(database, { rows: ROWS })
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

  test('at random moments, is resumed or undone', async ({ database }) => {
    const { events, writers } = await inUse(database, { rows: ROWS })
    const before = await modelOf(database, events)
    const random = randomFrom('kill a rebuild at random moments')

    const killed = (errand: Errand, statements: number) => {
      const dieAtStatement = { number: 20 + Math.floor(random() * statements), afterMs: Math.floor(random() * 10) }
      return startTool({ ...errand, dieAtStatement }).end()
    }

    for (let i = 0; i < 14; i++) {
      await killed(errandOn(database, events), 150)
      if (await isPastTheSwap(database, before)) {
        await finish(database, events)
        await killed({ command: 'rollback', url: database.url, table: events, options: SMALL }, 80)
        await persevere(() => rollback(database.url, { table: events }, quietly())).catch(unlessRolledBack)
        await expectUntouched(database, events, before)
      } else if (random() < 0.4) {
        await persevere(() => abandon(database.url, { table: events }, quietly())).catch(unlessNothingToAbandon)
        await expectUntouched(database, events, before)
      }
    }
    await persevere(() => again(database, events))

    await expectRebuilt(database, events, before)
    await expectNothingNoticed(database, events, writers, ROWS)
  })
})

describe('a terminated session of a rebuild', () => {
  test('any of them, during each step', async ({ database }) => {
    const { events, writers } = await inUse(database, { rows: ROWS })
    const before = await modelOf(database, events)
    const administrator = await database.session('administrator', { admin: true })

    const interrupted = await strikeAtEachStep(database, events, async () => {
      await administrator.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'ebb rebuild %' order by random() limit 1`,
      )
    })
    await finish(database, events)

    // A session that the step does not need lets the run go on to its end.
    expect(interrupted).toBeGreaterThan(0)
    await expectRebuilt(database, events, before)
    await expectNothingNoticed(database, events, writers, ROWS)
  })
})

describe('a server crash', () => {
  test('during each step of a rebuild, is recovered from after the restart', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const { events, writers } = await inUse(database, { rows: ROWS, reconnect: true })
    const before = await modelOf(database, events)

    const interrupted = await strikeAtEachStep(database, events, async () => {
      await server.crash()
      await server.restart()
    })
    if (await isUnfinished(database)) await persevere(() => again(database, events))
    const done = writers.writes
    await until(() => writers.writes > done + 20)

    expect(interrupted).toBeGreaterThan(3)
    await expectRebuilt(database, events, before)
    await expectNothingNoticed(database, events, writers, ROWS)
  })
})

function errandOn({ url }: Database, table: TableName): Errand {
  return { command: 'rebuild', url, table, rebuild: request, options: SMALL }
}

function again(database: Database, events: TableName) {
  return rebuild(database.url, written(events), request, quietly(SMALL))
}

async function stepKeys(database: Database, events: TableName): Promise<string[]> {
  const { steps } = await planRebuildOf(database.url, written(events), request, quietly())
  return steps.map(({ key }) => key)
}

/** Calls `strike` a moment after each step has begun; returns how often that ended the run. */
async function strikeAtEachStep(database: Database, events: TableName, strike: () => Promise<void>): Promise<number> {
  const random = randomFrom('strike while a step of a rebuild is under way')
  let interrupted = 0
  for (const key of await stepKeys(database, events)) {
    let struck: Promise<void> | undefined
    const stop = new AbortController()
    const options = quietly({
      ...SMALL,
      signal: stop.signal,
      observer: (event) => {
        if (!('step' in event) || event.step.key !== key) return
        if (event.type === 'step started') struck ??= setTimeout(random() * (key === 'copy' ? 60 : 5)).then(strike)
        if (event.type === 'step finished') stop.abort() // it was missed; the next one's turn
      },
    })
    const outcome = await persevereUntilAtWork(() => rebuild(database.url, written(events), request, options))
    await struck
    if (!(outcome instanceof Error)) return interrupted
    if (outcome instanceof EbbError && outcome.kind === 'stopped') continue
    interrupted++
    expect(outcome).toSatisfy(isToBeRepeated)
  }
  return interrupted
}

/** What comes of it, once the sessions of the one before are gone. */
async function persevereUntilAtWork(command: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    const outcome = await command().catch((error: unknown) => error)
    if (!(outcome instanceof Error && /is at work on/.test(outcome.message))) return outcome
    await setTimeout(50)
  }
}

/** Goes on with what is not finished yet. */
async function finish(database: Database, events: TableName): Promise<void> {
  if (await isUnfinished(database)) await persevere(() => again(database, events))
}

function unlessRolledBack(error: unknown): void {
  if (!(error instanceof EbbError && /is rolled back|is done|no retired table/.test(error.message))) throw error
}

async function isPastTheSwap(database: Database, before: TableModel): Promise<boolean> {
  return (await modelOf(database, before.name)).oid !== before.oid
}

async function isUnfinished(database: Database): Promise<boolean> {
  return (await unfinishedRuns(database)).length > 0
}

async function expectRebuilt(database: Database, events: TableName, before: TableModel): Promise<void> {
  const after = await modelOf(database, events)
  const ours = after.triggers.filter(({ name }) => name.startsWith('ebb_')).map(({ name }) => name)
  expect(after.oid).not.toBe(before.oid)
  expect(ours).toHaveLength(2)
  expect(compareFacts(factsOf(before), factsOf(after, ours))).toEqual([])
  expect(await isUnfinished(database)).toBe(false)
}
