import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { advise } from '../../src/engine/commands/advise.ts'
import { purgeStale } from '../../src/engine/commands/purge-stale.ts'
import { purge as purgeCommand } from '../../src/engine/commands/purge.ts'
import {
  approveCandidates,
  candidateSet,
  candidateSets,
  dropCandidates,
  exportCandidates,
  sampleCandidates,
} from '../../src/engine/purge/candidates/review.ts'
import { planRestoring, restoreRows } from '../../src/engine/restore/restoring.ts'
import { planToSave } from '../../src/engine/saved-plan.ts'
import { checkPolicies } from '../../src/policy/check-policies.ts'
import { readMarkedCondition } from '../../src/engine/purge/marked.ts'
import { retirable } from '../../src/engine/runs/retired.ts'
import {
  abandon,
  planAbandonOf,
  planResumeOf,
  planRetireOf,
  planRollbackOf,
  resume,
  retire,
  rollback,
  status,
} from '../../src/engine/runs/runs.ts'
import { EbbError } from '../../src/errors.ts'
import { findAppendOnly } from '../../src/policy/find-append-only.ts'
import type { Event } from '../../src/events.ts'
import { inspect } from '../../src/engine/commands/inspect.ts'
import { planRotations } from '../../src/engine/commands/rotate.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { quoted } from '../../src/sql/names.ts'
import {
  planCandidatesOf,
  planPartitionCopyOf,
  planSplitOf,
  planViewOf,
  rebuild,
  planMarkOf,
  planPartitionOf,
  planPurgeOf,
  planRebuildOf,
  purge,
  writeCandidates,
} from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { markRequest, purgeRequest } from '../support/purging.ts'
import { splitOrder } from './split-support.ts'
import { beforeStep, stoppedRebuild } from '../support/stopped-rebuild.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { ORDER, storeRows } from '../support/restoring.ts'
import { PATIENCE_MS, until } from '../support/until.ts'

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

test.for(READING)('%s waits, reports for whom, and gives up at its deadline', async ([, reads], { database }) => {
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

test('so does rotate', async ({ database }) => {
  const { table } = await lockedTable(database)
  const request = {
    tables: [written(table)],
    keep: null,
    retire: 'drop',
    grace: null,
    archive: null,
    noArchive: true,
    forget: false,
    accept: [],
  } as const
  const failure: unknown = await planRotations(database.url, request, quietly({ lockLimits: limits(300) })).catch(
    (e: unknown) => e,
  )
  expect(failure).toMatchObject({ kind: 'try later' })
})

// Each with a short deadline, one after the other, beside one lock. What reads nothing that is locked need not wait.

type Call = (url: string, options: EngineOptions) => Promise<unknown>

const EV = { schema: 'public', name: 'ev' }
const NAMED = written(EV)
const COPY = { transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const
const VIEW = { name: null, hideMarked: 'gone_at', expired: null, keep: null }
const STALE = { kind: 'stale', group: 'of', activity: 'at', idle: { count: 1, unit: 'day' } } as const

const OF_ANY_STATE: Readonly<Record<string, Call>> = {
  inspect: (url, o) => inspect(url, NAMED, o),
  advise: (url, o) => advise(url, NAMED, { keep: 'id > 10', olderThan: null }, o),
  'partition --method copy': (url, o) => planPartitionCopyOf(url, NAMED, { ...monthly({ by: 'at' }), ...COPY }, o),
  split: (url, o) => planSplitOf(url, NAMED, splitOrder(), o),
  view: (url, o) => planViewOf(url, NAMED, VIEW, o),
  candidates: (url, o) => planCandidatesOf(url, NAMED, { where: 'id > 10' }, o),
  'purge --marked': (url, o) => readMarkedCondition(url, NAMED, { column: 'gone_at', olderThan: null }, o),
  'purge stale groups': (url, o) => purgeStale(url, NAMED, { ...purgeRequest(''), rows: STALE }, null, o),
  'init, which looks for tables': (url, o) => findAppendOnly(url, o),
  status: (url, o) => status(url, o),
  'the list of retired tables': (url, o) => retirable(url, o),
  'the list of candidate sets': (url, o) => candidateSets(url, o),
}

const OF_UNFINISHED: Readonly<Record<string, Call>> = {
  'the plan of resume': (url, o) => planResumeOf(url, null, o),
  resume: (url, o) => resume(url, null, o),
  'the plan of abandon': (url, o) => planAbandonOf(url, { table: EV }, o),
  abandon: (url, o) => abandon(url, null, o),
}

const OF_FINISHED: Readonly<Record<string, Call>> = {
  'the plan of rollback': (url, o) => planRollbackOf(url, null, o),
  rollback: (url, o) => rollback(url, null, o),
  'the plan of retire': (url, o) => planRetireOf(url, { table: EV }, o),
  retire: (url, o) => retire(url, { table: EV }, o),
}

/** Whether it has been said who holds the lock, or there was nothing to wait for. */
async function isTold(work: Promise<unknown>): Promise<string | null> {
  const failure: unknown = await work.then(
    () => null,
    (error: unknown) => error,
  )
  if (failure === null) return null
  if (!(failure instanceof EbbError)) return (failure as Error).message
  const { kind, message } = failure
  // The name comes with the first look, half a second later.
  return kind === 'try later' && /holder|timed out waiting, while/.test(message) ? null : `${kind}: ${message}`
}

test.for([
  ['the tables beside an unfinished rebuild', 'ev_ebb', 'ev, groups, ev_ebb, ev_view', OF_UNFINISHED],
  [
    'the tables beside a finished rebuild',
    'ev_retired',
    'ev, groups, ev_retired, ev_view',
    { ...OF_ANY_STATE, ...OF_FINISHED },
  ],
  // Of which it is found what is to be done.
  ['the journal of an unfinished rebuild', 'ev_ebb', 'ebb.run', OF_UNFINISHED],
  ['the journal of a finished rebuild', 'ev_retired', 'ebb.run', OF_FINISHED],
] as const)('every command waits for whoever has locked %s', async ([, other, locked, calls], { database }) => {
  const owner = await database.session('setup')
  await owner.query(`
    create table groups (id int primary key);
    create table ev (id int primary key, at timestamptz not null default now(), gone_at timestamptz, of int references groups);
    create view ev_view as select id from ev;
    insert into ev select generate_series(1, 50)`)
  if (other === 'ev_ebb') await stoppedRebuild(database, EV, beforeStep('swap'))
  else await rebuild(database.url, NAMED, rebuildRequest(), quietly())
  const holder = await database.session('holder')
  await holder.query(`begin; lock table ${locked}`)

  const wrong: Record<string, string> = {}
  for (const [name, call] of Object.entries(calls)) {
    const how = await isTold(call(database.url, quietly({ lockLimits: limits(200) })))
    if (how !== null) wrong[name] = how
  }
  expect(wrong).toEqual({})
})

test('so do those that work on a candidate set, an archive or a saved plan, and what checks policies', async ({
  database,
}) => {
  const owner = await database.session('setup')
  await owner.query('create table ev (id int primary key); insert into ev select generate_series(1, 50)')
  const { runId } = await writeCandidates(database.url, NAMED, { where: 'id > 10' }, quietly())
  const { receipt } = await storeRows(owner, EV)
  const set = runId ?? ''
  const OF_SETS: Readonly<Record<string, Call>> = {
    'one candidate set': (url, o) => candidateSet(url, set, o),
    'a sample of it': (url, o) => sampleCandidates(url, set, 5, o),
    'its export': (url, o) => exportCandidates(url, set, new PassThrough().resume(), o),
    'its approval': (url, o) => approveCandidates(url, set, { approvedBy: 'Ann', ticket: null }, o),
    'its end': (url, o) => dropCandidates(url, set, o),
    'the plan of a restore': (url, o) => planRestoring(url, { ...ORDER, receipt }, o),
    'a restore': (url, o) => restoreRows(url, { ...ORDER, receipt }, o),
    'the plan of a restore into a new table': (url, o) =>
      planRestoring(url, { ...ORDER, receipt, into: { schema: null, name: 'ev_back' } }, o),
    'a plan to be saved': (url, o) => planToSave(url, NAMED, purgeCommand, purgeRequest('id > 10'), o),
    check: (url, o) => checkPolicies(url, null, [], o),
  }
  const place = (await database.admin<{ name: string }>('select set_name as name from ebb.candidate_set')).rows[0]!.name
  const holder = await database.session('holder', { admin: true })
  await holder.query(`begin; lock table ev, ebb.candidate_set, ebb.${place}, ebb.run, ebb.archive`)
  const wrong: Record<string, string> = {}
  for (const [name, call] of Object.entries(OF_SETS)) {
    const how = await isTold(call(database.url, quietly({ lockLimits: limits(200) })))
    if (how !== null) wrong[name] = how
  }
  expect(wrong).toEqual({})

  // What is written to a stream is all there, though it had to be waited for.
  await holder.query(`rollback; begin; lock table ebb.${place}`)
  const events: Event[] = []
  const out = new PassThrough()
  const options = quietly({ lockLimits: limits(60_000), observer: (event) => void events.push(event) })
  const [content] = await Promise.all([
    text(out),
    exportCandidates(database.url, set, out, options),
    until(() => events.some(({ type }) => type === 'waiting'), { what: 'the export to wait' }).then(() =>
      holder.query('rollback'),
    ),
  ])
  expect(content.split('\n')).toHaveLength(42)
})
