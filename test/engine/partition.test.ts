import { describe, expect } from 'vitest'
import { readTable } from '../../src/catalog/table/read-table.ts'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { withSession } from '../../src/db/session.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partition, planPartitionOf, writeCandidates } from '../support/commands.ts'

const ROWS = 5_000

describe('partition by time', () => {
  test.for(['identity', 'serial'] as const)(
    'carries over all dependent objects of a table with a %s id',
    async (id, { database }) => {
      const { events } = await createEvents(database, { rows: ROWS, id, rowSecurity: true, publication: true })
      const before = await read(database, events)

      const result = await partition(database.url, written(events), monthly(), quietly())

      const after = await read(database, events)
      const changed = compareFacts(factsOf(before), factsOf(after)).map(({ fact }) => fact)
      expect(after.kind).toBe('partitioned table')
      expect(changed).toEqual(['constraint Events.pkey'])
      expect(after.constraints.find(({ name }) => name === 'Events.pkey')?.definition).toBe(
        'PRIMARY KEY (id, created_at)',
      )
      expect(result.nothingToDo).toBe(false)
    },
  )

  test('works for the application as before', async ({ database }) => {
    const { events, users, view, viewOnView, countFunction, atomicFunction, marks, reader } = await createEvents(
      database,
      { rows: ROWS, rowSecurity: true },
    )
    const app = await database.session('app')
    const stranger = await database.session('stranger', { role: reader })
    const { rows: ids } = await app.query<{ id: string }>(
      sql`insert into ${quoted(events)} (user_id, kind) values (1, 'marked') returning id`,
    )

    await partition(database.url, written(events), monthly(), quietly())

    const count = async (table: TableName) =>
      Number((await app.query<{ n: string }>(sql`select count(*) as n from ${quoted(table)}`)).rows[0]?.n)
    const next = await app.query<{ id: string; size: number }>(
      sql`insert into ${quoted(events)} (user_id, kind) values (2, 'marked') returning id, size`,
    )
    expect(Number(next.rows[0]?.id)).toBeGreaterThan(Number(ids[0]?.id))
    expect(next.rows[0]?.size).toBe(6)
    expect(await count(events)).toBe(ROWS + 2)
    expect(await count(marks)).toBe(2)
    expect((await app.query(sql`select ${ident(atomicFunction.schema, atomicFunction.name)}() as n`)).rows[0]).toEqual({
      n: String(ROWS + 2),
    })
    expect(
      Number(
        (await app.query<{ n: string }>(sql`select ${ident(countFunction.schema, countFunction.name)}() as n`)).rows[0]
          ?.n,
      ),
    ).toBeGreaterThan(1)
    expect((await app.query(sql`select n from ${quoted(viewOnView)} where kind = 'marked'`)).rows).toEqual([{ n: '2' }])
    expect((await app.query(sql`delete from ${quoted(events)} where kind = 'order'`)).rowCount).toBe(0)
    // The reader's rights and the policy hold on the new parent, and its partitions cannot be reached past it.
    expect((await stranger.query(sql`select distinct user_id <= 50 as mine from ${quoted(view)}`)).rowCount).toBe(2)
    expect((await stranger.query(sql`select distinct user_id <= 50 as mine from ${quoted(events)}`)).rows).toEqual([
      { mine: true },
    ])
    await expect(stranger.query(sql`select payload from ${quoted(events)}`)).rejects.toThrow(/permission denied/)
    await expect(stranger.query(sql`insert into ${quoted(events)} (user_id, kind) values (99, 'x')`)).rejects.toThrow(
      /row-level security/,
    )
    // The foreign key works in both directions.
    await expect(app.query(sql`insert into ${quoted(events)} (user_id, kind) values (1000, 'x')`)).rejects.toThrow(
      /foreign key/,
    )
    await app.query(sql`delete from ${quoted(users)} where id = 7`)
    expect((await app.query(sql`select from ${quoted(events)} where user_id = 7 and kind <> 'order'`)).rowCount).toBe(0)
  })

  test('revokes access that default privileges would grant', async ({ database }) => {
    const { events, reader } = await createEvents(database, { rows: 100 })
    const owner = await database.session('owner')
    await owner.query(
      sql`alter default privileges in schema ${ident(events.schema)} grant select on tables to ${ident(reader)}`,
    )
    const before = await read(database, events)

    const { plan } = await partition(database.url, written(events), monthly(), quietly())

    const after = await read(database, events)
    expect(after.grants).toEqual(before.grants)
    const stranger = await database.session('stranger', { role: reader })
    const leaf = await firstLeaf(owner, events, plan.conversion?.history)
    await expect(stranger.query(sql`select from ${quoted(leaf)}`)).rejects.toThrow(/permission denied/)
  })

  test('routes new rows to their partition', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    await partition(database.url, written(events), monthly({ premake: 2 }), quietly())

    const app = await database.session('app')
    const { rows } = await app.query<{ leaf: string }>(sql`
      insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'now', now()), (1, 'then', date_trunc('month', now()) + interval '75 days')
      returning tableoid::text as leaf`)
    expect(new Set(rows.map(({ leaf }) => leaf)).size).toBe(2)
  })

  test('does nothing the second time', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    await partition(database.url, written(events), monthly(), quietly())

    const again = await partition(database.url, written(events), monthly(), quietly())

    expect(again.nothingToDo).toBe(true)
  })

  test('does nothing even after other commands on the table', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    await writeCandidates(database.url, written(events), { where: 'id <= 10' }, quietly())

    const again = await partition(database.url, written(events), monthly(), quietly())

    expect(again).toMatchObject({ runId, nothingToDo: true, steps: [] })
    const otherwise = partition(database.url, written(events), monthly({ premake: 2 }), quietly())
    await expect(otherwise).rejects.toMatchObject({ plan: { objections: [{ code: 'partitioned' }] } })
  })

  test('starts again after a rollback', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    await rollback(database.url, { runId }, quietly())

    const again = await partition(database.url, written(events), monthly(), quietly())

    expect(again).toMatchObject({ nothingToDo: false })
    expect(again.runId).not.toBe(runId)
  })

  test('plans without changing anything', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const before = await read(database, events)

    const plan = await planPartitionOf(database.url, written(events), monthly(), quietly())

    expect(plan.objections).toEqual([])
    expect(plan.steps.map(({ kind }) => kind)).toEqual([
      'dry run',
      'index',
      'short lock',
      'online',
      'swap',
      'short lock',
      'short lock',
      'online',
    ])
    expect(factsOf(await read(database, events))).toEqual(factsOf(before))
    expect((await database.admin(`select from pg_namespace where nspname = 'ebb'`)).rowCount).toBe(0)
  })

  test.for([
    ['timestamp', `timestamp not null default now()`],
    ['date', `date not null default current_date`],
    ['epoch in seconds', `bigint not null default extract(epoch from now())::bigint`],
    ['epoch in milliseconds', `bigint not null default (extract(epoch from now()) * 1000)::bigint`],
    ['timestamp with time zone and precision', `timestamptz(3) not null default now()`],
  ] as const)('accepts a key of type %s', async ([_, column], { database }) => {
    const table = database.table('log')
    const owner = await database.session('owner')
    await owner.query(`create table ${quoted(table).text} (at ${column}, note text)`)
    await owner.query(sql`insert into ${quoted(table)} (note) select 'n' from generate_series(1, 100)`)

    await partition(database.url, written(table), monthly({ by: 'at' }), quietly())

    await owner.query(sql`insert into ${quoted(table)} (note) values ('later')`)
    expect((await read(database, table)).partitionKey).toBe('RANGE (at)')
    expect((await owner.query(sql`select from ${quoted(table)}`)).rowCount).toBe(101)
  })

  test('accepts a UUIDv7 primary key without changing it', async ({ database }) => {
    const table = database.table('log')
    const owner = await database.session('owner')
    await owner.query(sql`create table ${quoted(table)} (id uuid primary key, note text)`)
    await owner.query(sql`insert into ${quoted(table)} select ${sqlUuid7}, 'n' from generate_series(1, 100) n`)

    await partition(database.url, written(table), monthly({ by: 'id' }), quietly())

    await owner.query(sql`insert into ${quoted(table)} select ${sqlUuid7}, 'later' from generate_series(1, 1) n`)
    expect((await read(database, table)).constraints.map(({ definition }) => definition)).toContain('PRIMARY KEY (id)')
  })
})

describe('partition by id, expire by time', () => {
  test('keeps primary key, upserts and foreign keys as they are', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const notes = database.table('notes')
    const app = await database.session('app')
    await app.query(
      sql`create table ${quoted(notes)} (event_id bigint not null constraint "of event" references ${quoted(events)} (id) on delete cascade, note text)`,
    )
    await app.query(sql`insert into ${quoted(notes)} select id, 'n' from ${quoted(events)} limit 100`)
    const before = await read(database, events)

    await partition(
      database.url,
      written(events),
      monthly({ by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' }),
      quietly(),
    )

    const after = await read(database, events)
    expect(compareFacts(factsOf(before), factsOf(after))).toEqual([])
    expect(after.inboundForeignKeys.map(({ validated }) => validated)).toEqual([true])
    await app.query(
      sql`insert into ${quoted(events)} (id, user_id, kind) values (1, 1, 'click') on conflict (id) do update set kind = 'again'`,
    )
    const { rows } = await app.query<{ id: string }>(
      sql`insert into ${quoted(events)} (user_id, kind) values (1, 'new') returning id`,
    )
    await app.query(sql`insert into ${quoted(notes)} values (${rows[0]?.id}, 'to the new one')`)
    await expect(app.query(sql`insert into ${quoted(notes)} values (99999999, 'to none')`)).rejects.toThrow(/of event/)
  })

  test('chooses the width for an interval from the observed rate', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 42_000 })

    const plan = await planPartitionOf(
      database.url,
      written(events),
      monthly({ by: 'id', expireBy: 'created_at' }),
      quietly(),
    )

    // 42,000 rows in 420 days are 100 a day, so about 3,000 a month: 2,000 is the nearest round number.
    expect(plan.goal).toMatch(/by id, 2000 ids a partition$/)
    expect(plan.evidence.join('\n')).toMatch(/it never runs backwards/)
  })
})

describe('rollback', () => {
  test.for([
    ['by time', {}],
    ['by id', { by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' }],
  ] as const)('restores a table converted %s', async ([_, request], { database }) => {
    const { events } = await createEvents(database, { rows: ROWS, rowSecurity: true, publication: true })
    const before = await read(database, events)
    const { runId } = await partition(database.url, written(events), monthly(request), quietly())
    const app = await database.session('app')
    await app.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'between')`)

    await rollback(database.url, { runId }, quietly())

    const after = await read(database, events)
    expect(after.kind).toBe('table')
    expect(compareFacts(factsOf(before), factsOf(after))).toEqual([])
    const { rows } = await app.query<{ id: string }>(
      sql`insert into ${quoted(events)} (user_id, kind) values (1, 'after') returning id`,
    )
    expect(Number(rows[0]?.id)).toBeGreaterThan(ROWS)
    expect((await app.query(sql`select from ${quoted(events)}`)).rowCount).toBe(ROWS + 2)
    // Nothing is left of the partitions, and the table can be converted again.
    expect((await relations(app, events)).filter((name) => /history|_20\d\d|partitioned|plain/.test(name))).toEqual([])
    await partition(database.url, written(events), monthly(request), quietly())
  })

  test('objects to rows written to other partitions', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    const app = await database.session('app')
    await app.query(
      sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'later', date_trunc('month', now()) + interval '70 days')`,
    )

    await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(
      /rows have been written to other partitions/,
    )
    expect((await read(database, events)).kind).toBe('partitioned table')
  })

  test('objects to a table altered since', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    const owner = await database.session('owner')
    await owner.query(sql`alter table ${quoted(events)} add column extra int`)

    await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(
      /altered since the conversion: column extra/,
    )
  })
})

const sqlUuid7 = sql`(lpad(to_hex((extract(epoch from now()) * 1000)::bigint - 1000 * n), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid`

async function read(database: Database, table: TableName): Promise<TableModel> {
  const model = await withSession(database.url, 'look', (session) => readTable(session, table, database.version))
  if (model === undefined) throw new Error('the table is gone')
  return model
}

async function firstLeaf(
  client: Awaited<ReturnType<Database['session']>>,
  parent: TableName,
  history: TableName | undefined,
): Promise<TableName> {
  const { rows } = await client.query<{ name: string }>(sql`
    select c.relname as name from pg_inherits h join pg_class c on c.oid = h.inhrelid
    where h.inhparent = ${quoted(parent).text}::regclass and c.relname <> ${history?.name} order by 1`)
  return { schema: parent.schema, name: rows[0]?.name ?? '' }
}

async function relations(client: Awaited<ReturnType<Database['session']>>, { schema }: TableName): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(sql`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema}`)
  return rows.map(({ name }) => name)
}
