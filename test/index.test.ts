import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { expect } from 'vitest'
import {
  abandon,
  inspect,
  ObjectionsError,
  partition,
  purge,
  rebuild,
  resume,
  retirable,
  retire,
  rollback,
  rotate,
  split,
  status,
  UsageError,
} from '../src/index.ts'
import { display, quoted } from '../src/sql/names.ts'
import { sql } from '../src/sql/sql.ts'
import { eventsTable } from './cli/support.ts'
import { test } from './support/database.ts'

test('the whole workflow from a program, with a pool', async ({ database }) => {
  const table = await eventsTable(database)
  const pool = database.pool()
  const request = { table: display(table), by: 'at', every: 'month', keep: '3 months' } as const

  expect((await inspect(pool, table)).advice[0]).toMatchObject({ by: 'at', verdict: 'recommended' })
  const plan = await partition(pool, request)
  expect(plan.steps.length).toBeGreaterThan(3)
  expect((await inspect(pool, table)).table.kind).toBe('table')

  const seen: string[] = []
  const done = await partition(pool, { ...request, execute: true, observer: ({ type }) => seen.push(type) })
  expect(done.nothingToDo).toBe(false)
  expect(seen).toContain('step finished')
  expect((await partition(pool, { ...request, execute: true })).nothingToDo).toBe(true)

  expect((await rotate(pool, { tables: [table] }))[0]).toMatchObject({ table, objections: [] })
  expect((await rotate(pool, { tables: 'all', execute: true })).sets).toMatchObject([{ table, failed: [] }])
  expect((await status(pool)).sets).toMatchObject([{ table }])

  expect((await rollback(pool, { run: table })).objections).toEqual([])
  await rollback(pool, { run: done.runId, execute: true })
  expect((await inspect(pool, table)).table.kind).toBe('table')
  expect(pool.totalCount, 'connections taken from the pool').toBe(0)
})

test('an aborted call leaves a run that another call resumes or abandons', async ({ database }) => {
  const table = await eventsTable(database)
  const request = { table, by: 'at', every: 'month', execute: true } as const
  for (const finish of [abandon, resume]) {
    const stop = new AbortController()
    const stopping = partition(database.url, {
      ...request,
      signal: stop.signal,
      observer: (event) => {
        if (event.type === 'step finished') stop.abort()
      },
    })
    await expect(stopping).rejects.toThrow()
    await finish(database.url)
    await finish(database.url, { execute: true })
  }
  expect((await inspect(database.url, table)).partitions.length).toBeGreaterThan(1)
})

test('objections are part of the plan, and thrown on execution', async ({ database }) => {
  const table = await eventsTable(database)
  const request = { table, by: 'kind', every: '1 month' }
  expect((await partition(database.url, request)).objections).toHaveLength(1)
  await expect(partition(database.url, { ...request, execute: true })).rejects.toBeInstanceOf(ObjectionsError)
})

test.for([{ every: '90d' }, { keep: 'soon' }, { timezone: '+02' }, { premake: 0 }, { table: 'a b' }])(
  'invalid options are rejected before connecting: %j',
  async (wrong) => {
    const request = { table: 't', by: 'at', every: 'month', ...wrong }
    await expect(partition('postgres://127.0.0.1:1/nowhere', request)).rejects.toBeInstanceOf(UsageError)
  },
)

test('a missing table or run is a usage error, too', async ({ database }) => {
  const table = await eventsTable(database)
  await expect(inspect(database.url, `${table.name}_elsewhere`)).rejects.toBeInstanceOf(UsageError)
  await expect(partition(database.url, { table: 'nowhere', by: 'at', every: 'month' })).rejects.toBeInstanceOf(
    UsageError,
  )
  await expect(resume(database.url, { run: 99 })).rejects.toBeInstanceOf(UsageError)
  await expect(abandon(database.url)).rejects.toBeInstanceOf(UsageError)
  await expect(rollback(database.url, { run: table })).rejects.toBeInstanceOf(UsageError)
})

test('a purge can be neither rolled back nor retired', async ({ database }) => {
  const table = await eventsTable(database)
  const { runId } = await purge(database.url, { table, where: 'id < 3', noArchive: true, execute: true })
  const run = BigInt(runId ?? 0)
  await expect(rollback(database.url, { run })).rejects.toThrow(/\(ebb purge\) cannot be rolled back/)
  await expect(retire(database.url, { run })).rejects.toThrow(/has no retired table to drop/)
})

test('a pool’s password is used, though not copyable; another copy of pg works as well', async ({ ownServer }) => {
  const { server, database } = await ownServer()
  const role = await database.role('careful')
  const hba = join(server.dataFolder, 'pg_hba.conf')
  await writeFile(hba, `host all "${role}" 127.0.0.1/32 scram-sha-256\n${await readFile(hba, 'utf8')}`)
  await database.admin('select pg_reload_conf()')

  const { hostname, port, pathname } = new URL(database.url)
  const config = { host: hostname, port: Number(port), database: pathname.slice(1), user: role, password: role }
  const pool = new pg.Pool(config)
  expect(await status(pool)).toEqual({ runs: [], sets: [], holds: [], detached: [], leftovers: [], archives: [] })
  const foreign = { options: pool.options, totalCount: 0 } as unknown as pg.Pool
  expect(await status(foreign)).toEqual({ runs: [], sets: [], holds: [], detached: [], leftovers: [], archives: [] })
  expect(await status(config)).toEqual({ runs: [], sets: [], holds: [], detached: [], leftovers: [], archives: [] })
  await pool.end()
})

test('ids may exceed the range of JavaScript numbers', async ({ database }) => {
  const table = await eventsTable(database)
  const every = 9_007_199_254_740_993n
  const plan = await partition(database.url, { table, by: 'id', every, expireBy: 'at', premake: 1 })
  expect(plan.conversion?.policy.every ?? plan.objections).toEqual({ kind: 'ids', ids: every })
})

test('rebuild, split, rollback and retire from a program', async ({ database }) => {
  const table = await eventsTable(database)
  const keep = "at > now() - interval '40 days'"
  const refused = await rebuild(database.url, { table, keep })
  expect(refused.objections).toMatchObject([{ code: 'archive' }])
  expect((await rebuild(database.url, { table, keep, noArchive: true })).rebuild).not.toBeNull()
  const rebuilt = await rebuild(database.url, { table, keep, noArchive: true, transport: 'server', execute: true })
  expect(await retirable(database.url)).toMatchObject([
    { runId: rebuilt.runId, table, retired: { estimatedRows: 2000 } },
  ])
  await rollback(database.url, { run: Number(rebuilt.runId), execute: true })
  expect(await retirable(database.url)).toEqual([])

  await partition(database.url, { table, by: 'at', every: 'month', execute: true })
  const pieces = { table, keep: '30 days', noArchive: true }
  expect((await split(database.url, pieces)).split?.leaves.length).toBeGreaterThan(1)
  const { runId } = await split(database.url, { ...pieces, execute: true })
  expect((await retire(database.url, { run: BigInt(runId) })).steps).toHaveLength(2)
  await retire(database.url, { run: BigInt(runId), execute: true })
  expect(await retirable(database.url)).toEqual([])
})

test('partitions by copying from a program', async ({ database }) => {
  const table = await eventsTable(database)
  const request = { table, by: 'at', every: 'month', method: 'copy', keep: '30 days', noArchive: true } as const
  expect((await partition(database.url, request)).rebuild?.policy).toMatchObject({ column: 'at' })
  const { plan, swap } = await partition(database.url, { ...request, execute: true })
  expect(plan.rebuild?.retired.name).toMatch(/_retired$/)
  expect(swap?.heldMs).toBeGreaterThan(0)
})

test.for([{ keep: ' ' }, { jobs: 0 }, { jobs: 1.5 }, { table: 'a b' }])(
  'invalid options of a copy are rejected before connecting: %j',
  async (wrong) => {
    const request = { table: 't', keep: null, ...wrong }
    await expect(rebuild('postgres://127.0.0.1:1/nowhere', request)).rejects.toBeInstanceOf(UsageError)
  },
)

test('plans and results survive JSON.stringify, and so do parts of them', async ({ database }) => {
  const table = await eventsTable(database)
  const request = { table: display(table), by: 'id', every: 500n } as const
  const plan = await partition(database.url, request)
  expect(JSON.stringify(plan)).toContain('"500"')
  const done = await partition(database.url, {
    ...request,
    execute: true,
    observer: (event) => expect(JSON.stringify(event)).toContain('"type"'),
  })
  expect(JSON.parse(JSON.stringify(done))).toMatchObject({ runId: done.runId })
  const { sets } = await status(database.url)
  expect(JSON.stringify({ every: sets[0]?.policy.every })).toMatch(/"ids":"500"/)
  expect(sets[0]?.policy.every).toEqual({ kind: 'ids', ids: 500n })
  await database.admin(sql`insert into ${quoted(table)} (at) select now() from generate_series(1, 600)`)
  for (const result of [
    await rotate(database.url, { tables: 'all' }),
    await rotate(database.url, { tables: 'all', execute: true }),
  ])
    expect(JSON.stringify(result)).toContain('"500"')
  const refused: unknown = await rollback(database.url, { run: table, execute: true }).catch((error: unknown) => error)
  expect(JSON.stringify(refused instanceof ObjectionsError ? refused.plan : refused)).toContain('{')
})

// Compiled with the rest: a variable decides, and the result is either.
export function either(execute: boolean): [Promise<unknown>, Promise<unknown>] {
  return [rotate('', { tables: 'all', execute }), partition('', { table: 't', by: 'at', every: 'month', execute })]
}
