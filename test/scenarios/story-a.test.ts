import { expect } from 'vitest'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { startEbb } from '../support/ebb-process.ts'
import { until } from '../support/until.ts'
import { startWriters } from '../support/writers.ts'

// Assignments of A/B tests, most of them of experiments that have long been over and that nobody has ever archived,
// while the pages of the campaign write into the same table.

const EXPERIMENTS = 60
/** Two of three. */
const STALE = 40
const ROWS_EACH = 400

async function assignments(database: Database): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(`
    create table experiments (id int primary key, archived_at timestamptz);
    create table assignments (id bigint generated always as identity primary key, experiment_id int not null references experiments,
      seen_at timestamptz not null, token uuid, variant text default repeat('a', 100));
    insert into experiments select generate_series(1, ${EXPERIMENTS});
    insert into assignments (experiment_id, seen_at)
      select 1 + n % ${EXPERIMENTS}, now() - case when n % 3 = 0 then interval '1 hour' else interval '1 year' end
      from generate_series(1, ${EXPERIMENTS * ROWS_EACH}) n;
    create index on assignments (experiment_id, seen_at)`)
  await owner.query('analyze')
}

function words(database: Database, ...more: string[]): string[] {
  const groups = ['--stale-group', 'experiment_id', '--activity', 'seen_at', '--idle', '30 days']
  return ['purge', 'assignments', ...groups, '--flag', 'experiments.archived_at', '--url', database.url, ...more]
}

async function one<Row extends Record<string, unknown>>(database: Database, query: string): Promise<Row> {
  const { rows } = await database.admin<Row>(query)
  if (rows[0] === undefined) throw new Error(`no row: ${query}`)
  return rows[0]
}

test('inactive experiments are found, flagged, and deleted, under live writes', async ({ database }) => {
  await assignments(database)
  const refused = await ebb(words(database, '--execute'))
  expect(refused).toMatchObject({ code: 3, out: expect.stringContaining('pass --no-archive') as string })
  const plan = await ebb(words(database, '--no-archive'))
  expect(plan.out.replace(/\n-- +/g, ' ')).toContain(`${STALE} of ${EXPERIMENTS} groups`)
  const untouched =
    'select count(*)::int as rows, (select count(archived_at)::int from experiments) as flags from assignments'
  expect(await one(database, untouched)).toEqual({ rows: EXPERIMENTS * ROWS_EACH, flags: 0 })

  const campaign = await startWriters(database, {
    insert: (token) => ({
      text: 'insert into assignments (experiment_id, seen_at, token) values (1, now(), $1::uuid)',
      values: [token],
    }),
    pauseMs: 20,
  })
  const purging = startEbb(words(database, '--no-archive', '--pause-ms', '20', '--execute'))
  await until(
    async () =>
      (await one<{ rows: number }>(database, 'select count(*)::int as rows from assignments where token is null'))
        .rows <
      EXPERIMENTS * ROWS_EACH,
  )
  // Somebody returns to an experiment that is about to go: with him it is in use again.
  await database.admin(`insert into assignments (experiment_id, seen_at, variant) values (2, now(), 'returned')`)
  expect(await purging.ended, purging.said.err).toBe(0)
  const { acknowledged, errors } = await campaign.stop()

  expect(errors).toEqual([])
  expect(acknowledged.length).toBeGreaterThan(20)
  expect(
    await one(database, `select count(*)::int as n from assignments where token = any ('{${acknowledged.join()}}')`),
  ).toEqual({ n: acknowledged.length })
  const left = await one<{ active: number; stale: number; returned: number; flags: number }>(
    database,
    `select count(*) filter (where experiment_id % 3 = 1 and token is null)::int as active,
       count(*) filter (where experiment_id % 3 <> 1 and experiment_id <> 2)::int as stale,
       count(*) filter (where variant = 'returned')::int as returned,
       (select count(archived_at)::int from experiments) as flags from assignments`,
  )
  expect(left).toEqual({ active: (EXPERIMENTS - STALE) * ROWS_EACH, stale: 0, returned: 1, flags: STALE })
  expect(purging.said.out).toMatch(/waits for its locks +none seen/)

  const again = await ebb(words(database, '--no-archive', '--execute'))
  expect(again).toMatchObject({ code: 0, out: expect.stringContaining('nothing to do') as string })
})
