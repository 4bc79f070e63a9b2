import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { startEbb } from '../support/ebb-process.ts'

// Webhook events with thirty days of retention and, where hundreds of gigabytes have gathered first, a rebuild.

const EVENTS = 9_000
const OLD = `received_at < now() - interval '30 days'`
/** Of 9,000, one every ten minutes. */
const KEPT = 30 * 24 * 6

async function events(database: Database): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(`
    create table events (id int primary key, received_at timestamptz not null, payload text default repeat('x', 100));
    create table deliveries (id bigint generated always as identity primary key, event_id int not null);
    insert into events select n, now() - n * interval '10 minutes' + interval '5 minutes' from generate_series(1, ${EVENTS}) n;
    insert into deliveries (event_id) select n from generate_series(1, ${EVENTS}) n, generate_series(1, 3);
    create index on events (received_at); create index on deliveries (event_id)`)
  await owner.query('analyze')
}

async function api(database: Database, from = 'events_live') {
  const { rows } = await database.admin<{ n: number; hash: string }>(
    `select count(*)::int as n, sum(hashtextextended(e::text, 0))::text as hash from ${from} e`,
  )
  return rows[0]
}

test('children are deleted in the transaction of their parent, and readers of the view never see them half deleted', async ({
  database,
}) => {
  await events(database)
  await database.admin('alter table deliveries add foreign key (event_id) references events')
  const at = ['--url', database.url, '--execute']
  const view = await ebb(['view', 'events', '--by', 'received_at', '--keep', '30 days', ...at])
  expect(view.code, view.err).toBe(0)
  const before = await api(database)
  expect(before).toMatchObject({ n: KEPT })

  const purging = startEbb(['purge', 'events', '--where', OLD, '--cascade', '--no-archive', '--pause-ms', '200', ...at])
  const reader = await database.session('reader')
  const state = { going: true, looks: 0 }
  const looking = (async () => {
    while (state.going) {
      const { rows } = await reader.query<{ odd: number; seen: number }>(`
        select (select count(*)::int from (select e.id from events e full join deliveries d on d.event_id = e.id
            group by 1 having count(d.id) <> 3 or e.id is null) o) as odd,
          (select count(*)::int from events_live) as seen`)
      expect(rows).toEqual([{ odd: 0, seen: KEPT }])
      state.looks++
      await sleep(50)
    }
  })()
  expect(await purging.ended, purging.said.err).toBe(0)
  state.going = false
  await looking
  expect(state.looks).toBeGreaterThan(5)
  expect(await api(database)).toEqual(before)
  expect(await api(database, 'events')).toEqual(before)
  expect((await database.admin('select from deliveries')).rowCount).toBe(KEPT * 3)
  expect(purging.said.out).toMatch(/rows of public\.deliveries +14,040/)
})

test('if few rows are worth keeping, a rebuild leaves the rest behind, under the same view', async ({ database }) => {
  await events(database)
  const at = ['--url', database.url, '--execute']
  await ebb(['view', 'events', '--by', 'received_at', '--keep', '30 days', ...at])
  const before = await api(database)
  const rebuilt = await ebb(['rebuild', 'events', '--keep', `not (${OLD})`, '--no-archive', ...at])
  expect(rebuilt.code, rebuilt.err + rebuilt.out).toBe(0)
  expect(await api(database)).toEqual(before)
  expect(await api(database, 'events')).toEqual(before)
  const again = await ebb(['view', 'events', '--by', 'received_at', '--keep', '30 days', ...at])
  expect(again.code, again.err + again.out).toBe(0)
  const retired = await ebb(['retire', '--all', ...at])
  expect(retired.code, retired.err + retired.out).toBe(0)
  expect(await api(database)).toEqual(before)
})
