import { expect } from 'vitest'
import type { Context } from '../../src/cli/context.ts'
import { test, type Database } from '../support/database.ts'
import { ebb, objects } from './support.ts'

/** A schema with tables, and with what is none. */
async function auditSchema(database: Database): Promise<void> {
  const owner = await database.session('owner')
  await owner.query(`
    create schema audit;
    create table audit.a (id int primary key);
    create table audit."B*" (id int primary key);
    create table audit.keyless (n int);
    create table audit.p (id int primary key) partition by range (id);
    create table audit.p_1 partition of audit.p for values from (0) to (10);
    create view audit.v as select * from audit.a;
    insert into audit.a select generate_series(1, 5);
    insert into audit."B*" values (1)`)
}

const rebuilding = (database: Database, ...words: string[]) => [
  'rebuild',
  ...words,
  '--keep-all',
  '--url',
  database.url,
]

/** Of each table, what is told of it in one word. */
function told(out: string, name: string): Record<string, unknown> {
  const last = objects(out).at(-1)
  const list = (last?.[name] ?? []) as { table: { name: string }; outcome: string }[]
  return Object.fromEntries(list.map(({ table, outcome }) => [table.name, outcome]))
}

test('a pattern: what it leaves out is told, a refused table does not stop the others, and what is done is not done again', async ({
  database,
}) => {
  await auditSchema(database)
  const all = rebuilding(database, 'audit.*', '--json')
  const planned = await ebb(all)
  expect(planned.code, planned.err).toBe(3)
  expect(told(planned.out, 'plans')).toEqual({ a: 'done', 'B*': 'done', keyless: 'done', p: 'done' })
  expect(objects(planned.out)).toMatchObject([
    { type: 'note', table: { name: 'p_1' }, text: 'audit.p_1 is skipped: it is a partition of audit.p' },
    { type: 'note', table: { name: 'v' }, text: 'audit.v is skipped: it is a view' },
    { type: 'plans' },
  ])
  const shown = await ebb(rebuilding(database, 'audit.*'))
  expect(shown.out).toMatch(/-- rebuild audit\.a\b[\s\S]*-- rebuild audit\.p\b/)
  expect(shown.out).toContain(`To execute: ebb rebuild 'audit.*' --keep-all`)

  const done = await ebb([...all, '--execute'])
  expect(done.code, done.err).toBe(3)
  expect(told(done.out, 'results')).toEqual({ a: 'done', 'B*': 'done', keyless: 'refused', p: 'refused' })
  expect(objects(done.out).at(-1)).toMatchObject({
    results: [
      { result: { table: { name: 'B*' }, nothingToDo: false } },
      { result: { table: { name: 'a' }, retired: { name: { name: 'a_retired' } } } },
      { objections: [{ code: 'no-key' }] },
      {},
    ],
  })

  const again = await ebb([...rebuilding(database, 'audit.*'), '--execute'])
  expect(again.code).toBe(3)
  expect(again.err).toContain('audit.a_retired is skipped: Ebb keeps it for a rollback or an unfinished run')
  expect(again.out).toMatch(
    /^audit\."B\*" +done before by run 1, and its retired table is kept: ebb retire 1 drops it$/m,
  )
  expect(again.out).toMatch(/^audit\.keyless +refused: see below$/m)
  expect(again.out).toMatch(/refused: rebuild audit\.keyless\n +no-key: /)
  expect(again.out).toContain('rebuild: 2 of 4 tables are done.')

  await ebb(['retire', '1', '--url', database.url, '--execute'])
  const third = await ebb([...rebuilding(database, 'audit.a', 'audit."B*"', '--json'), '--execute'])
  expect(third.code, third.err).toBe(0)
  expect(told(third.out, 'results')).toEqual({ a: 'done before', 'B*': 'done' })
})

test('what cannot be is said before anything is done; one table that is named is answered as ever', async ({
  database,
}) => {
  await auditSchema(database)
  const refused = async (words: string[], message: RegExp) => {
    const { code, out, err } = await ebb(rebuilding(database, ...words))
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(message)
  }
  await refused(['audit.a', 'audit.nothing*', '--execute'], /no table matches 'audit\.nothing\*'/)
  await refused(['audit.v*', '--execute'], /no table matches 'audit\.v\*'; of audit\.v: it is a view/)
  await refused(['audit.a', 'audit.gone', '--execute'], /there is no table audit\.gone/)
  await refused(
    ['audit.a', 'audit.keyless', '--plan-out', '/nowhere/plan'],
    /--plan-out.*a plan that is saved is of one/s,
  )
  await refused(['audit.*', '--execute', '--plan', '/nowhere/plan'], /--plan: a plan that is saved is of one/)
  expect((await database.admin(`select to_regclass('ebb.run') as run`)).rows).toEqual([{ run: null }])

  const one = objects((await ebb(rebuilding(database, 'audit."B*"', '--json'))).out)
  expect(one).toMatchObject([{ type: 'plan', plan: { table: { name: 'B*' } } }])
})

test('inspect and partition take several, too; a stop leaves the rest', async ({ database }) => {
  await auditSchema(database)
  const inspected = await ebb(['inspect', 'audit.a', 'audit.?', '--json', '--url', database.url])
  expect(inspected.code, inspected.err).toBe(0)
  expect(told(inspected.out, 'inspections')).toEqual({ a: 'done', p: 'done' })
  expect(objects(inspected.out).at(-1)).toMatchObject({
    inspections: [{ inspection: { table: { estimatedRows: null } } }, {}],
  })

  const by = [
    'partition',
    'audit.a',
    'audit.keyless',
    '--by',
    'id',
    '--every',
    '1000',
    '--url',
    database.url,
    '--execute',
  ]
  const partitioned = await ebb(by)
  expect(partitioned.code).toBe(3)
  expect(partitioned.out).toMatch(/^audit\.a +done \(run 1\)/m)
  expect(partitioned.out).toMatch(/^refused: partition audit\.keyless$/m)
  expect((await ebb(by)).out).toMatch(/^audit\.a +nothing to do: done by run 1$/m)

  const stop = new AbortController()
  const err: Context['err'] = {
    isTTY: false,
    columns: 100,
    write: (text) => (text.includes('"B*", 1 of 2 tables') ? stop.abort() : undefined),
  }
  const stopped = await ebb([...rebuilding(database, 'audit."B*"', 'audit.p'), '--execute'], {
    err,
    signal: stop.signal,
  })
  expect(stopped.code).toBe(4)
  expect(stopped.out).toMatch(/^audit\."B\*" +stopped: .*\naudit\.p +not begun$/m)
})
