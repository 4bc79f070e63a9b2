import type pg from 'pg'
import { describe, expect } from 'vitest'
import { abandon, resume, rollback, status } from '../../src/engine/runs/runs.ts'
import type { TableName } from '../../src/sql/names.ts'
import { partition, rebuild } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { beforeStep, stoppedRebuild } from '../support/stopped-rebuild.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { failureOf } from '../support/visits.ts'

// Rows that refer to nothing though their foreign key is marked as validated: a replica role has written them, or deleted
// what they refer to. They are found before anything is done; and where they come later, there is a way out.

const PARENT: TableName = { schema: 'public', name: 'parent "%"' }
const CHILD: TableName = { schema: 'public', name: 'child' }
const LOST = /refer to rows of .* that do not exist \(1\), though foreign key/

describe('orphaned rows are found beforehand', () => {
  test('in the table that is rebuilt', async ({ database }) => {
    await related(database)
    await orphan(database)
    await expectFoundFirst(database, rebuild(database.url, written(CHILD), rebuildRequest(), quietly()))
  })

  test('but not if they are left out', async ({ database }) => {
    const app = await related(database)
    await orphan(database)
    await rebuild(database.url, written(CHILD), rebuildRequest({ keep: 'p < 10' }), quietly())
    expect((await app.query('select id from child')).rows).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('in a table that references the one being rebuilt or partitioned', async ({ database }) => {
    await related(database)
    await orphan(database)
    await expectFoundFirst(database, rebuild(database.url, written(PARENT), rebuildRequest(), quietly()))
    await abandon(database.url, null, quietly())
    const byId = monthly({ by: 'id', every: { kind: 'ids', ids: 1000n }, keep: null })
    await expectFoundFirst(database, partition(database.url, written(PARENT), byId, quietly()))
  })

  test('among rows left out by a rebuild, when it is rolled back', async ({ database }) => {
    const app = await related(database)
    const { runId } = await rebuild(database.url, written(CHILD), rebuildRequest({ keep: 'id = 1' }), quietly())
    await app.query('delete from "parent ""%""" where id = 2')
    expect(await failureOf(rollback(database.url, { runId }, quietly()))).toMatchObject({
      message: expect.stringMatching(LOST) as string,
    })
    await abandon(database.url, null, quietly())
    await app.query('insert into "parent ""%""" values (2)')
    await rollback(database.url, { runId }, quietly())
    expect((await app.query('select id from child order by id')).rows).toEqual([{ id: 1 }, { id: 2 }])
  })
})

test('if they are added after the swap, the run can be ended without validating, and rolled back', async ({
  database,
}) => {
  const app = await related(database)
  const { goOn } = await stoppedRebuild(database, CHILD, beforeStep('validate:child_p_fkey'))
  await orphan(database)
  const failure = await failureOf(goOn())
  expect(failure.advice.next).toContain('Or leave the foreign key NOT VALID: ebb abandon.')
  expect(await failureOf(resume(database.url, null, quietly()))).toMatchObject({ message: failure.message })

  const { swapped, plan } = await abandon(database.url, null, quietly())

  expect(swapped).toBe(true)
  expect(plan.evidence).toContain('not done: validate foreign key child_p_fkey')
  expect((await status(database.url, quietly())).runs).toMatchObject([{ status: 'done' }])
  expect((await app.query(`select convalidated from pg_constraint where conname = 'child_p_fkey'`)).rows).toEqual([
    { convalidated: false },
  ])
  await database.admin('delete from child where id = 3')
  await rollback(database.url, { runId: '1' }, quietly())
  expect((await app.query(`select convalidated from pg_constraint where conname = 'child_p_fkey'`)).rows).toEqual([
    { convalidated: true },
  ])
})

async function related(database: Database): Promise<pg.Client> {
  const app = await database.session('owner')
  await app.query(`create table "parent ""%""" (id bigint primary key); insert into "parent ""%""" values (1), (2);
    create table child (id int primary key, p bigint references "parent ""%"""); insert into child values (1, 1), (2, 2)`)
  return app
}

async function orphan(database: Database): Promise<void> {
  await database.admin(`set session_replication_role = replica; insert into child values (3, 99)`)
}

async function expectFoundFirst(database: Database, work: Promise<unknown>): Promise<void> {
  expect(await failureOf(work)).toMatchObject({ message: expect.stringMatching(LOST) as string })
  const { runs } = await status(database.url, quietly())
  expect(runs[0]?.stepsDone).toBeLessThanOrEqual(1)
}
