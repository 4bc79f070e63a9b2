import { setTimeout } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { TableModel } from '../../src/catalog/table-model.ts'
import { planRebuildOf, rebuild } from '../../src/engine/rebuild.ts'
import { abandon, planRollbackOf, resume, rollback } from '../../src/engine/runs.ts'
import { EbbError, EXIT } from '../../src/errors.ts'
import { compareFacts, factsOf } from '../../src/plan/facts.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents, type EventsTable } from '../support/events-table.ts'
import { startTool, type Errand } from '../support/process.ts'
import { randomFrom } from '../support/random.ts'
import { callFunction, readThrough } from '../support/reads.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { isToBeRepeated, modelOf, persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { verifyWrites } from '../support/verify-writes.ts'
import { startWriters, type Writers } from '../support/writers.ts'

// Wherever a rebuild, its sessions or the server die: the same command goes on and finishes, or `abandon` leaves no
// trace, and the application never notices.

const ROWS = 3_000
const SMALL = { copySizes: { chunkBlocks: 4, batchEntries: 20, shortLog: 10 } }
const request = rebuildRequest({ transport: 'auto', jobs: 2 })

describe('a rebuild killed', () => {
  test(
    'after each step in turn, finishes when called again; its roll-back too',
    { timeout: 120_000 },
    async ({ database }) => {
      const { events, writers } = await inUse(database)
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
      await expectNothingNoticed(database, events, writers)
    },
  )

  test(
    'after each step before the swap, leaves no trace when abandoned',
    { timeout: 120_000 },
    async ({ database }) => {
      const { events, writers } = await inUse(database)
      const before = await modelOf(database, events)
      const keys = await stepKeys(database, events)

      for (const key of keys.slice(0, keys.indexOf('swap'))) {
        const errand = { ...errandOn(database, events), dieAt: `step finished: ${key}` }
        expect(await startTool(errand).end()).toBe('SIGKILL')
        await persevere(() => abandon(database.url, { table: events }, quietly()))
        await expectUntouched(database, events, before)
      }

      await expectNothingNoticed(database, events, writers)
    },
  )

  test('at random moments, goes on or goes back', { timeout: 120_000 }, async ({ database }) => {
    const { events, writers } = await inUse(database)
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
    await expectNothingNoticed(database, events, writers)
  })
})

describe('a session of a rebuild terminated', () => {
  test('any of them, while each step in turn is under way', { timeout: 120_000 }, async ({ database }) => {
    const { events, writers } = await inUse(database)
    const before = await modelOf(database, events)
    const administrator = await database.session('administrator', { admin: true })

    const interrupted = await strikeAtEachStep(database, events, async () => {
      await administrator.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'ebb rebuild %' order by random() limit 1`,
      )
    })
    await finish(database, events)

    expect(interrupted).toBeGreaterThan(3)
    await expectRebuilt(database, events, before)
    await expectNothingNoticed(database, events, writers)
  })
})

describe('the server crashed', () => {
  test(
    'while each step of a rebuild is under way, goes on after the restart',
    { timeout: 120_000 },
    async ({ ownServer }) => {
      const { server, database } = await ownServer()
      const { events, writers } = await inUse(database, true)
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
      await expectNothingNoticed(database, events, writers)
    },
  )
})

interface InUse extends EventsTable {
  readonly writers: Writers
}

async function inUse(database: Database, reconnect = false): Promise<InUse> {
  const parts = await createEvents(database, { rows: ROWS, publication: true })
  const { events, view, countFunction } = parts
  const writers = await startWriters(database, {
    insert: (token) => ({
      text: `insert into ${quoted(events).text} (user_id, kind, token) values ($1, 'click', $2)`,
      values: [1 + Math.floor(Math.random() * 100), token],
    }),
    reads: [readThrough(view, 'id'), callFunction(countFunction)],
    pauseMs: 10,
    reconnect,
  })
  return { ...parts, writers }
}

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
    if (outcome instanceof EbbError && outcome.exitCode === EXIT.stopped) continue
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
  if (!(error instanceof EbbError && /is rolled back|is done|no former table/.test(error.message))) throw error
}

function unlessNothingToAbandon(error: unknown): void {
  if (!(error instanceof EbbError && /there is no run|nothing to abandon/.test(error.message))) throw error
}

async function isPastTheSwap(database: Database, before: TableModel): Promise<boolean> {
  return (await modelOf(database, before.name)).oid !== before.oid
}

async function isUnfinished(database: Database): Promise<boolean> {
  if (!(await hasJournal(database))) return false
  const { rowCount } = await database.admin(`select from ebb.run where status = 'running'`)
  return rowCount !== 0
}

async function expectRebuilt(database: Database, events: TableName, before: TableModel): Promise<void> {
  const after = await modelOf(database, events)
  const ours = after.triggers.filter(({ name }) => name.startsWith('ebb_')).map(({ name }) => name)
  expect(after.oid).not.toBe(before.oid)
  expect(ours).toHaveLength(2)
  expect(compareFacts(factsOf(before), factsOf(after, ours))).toEqual([])
  expect(await isUnfinished(database)).toBe(false)
}

async function expectNothingNoticed(database: Database, events: TableName, writers: Writers): Promise<void> {
  const report = await writers.stop()
  expect(report.errors).toEqual([])
  expect(report.writes).toBeGreaterThan(20)
  await verifyWrites(await database.session('check'), events, 'token', report, ROWS)
}

async function expectUntouched(database: Database, events: TableName, before: TableModel): Promise<void> {
  expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
  expect(await leftovers(database)).toEqual([])
}

async function leftovers(database: Database): Promise<string[]> {
  const unfinished = (await hasJournal(database))
    ? `union all select format('run %s', id) from ebb.run where status = 'running'`
    : ''
  const { rows } = await database.admin<{ name: string }>(`
    select relname as name from pg_class where relname ~ '_retired|_ebb|^ebb_.*(log|capture)' and relkind in ('r', 'i')
    union all select tgname from pg_trigger where tgname like 'ebb%'
    union all select proname from pg_proc where proname like 'ebb%'
    ${unfinished}`)
  return rows.map(({ name }) => name)
}

/** The tool may have been killed before there was one. */
async function hasJournal(database: Database): Promise<boolean> {
  const { rows } = await database.admin<{ there: boolean }>(`select to_regclass('ebb.run') is not null as there`)
  return rows[0]?.there === true
}
