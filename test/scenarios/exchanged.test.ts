import { expect } from 'vitest'
import { abandon, resume, retire, rollback } from '../../src/engine/runs/runs.ts'
import type { EbbError } from '../../src/errors.ts'
import type { Event } from '../../src/events.ts'
import { splitOrder } from '../engine/split-support.ts'
import { rebuild, split } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { beforeStep, stoppedRebuild } from '../support/stopped-rebuild.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { failureOf } from '../support/visits.ts'

// People exchange tables for others of the same name. What is dropped is the table that was seen, or none.

const EV = { schema: 'public', name: 'ev' }

/** Two partitions' worth of rows in one table, or in one partition. */
async function filled(database: Database, partitioned: boolean): Promise<void> {
  const app = await database.session('app')
  await app.query(`create table ev (id int primary key, b text) ${partitioned ? 'partition by range (id)' : ''}`)
  if (partitioned) await app.query('create table ev_wide partition of ev for values from (1) to (201)')
  await app.query(`insert into ev select g, 'x' from generate_series(1, 200) g`)
}

/** Whoever made it wants to keep it. */
async function exchange(database: Database, name: string): Promise<void> {
  const owner = await database.session('owner')
  await owner.query(`alter table ${name} rename to put_aside; create table ${name} (mine text)`)
  await owner.query(`insert into ${name} values ('precious')`)
}

async function expectKept(database: Database, name: string, failure: EbbError): Promise<void> {
  expect(failure.message).toContain(`"public"."${name}" is not the table that is to be dropped: another has its name`)
  expect((await database.admin(`select mine from ${name}`)).rows).toEqual([{ mine: 'precious' }])
  await database.admin(`drop table ${name}; alter table put_aside rename to ${name}`)
}

async function gone(database: Database, ...names: string[]): Promise<boolean> {
  const { rows } = await database.admin<{ name: string }>(
    `select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace`,
  )
  return !rows.some(({ name }) => names.includes(name))
}

async function stoppedBefore(key: string, work: (options: ReturnType<typeof quietly>) => Promise<unknown>) {
  const stop = new AbortController()
  const at = beforeStep(key)
  const observer = (event: Event) => void (at(event) && stop.abort())
  expect(await failureOf(work(quietly({ signal: stop.signal, observer })))).toMatchObject({ kind: 'stopped' })
}

test('a retired table that is exchanged while retire waits for it', async ({ database }) => {
  await filled(database, false)
  const { runId } = await rebuild(database.url, written(EV), rebuildRequest(), quietly())
  const owner = await database.session('owner')
  await owner.query(`begin; alter table ev_retired rename to put_aside;
    create table ev_retired as select 'precious' as mine`)
  const retiring = failureOf(retire(database.url, { runId }, quietly()))
  const waiting = `select from pg_stat_activity where datname = current_database() and application_name like 'ebb retire%' and wait_event_type = 'Lock'`
  await until(async () => (await database.admin(waiting)).rowCount === 1, { what: 'retire to wait' })
  await owner.query('commit')

  await expectKept(database, 'ev_retired', await retiring)
  await retire(database.url, { runId }, quietly())
  expect(await gone(database, 'ev_retired')).toBe(true)
})

test('the new table of an unfinished copy', async ({ database }) => {
  await filled(database, false)
  await stoppedRebuild(database, EV, beforeStep('swap'))
  await exchange(database, 'ev_ebb')

  await expectKept(database, 'ev_ebb', await failureOf(abandon(database.url, null, quietly())))
  await abandon(database.url, null, quietly())
  expect(await gone(database, 'ev_ebb')).toBe(true)
})

test('the new table after a rollback', async ({ database }) => {
  await filled(database, false)
  const { runId } = await rebuild(database.url, written(EV), rebuildRequest(), quietly())
  await stoppedBefore('drop-new', (options) => rollback(database.url, { runId }, options))
  await exchange(database, 'ev_ebb')

  await expectKept(database, 'ev_ebb', await failureOf(resume(database.url, null, quietly())))
  await resume(database.url, null, quietly())
  expect(await gone(database, 'ev_ebb', 'ev_retired')).toBe(true)
})

test('a partition that a split had made, after its rollback', async ({ database }) => {
  await filled(database, true)
  const order = splitOrder({ every: { kind: 'ids', ids: 100n } })
  const { runId } = await split(database.url, written(EV), order, quietly())
  const [first, last] = ['ev_1', 'ev_100']
  await stoppedBefore('drop-new', (options) => rollback(database.url, { runId }, options))
  await exchange(database, last)

  await expectKept(database, last, await failureOf(resume(database.url, null, quietly())))
  await resume(database.url, null, quietly())
  expect(await gone(database, first, last)).toBe(true)
})
