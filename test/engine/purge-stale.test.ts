import { expect } from 'vitest'
import { planStaleOf, purgeStale, type StalePurgeRequest } from '../../src/engine/commands/purge-stale.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'

const SMALL = { turns: batchesOf(70) }

interface Ground {
  readonly parents: TableName
  readonly rows: TableName
}

/** 40 experiments of 25 assignments each; the odd ones have been idle for a year, but for 3, whose last is of today. */
async function experiments(database: Database, { flag = 'timestamptz', index = true } = {}): Promise<Ground> {
  const [parents, rows] = [database.table('experiments'), database.table('assignments')]
  const owner = await database.session('setup')
  for (const statement of [
    sql`create table ${quoted(parents)} ("Key.id" int primary key, archived ${raw(flag)})`,
    sql`insert into ${quoted(parents)} select n from generate_series(1, 45) n`,
    sql`create table ${quoted(rows)} (id int primary key, experiment int references ${quoted(parents)}, seen timestamptz)`,
    sql`insert into ${quoted(rows)} select n, 1 + n % 40, case when n % 2 = 0 then now() - interval '1 year' else now() - n * interval '1 minute' end from generate_series(1, 1000) n`,
    sql`update ${quoted(rows)} set seen = now() where experiment = 3 and id = (select max(id) from ${quoted(rows)} where experiment = 3)`,
    sql`insert into ${quoted(rows)} values (2000, null, '2020-01-01')`,
    ...(index ? [sql`create index on ${quoted(rows)} (experiment, seen)`] : []),
    sql`analyze`,
  ])
    await owner.query(statement.text)
  return { parents, rows }
}

function request(overrides: Partial<StalePurgeRequest> = {}): StalePurgeRequest {
  const rows = { kind: 'stale', group: 'experiment', activity: 'seen', idle: { count: 90, unit: 'day' } } as const
  return { ...purgeRequest(rows), rows, ...overrides }
}

function run(database: Database, { rows, parents }: Ground, options: Partial<EngineOptions> = SMALL) {
  const flag = { table: parents, column: 'archived' }
  return purgeStale(database.url, written(rows), request(), flag, quietly(options))
}

async function groupsIn(database: Database, { rows }: Ground): Promise<number[]> {
  const found = await database.admin<{ g: number }>(
    sql`select distinct experiment as g from ${quoted(rows)} where experiment is not null order by 1`,
  )
  return found.rows.map(({ g }) => g)
}

async function flagged(database: Database, { parents }: Ground): Promise<number[]> {
  const found = await database.admin<{ k: number }>(
    sql`select "Key.id" as k from ${quoted(parents)} where archived is not null order by 1`,
  )
  return found.rows.map(({ k }) => k)
}

const ACTIVE = [3, ...Array.from({ length: 20 }, (_, i) => 2 * (i + 1))].sort((a, b) => a - b)
const STALE = Array.from({ length: 20 }, (_, i) => 2 * i + 1).filter((n) => n !== 3)

test('groups without activity are flagged, and their rows deleted', async ({ database }) => {
  const ground = await experiments(database)
  const plan = await planStaleOf(database.url, written(ground.rows), request(), null, quietly())
  expect(plan.objections).toEqual([])
  expect(plan.evidence[0]).toContain('19 of 40 groups')
  expect(await groupsIn(database, ground)).toHaveLength(40)

  const { flagged: flags, purged } = await run(database, ground)
  expect(flags?.figures?.rows).toBe(19)
  expect(purged.figures?.rows).toBe(19 * 25)
  expect(purged.remaining).toMatchObject({ matching: 0 })
  expect(await flagged(database, ground)).toEqual(STALE)
  expect(await groupsIn(database, ground)).toEqual(ACTIVE)
  // Of no group, however old.
  const { rows } = await database.admin(sql`select id from ${quoted(ground.rows)} where experiment is null`)
  expect(rows).toEqual([{ id: 2000 }])
  const again = await run(database, ground)
  expect([again.flagged?.runId, again.purged.runId]).toEqual([null, null])
})

test('a group that becomes active in between keeps its rows', async ({ database }) => {
  const ground = await experiments(database, { flag: 'boolean' })
  const app = await database.session('app')
  let turn = 0
  // The first turns are those of the flags.
  const turns = {
    turn: async () => {
      if (++turn === 3) await app.query(sql`insert into ${quoted(ground.rows)} values (3000, 39, now())`)
      return { rows: 10 }
    },
  }
  const { purged } = await run(database, ground, { turns })
  expect(turn).toBeGreaterThan(5)
  expect(purged.figures?.rows).toBe(18 * 25)
  const { rows } = await database.admin(
    sql`select count(*)::int as n from ${quoted(ground.rows)} where experiment = 39`,
  )
  expect(rows).toEqual([{ n: 26 }])
})

test('a row without a time keeps its group', async ({ database }) => {
  const ground = await experiments(database)
  await database.admin(sql`insert into ${quoted(ground.rows)} values (3000, 5, null)`)
  await run(database, ground)
  expect(await groupsIn(database, ground)).toEqual([...ACTIVE, 5].sort((a, b) => a - b))
  expect(await flagged(database, ground)).not.toContain(5)
})

test('existing flags are not changed', async ({ database }) => {
  const ground = await experiments(database)
  await database.admin(sql`update ${quoted(ground.parents)} set archived = '2020-01-01' where "Key.id" in (7, 8, 44)`)
  expect((await run(database, ground)).flagged?.figures?.rows).toBe(18)
  const { rows } = await database.admin(
    sql`select array_agg("Key.id" order by 1) as k from ${quoted(ground.parents)} where archived = '2020-01-01'`,
  )
  expect(rows).toEqual([{ k: [7, 8, 44] }])
})

test('rows of few groups are each compared by the index, and not with all rows of the table', async ({ database }) => {
  const { rows } = await experiments(database)
  await database.admin(
    sql`truncate ${quoted(rows)}; insert into ${quoted(rows)} select n, 1 + n % 6, now() - n % 200 * interval '1 day' - case when n % 6 < 3 then interval '1 year' else '0' end from generate_series(1, 3000) n; analyze ${quoted(rows)}`
      .text,
  )
  const { steps } = await planStaleOf(database.url, written(rows), request(), null, quietly())
  const [where] = steps.flatMap((step) => (step.kind === 'purge' ? [step.work.where] : []))
  const { rows: lines } = await database.admin<{ 'QUERY PLAN': string }>(
    sql`explain select from ${quoted(rows)} t where ${raw(where!)}`.text,
  )
  const plan = lines.map((line) => line['QUERY PLAN']).join('\n')
  expect(plan).toMatch(/SubPlan/)
  expect(plan).not.toMatch(/Seq Scan on .* ebb_g/)
})

test('a missing index, or a missing foreign key to the flag, is an objection', async ({ database }) => {
  const ground = await experiments(database, { index: false })
  const plan = await planStaleOf(database.url, written(ground.rows), request(), null, quietly())
  expect(plan.objections).toMatchObject([
    {
      code: 'stale-index',
      fix: expect.stringMatching(
        /^Create one .*: create index concurrently on .* \("experiment", "seen"\);$/,
      ) as string,
    },
  ])
  // Of a partitioned table none can be built concurrently.
  const parted = database.table('parted')
  const owner = await database.session('setup')
  await owner.query(
    sql`create table ${quoted(parted)} (experiment int, seen timestamptz) partition by range (seen)`.text,
  )
  const ofParted = await planStaleOf(database.url, written(parted), request(), null, quietly())
  expect(ofParted.objections).toMatchObject([
    { code: 'stale-index', fix: expect.stringMatching(/^Create one on each partition /) as string },
  ])
  await database.admin(sql`create index on ${quoted(ground.rows)} (experiment, seen)`.text)
  const flag = { table: ground.rows, column: 'seen' }
  const other = await planStaleOf(database.url, written(ground.rows), request(), flag, quietly())
  expect(other.objections.map(({ code }) => code)).toEqual(['flag-reference'])
  // What cannot be flagged is not deleted either, so nothing is shown as if it were done.
  expect(other.steps).toEqual([])
})

test('the estimate is based on the groups, which the planner does not know', async ({ database }) => {
  const ground = await experiments(database)
  const flag = { table: ground.parents, column: 'archived' }
  const plan = await planStaleOf(database.url, written(ground.rows), request(), flag, quietly())
  // 19 of 40 groups; 1,001 rows.
  expect(plan.evidence.join('\n')).toMatch(/about 475 of 1,001 rows match, by the share of stale groups/)
  expect(plan.evidence.join('\n')).toMatch(/to mark: about 19 rows, by the number of groups/)
})
