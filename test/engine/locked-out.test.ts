import { expect } from 'vitest'
import { EbbError } from '../../src/errors.ts'
import type { Event } from '../../src/events.ts'
import { inspect } from '../../src/engine/commands/inspect.ts'
import { planRotations } from '../../src/engine/commands/rotate.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { quoted } from '../../src/sql/names.ts'
import { planMarkOf, planPartitionOf, planPurgeOf, planRebuildOf, purge } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { markRequest, purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { PATIENCE_MS } from '../support/until.ts'

// A table that somebody has locked as a whole while a plan is made.

const limits = (deadlineMs: number) => ({ lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs })

async function lockedTable(database: Database) {
  const table = database.table('visits')
  const owner = await database.session('setup')
  await owner.query(`create table ${quoted(table).text} (id int primary key, at timestamptz not null default now(), gone boolean);
    insert into ${quoted(table).text} select generate_series(1, 50)`)
  const holder = await database.session('holder')
  await holder.query(`begin; lock table ${quoted(table).text}`)
  return { table, holder }
}

type Reads = (url: string, database: Database, options: EngineOptions) => Promise<unknown>

const READING: [string, Reads][] = [
  ['purge', (url, d, o) => planPurgeOf(url, written(d.table('visits')), purgeRequest('id > 10'), o)],
  ['executing purge', (url, d, o) => purge(url, written(d.table('visits')), purgeRequest('id > 10'), o)],
  ['mark', (url, d, o) => planMarkOf(url, written(d.table('visits')), markRequest('id > 10', 'gone'), o)],
  ['rebuild', (url, d, o) => planRebuildOf(url, written(d.table('visits')), rebuildRequest(), o)],
  ['partition', (url, d, o) => planPartitionOf(url, written(d.table('visits')), monthly({ by: 'at' }), o)],
  ['inspect', (url, d, o) => inspect(url, written(d.table('visits')), o)],
]

test.for(READING)('%s waits, says for whom, and gives up at its deadline', async ([, reads], { database }) => {
  const { table, holder } = await lockedTable(database)
  const events: Event[] = []
  const options = (deadlineMs: number) =>
    quietly({ lockLimits: limits(deadlineMs), observer: (event) => void events.push(event) })

  const failure: unknown = await reads(database.url, database, options(300)).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(EbbError)
  expect(failure).toMatchObject({
    kind: 'try later',
    message: expect.stringMatching(/is locked by pid \d+ \(holder/) as string,
  })

  const waiting = reads(database.url, database, options(60_000))
  await expect
    .poll(() => events.filter(({ type }) => type === 'waiting').length, { timeout: PATIENCE_MS })
    .toBeGreaterThan(3)
  await holder.query('rollback')
  await waiting
  expect(events.find(({ type }) => type === 'waiting')).toMatchObject({
    table,
    reason: expect.stringMatching(/^for the lock on /) as string,
  })
})

test('rotate does, too', async ({ database }) => {
  const { table } = await lockedTable(database)
  const request = { tables: [written(table)], keep: null, retire: 'drop', noArchive: true, accept: [] } as const
  const failure: unknown = await planRotations(database.url, request, quietly({ lockLimits: limits(300) })).catch(
    (e: unknown) => e,
  )
  expect(failure).toMatchObject({ kind: 'try later' })
})
