import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Event } from '../../src/events.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { abandon } from '../../src/engine/runs/runs.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { describePurged } from '../../src/report/purged.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archivesIn, type FoundArchive } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { planPurgeOf } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { Hold } from '../support/hold.ts'
import { batchesOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { restoreFrom } from '../support/restoring.ts'
import { quietly, written } from '../support/tool.ts'

// Rows are archived with all that depends on them, and deleted with them.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeAll(async () => void (folder = await archiveFolder()))
afterAll(() => folder.close())

const ORDERS: TableName = { schema: 'public', name: 'orders' }

/** Each order has two lines, each line a part, a shipment by both ways, comments that answer one another, and events in partitions. */
const SHOP = `
  create table orders (id int primary key, old boolean not null default true, note text);
  create table lines (id int primary key, order_id int not null references orders on delete cascade, n int default 1);
  create table parts (line_id int references lines, part int, n numeric default 1.50, primary key (line_id, part));
  create table shipments (id int primary key, order_id int references orders on delete cascade, line_id int references lines on delete cascade);
  create table comments (id int primary key, order_id int references orders on delete cascade, answers int references comments, t text);
  create table events (order_id int references orders, at int, what text, unique (at, order_id)) partition by range (at);
  create table events_1 partition of events for values from (0) to (10);
  create table events_2 partition of events for values from (10) to (100);
  alter table events alter order_id set not null, alter at set not null;
  create index on lines (order_id); create index on shipments (order_id); create index on shipments (line_id);
  create index on comments (order_id); create index on comments (answers); create index on events (order_id);
  insert into orders select n, n % 3 = 0, 'order ' || n from generate_series(1, 90) n;
  insert into lines select n, (n + 1) / 2, n from generate_series(1, 180) n;
  insert into parts select n, 1 from generate_series(1, 180) n;
  insert into shipments select n, (n + 1) / 2, n from generate_series(1, 180) n;
  insert into comments select n, n, null, 'first' from generate_series(1, 90) n;
  insert into comments select n + 100, null, n, 'answer' from generate_series(1, 90) n;
  insert into comments select n + 200, null, n + 100, 'answer to an answer' from generate_series(1, 90) n;
  insert into events select n, n % 20, 'event' from generate_series(1, 90) n;
  analyze`

const TABLES = ['orders', 'lines', 'parts', 'shipments', 'comments', 'events'] as const

async function shop(database: Database, further = ''): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(SHOP)
  if (further !== '') await owner.query(further)
}

/** In a folder of its own. */
function archived(name: string, changes: Partial<PurgeRequest> = {}, where = 'old'): PurgeRequest {
  mkdirSync(join(folder.path, name), { recursive: true })
  const archive = archiveTo(`${folder.uri}/${name}`, { partBytes: 1_000 })
  return purgeRequest(where, { noArchive: false, archive, cascade: true, ...changes })
}

function run(database: Database, request: PurgeRequest, options: Partial<EngineOptions> = {}) {
  return purgeRows(database, ORDERS, request, { turns: batchesOf(7), ...options })
}

async function stopBefore(key: string, database: Database, request: PurgeRequest): Promise<void> {
  const stop = new AbortController()
  const observer = (event: Event) => {
    if (event.type === 'step started' && event.step.key === key) stop.abort()
  }
  await expect(run(database, request, { signal: stop.signal, observer })).rejects.toMatchObject({ kind: 'stopped' })
}

async function onlyArchive(name: string): Promise<FoundArchive> {
  const { archives, leftovers } = await archivesIn(join(folder.path, name))
  expect(leftovers).toEqual([])
  expect(archives).toHaveLength(1)
  return archives[0]!
}

/** What each table holds, row by row. */
async function contents(database: Database): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {}
  for (const name of TABLES) {
    const place = quoted({ schema: 'public', name })
    const { rows } = await database.admin<{ row: string }>(sql`select t::text as row from ${place} t order by row`)
    found[name] = rows.map(({ row }) => row)
  }
  return found
}

async function idsOf(database: Database, name: string, where: string): Promise<number[]> {
  const { rows } = await database.admin<{ id: number }>(`select id from ${name} where ${where} order by 1`)
  return rows.map(({ id }) => id)
}

async function keyTables(database: Database): Promise<number> {
  return (await database.admin(`select from pg_class where relname ~ '^purge_keys_' and relkind = 'r'`)).rows.length
}

/** All tables, at once. */
async function restoreAll(database: Database, name: string, { receipt }: FoundArchive): Promise<void> {
  const uri = pathToFileURL(join(folder.path, name, receipt.id, 'receipt.json')).href
  await restoreFrom({ receipt: uri }, database.url)
}

test('what depends on the rows is archived in one receipt, deleted with them, and restored', async ({ database }) => {
  await shop(database)
  const before = await contents(database)
  const plan = await planPurgeOf(database.url, written(ORDERS), archived('whole'), quietly())
  expect(plan.objections).toEqual([])
  const result = await run(database, archived('whole'))
  expect(result.remaining).toMatchObject({ matching: 0, left: { rows: 0, dependents: [] } })
  expect(describePurged(result)).toContain('All archived rows are deleted.')
  const archive = await onlyArchive('whole')
  const { receipt, removal } = archive
  const [orders, ...others] = receipt.tables.map(({ name, rows }) => [name, rows])
  expect(orders).toEqual(['orders', 30])
  expect(Object.fromEntries(others)).toEqual({ comments: 90, events: 30, lines: 60, parts: 60, shipments: 60 })
  const names = receipt.tables.map(({ name }) => name)
  expect(names.indexOf('parts')).toBeGreaterThan(names.indexOf('lines'))
  expect(receipt.tables.find(({ name }) => name === 'parts')).toMatchObject({
    where: 'it references an archived row of public.lines (parts_line_id_fkey)',
    key: { columns: ['line_id', 'part'], first: ['5', '1'], last: ['180', '1'] },
  })
  expect(removal?.tables.map(({ name, archived, deleted, kept }) => [name, archived, deleted, kept])).toEqual(
    receipt.tables.map(({ name, rows }) => [name, rows, rows, 0]),
  )
  expect(await keyTables(database)).toBe(0)
  expect((await contents(database)).orders).toHaveLength(60)
  await restoreAll(database, 'whole', archive)
  expect(await contents(database)).toEqual(before)
})

test('a row stays with all that depends on it if any of that has changed, come or was moved since', async ({
  database,
}) => {
  await shop(database)
  const before = await contents(database)
  const request = archived('changes')
  await stopBefore('purge', database, request)
  for (const change of [
    `insert into lines values (1000, 3)`,
    `update parts set n = 7 where line_id = 11`, // order 6
    `update lines set order_id = 12 where id = 17`, // from order 9
    `insert into comments values (1001, null, 215, 'late')`, // order 15
    `update parts set n = 7 where line_id = 35; update parts set n = 1.50 where line_id = 35`, // order 18
    `delete from parts where line_id = 41`, // order 21
    `update events set what = 'other' where order_id = 24`,
    `update shipments set line_id = 54 where id = 1`, // order 27, from one that stays anyway
    `insert into orders values (300, true, 'late'); insert into lines values (1002, 300)`,
  ])
    await database.admin(change)
  const result = await run(database, request)
  expect(await idsOf(database, 'orders', 'old')).toEqual([3, 6, 12, 15, 24, 27, 300])
  expect(await idsOf(database, 'lines', 'order_id % 3 = 0')).toEqual([
    5, 6, 11, 12, 17, 23, 24, 29, 30, 47, 48, 53, 54, 1000, 1002,
  ])
  expect(await idsOf(database, 'comments', `id % 100 % 3 = 0 and id % 100 <> 1`)).toEqual([
    3, 6, 12, 15, 24, 27, 103, 106, 112, 115, 124, 127, 203, 206, 212, 215, 224, 227,
  ])
  const { removal } = await onlyArchive('changes')
  const kept = Object.fromEntries(removal!.tables.map(({ name, kept, keptKeys }) => [name, { kept, keptKeys }]))
  expect(kept.orders!.keptKeys.map(([id]) => Number(id)).sort((a, b) => a - b)).toEqual([3, 6, 12, 15, 24, 27])
  expect(kept.lines!.kept).toBe(13)
  expect(kept.parts!.keptKeys).toContainEqual(['41', '1'])
  for (const { archived, deleted, kept } of removal!.tables) expect(deleted + kept).toBe(archived)
  const told = describePurged(result).join('\n')
  expect(told).toContain('Archived, and not deleted: 6 rows, ')
  expect(told).toContain('skipped, leading to rows that were not archived with them, or have changed since: 6 rows')

  await restoreAll(database, 'changes', await onlyArchive('changes'))
  const after = await contents(database)
  for (const name of TABLES) {
    const changed = after[name]!.filter((row) => !before[name]!.includes(row))
    expect(after[name]!.length - changed.length).toBe(before[name]!.filter((row) => after[name]!.includes(row)).length)
  }
  expect(before.parts!.filter((row) => !after.parts!.includes(row))).toEqual(['(11,1,1.50)', '(41,1,1.50)'])
})

test.for([
  ['comes to refer to a row', 'insert into lines values (1000, 3)', [5, 6, 1000]],
  ['is changed', 'update lines set n = 100 where id = 5', [5, 6]],
] as const)(
  'what %s after the look at it, and before its lock, is not deleted',
  async ([, change, lines], { database }) => {
    await shop(database)
    const hold = await Hold.at(database, 'id = 6')
    await hold.release()
    const request = archived('race', {}, `old and ${hold.keep}`)
    await stopBefore('purge', database, request)
    const gate = await database.session('gate')
    await gate.query('select pg_advisory_lock(4242)')
    const running = run(database, request)
    await hold.reached()
    await database.admin(change)
    await gate.query('select pg_advisory_unlock(4242)')
    await running
    expect(await idsOf(database, 'orders', 'old')).toEqual([3])
    expect(await idsOf(database, 'lines', 'order_id = 3')).toEqual(lines)
  },
)

describe('a trigger', () => {
  test('that keeps a dependent row keeps its row, too', async ({ database }) => {
    await shop(
      database,
      `create function spare() returns trigger language plpgsql as $$ begin return case when old.id = 5 then null else old end; end $$;
       create trigger spare before delete on lines for each row execute function spare()`,
    )
    await run(database, archived('spared'))
    expect(await idsOf(database, 'orders', 'old')).toEqual([3])
    expect(await idsOf(database, 'lines', 'order_id = 3')).toEqual([5, 6])
    const { removal } = await onlyArchive('spared')
    expect(removal!.tables[0]!.keptKeys).toEqual([['3']])
  })

  test('that deletes a dependent row of another one keeps that, for it would be in no archive', async ({
    database,
  }) => {
    await shop(
      database,
      `create function more() returns trigger language plpgsql as $$ begin delete from shipments where id = 1; return old; end $$;
       create trigger more after delete on parts for each row when (old.line_id = 5) execute function more()`,
    )
    await run(database, archived('more'))
    expect(await idsOf(database, 'orders', 'old')).toEqual([3])
    expect(await idsOf(database, 'shipments', 'id in (1, 5, 11)')).toEqual([1, 5])
  })
})

test('killed while it archives, the keys of dependent rows are collected anew; abandoned, none are left', async ({
  database,
}) => {
  await shop(database)
  const request = archived('again')
  await stopBefore('archive', database, request)
  const { rows } = await database.admin<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relname ~ '^purge_keys_' and c.relkind = 'r' and a.attname = 'part'`,
  )
  await database.admin(`insert into ebb.${rows[0]!.name} select 0, 1, 1, 0, 1`)
  await stopBefore('purge', database, request)
  const { receipt } = await onlyArchive('again')
  const parts = receipt.tables.findIndex(({ name }) => name === 'parts')
  expect(await archivedRows(join(folder.path, 'again'), receipt, parts)).toHaveLength(60)
  expect(await keyTables(database)).toBe(6)
  await abandon(database.url, { table: ORDERS }, quietly())
  expect(await keyTables(database)).toBe(0)
})

test('what cannot be archived is an objection', async ({ database }) => {
  await shop(
    database,
    `alter table parts drop constraint parts_pkey;
     create table visits (id int primary key, order_id int references orders on delete set null);
     create index on visits (order_id)`,
  )
  const codes = async (changes: Partial<PurgeRequest>) =>
    (await planPurgeOf(database.url, written(ORDERS), archived('none', changes), quietly())).objections.map(
      ({ code }) => code,
    )
  const setNull = 'archive-set-null:public.visits.visits_order_id_fkey'
  expect(await codes({})).toEqual(['archive-key:public.parts', setNull])
  expect(await codes({ accept: [setNull], protect: [{ schema: 'public', name: 'parts' }] })).toEqual([])
})

test('a row with very many dependent rows: they go ahead of it as they were archived', async ({ database }) => {
  const owner = await database.session('setup')
  await owner.query(`
    create table orders (id int primary key, old boolean not null default true);
    create table lines (id int primary key, order_id int not null references orders on delete cascade);
    create index on lines (order_id);
    insert into orders select generate_series(1, 3);
    insert into lines select n, case when n > 10 then 2 else 1 end from generate_series(1, 10400) n;
    analyze`)
  const request = archived('ahead', { allRows: true })
  let late = false
  const turns = {
    turn: async () => {
      const { rows } = await owner.query<{ n: number }>('select count(*)::int as n from lines where order_id = 2')
      if (!late && rows[0]!.n < 9_000) {
        late = true
        await owner.query('insert into lines values (20000, 2); update lines set id = -id where id = 10400')
      }
      return { rows: 4_000 }
    },
  }
  await run(database, request, { turns })
  expect(await idsOf(database, 'orders', 'true')).toEqual([2])
  const left = await idsOf(database, 'lines', 'true')
  expect(left).toContain(20_000)
  expect(left).toContain(-10_400)
  const archive = await onlyArchive('ahead')
  const [orders, lines] = archive.removal!.tables
  expect(orders).toMatchObject({ archived: 3, deleted: 2, keptKeys: [['2']] })
  expect(lines!.deleted + lines!.kept).toBe(10_400)
  expect(lines!.kept).toBe(left.length - 1)
  await restoreAll(database, 'ahead', archive)
  const { rows } = await owner.query<{ n: number }>('select count(*)::int as n from lines')
  expect(rows[0]!.n).toBe(10_400 + 2 - 1)
})
