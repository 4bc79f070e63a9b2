import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { describe, expect } from 'vitest'
import type { Event } from '../../src/events.ts'
import { readOverview } from '../../src/engine/overview/overview.ts'
import { advise } from '../../src/library/advise.ts'
import { check } from '../../src/library/check.ts'
import { inspect } from '../../src/library/inspect.ts'
import { purge } from '../../src/library/purge.ts'
import { status } from '../../src/library/runs.ts'
import { quoted } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { coldServer } from '../support/cold-server.ts'
import { test } from '../support/database.ts'
import { ASKED, keyless, kindsOf, moving, rowsOf, tablesThere } from './move-support.ts'
import { countOf, journalOf, leafOf, month, monthlyEvents, options, planOf, rotateOne } from './rotate-support.ts'

const cold = coldServer()

describe('moving expired partitions to another server', () => {
  test('keeps every row in the table, with keys and indexes there', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database)
    const [first, second] = [leafOf(database, table, -4), leafOf(database, table, -3)]
    await database.admin(
      sql`
      comment on table ${quoted(first)} is 'the first';
      alter table ${quoted(first)} add primary key (id); create index on ${quoted(table)} (token);
      insert into ${quoted(table)} (at, token, n) select at + i * interval '1 second', E'tab\t' || i, i / 3.0
      from ${quoted(first)}, generate_series(1, 500) i`.text,
    )
    const before = await rowsOf(database, table)

    const report = await moving(cold, database, table)

    expect(report.failed).toEqual([])
    expect(report.retired.map(({ partition, outcome }) => [partition, outcome])).toEqual([
      [first, 'moved'],
      [second, 'moved'],
    ])
    expect(await rowsOf(database, table)).toEqual(before)
    expect(await kindsOf(database, table)).toMatchObject({ [first.name]: 'f', [second.name]: 'f' })
    const there = await cold.query<{ name: string; definition: string }>(
      database,
      `select c.relname as name, k.contype::text || ' ' || pg_get_constraintdef(k.oid) as definition from pg_class c
       join pg_constraint k on k.conrelid = c.oid where k.contype <> 'n' order by 1, 2`,
    )
    expect(there.filter(({ name }) => name === first.name).map(({ definition }) => definition)).toEqual([
      expect.stringMatching(/^c CHECK .*at IS NOT NULL/),
      expect.stringMatching(/^c CHECK \(+n > /),
      'p PRIMARY KEY (id)',
    ])
    expect(await tablesThere(cold, database)).toEqual({
      [first.name]: expect.stringMatching(/^ebb: moved, /) as string,
      [second.name]: expect.stringMatching(/^ebb: moved, /) as string,
    })
    const { rows: comments } = await database.admin(
      sql`select obj_description(${quoted(first).text}::regclass) as comment`,
    )
    expect(comments).toEqual([{ comment: 'the first' }])
    expect(await journalOf(database, table)).toContain('moved')
    await expect(database.admin(sql`truncate ${quoted(table)}`)).rejects.toThrow(/does not allow truncates/)
    expect(await rowsOf(database, table)).toEqual(before)

    const again = await moving(cold, database, table)
    expect([again.failed, again.retired, again.skipped.length]).toEqual([[], [], 1])
    const dropping = await rotateOne(database, table, { keep: '2 months' })
    expect(dropping.skipped.map(({ reason }) => reason).slice(0, 2)).toEqual([
      expect.stringContaining(
        'it is a foreign table: its rows are stored elsewhere. To remove them: drop foreign table',
      ),
      expect.stringContaining('it is a foreign table'),
    ])
  })

  test('works beside a DEFAULT partition, and with columns that are computed when they are read', async ({
    database,
  }) => {
    await cold.link(database)
    const { rows } = await database.admin<{ how: string }>(
      `select case when current_setting('server_version_num')::int >= 180000 then 'virtual' else 'stored' end as how`,
    )
    const columns = `id bigint generated always as identity, at timestamptz not null, token text, n int default 3,
      twice int generated always as (n * 2) ${rows[0]!.how}`
    const table = await monthlyEvents(database, -4, 1, 'events', raw(columns))
    const [divided, plain, fallback] = [
      leafOf(database, table, -4),
      leafOf(database, table, -3),
      database.table('rest'),
    ]
    const owner = await database.session('owner')
    await owner.query(
      sql`
      create table ${quoted(fallback)} partition of ${quoted(table)} default;
      insert into ${quoted(table)} (at) values (now() + interval '9 years');
      create table ${quoted(database.table('twin'))} (like ${quoted(divided)} including all excluding identity) partition by list (token);
      create table ${quoted(database.table('part'))} partition of ${quoted(database.table('twin'))} default;
      insert into ${quoted(database.table('twin'))} (id, at) select id, at from ${quoted(divided)};
      drop table ${quoted(divided)}`.text,
    )
    const { rows: bounds } = await database.admin<{ from: string; to: string }>(
      sql`select (${month(-4)})::text as from, (${month(-3)})::text as to`,
    )
    await owner.query(
      `alter table ${quoted(table).text} attach partition ${quoted(database.table('twin')).text} for values from ('${bounds[0]!.from}') to ('${bounds[0]!.to}')`,
    )
    const before = await rowsOf(database, table)

    const report = await moving(cold, database, table)

    expect(report.failed).toEqual([])
    expect(report.retired).toMatchObject([{ partition: plain, outcome: 'moved' }])
    expect(report.skipped).toContainEqual({
      partition: database.table('twin'),
      reason: 'it has partitions of its own, and only a table can be moved to another server',
    })
    expect(await rowsOf(database, table)).toEqual(before)
  })

  test('loses no write that comes while a partition is copied', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const writer = await database.session('writer')
    let [acknowledged, isOver] = [0, false]
    const writing = (async () => {
      for (let n = 1; !isOver; n++) {
        await writer.query(sql`update ${quoted(table)} set n = ${n} where at < ${month(-2)}`)
        acknowledged = n
      }
    })()
    await moving(cold, database, table)
    isOver = true
    await writing
    const { rows } = await database.admin<{ n: string }>(
      sql`select n::text from ${quoted(table)} where at < ${month(-2)}`,
    )
    expect(rows).toEqual([{ n: String(acknowledged) }])

    expect((await moving(cold, database, table)).failed).toEqual([])
    expect(await kindsOf(database, table)).toMatchObject({ [leafOf(database, table, -3).name]: 'f' })
  })

  test('loses no write that comes between the comparison and the exchange', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const leaf = leafOf(database, table, -3)
    const app = await database.session('app')
    await app.query('begin')
    await app.query(sql`select from ${quoted(leaf)}`)
    let written: Promise<unknown> | undefined
    // The exchange waits for this transaction, and nothing before it does.
    const observer = (event: Event) => {
      if (event.type === 'waiting') written ??= app.query(sql`update ${quoted(leaf)} set n = 77; commit`)
    }
    const { retired } = await moving(cold, database, table, { observer })
    await written
    expect(retired).toMatchObject([{ partition: leaf, outcome: 'moved' }])
    const { rows } = await database.admin<{ n: string }>(
      sql`select n::text from ${quoted(table)} where at < ${month(-2)}`,
    )
    expect(rows).toEqual([{ n: '77' }])
  })
})

/** Listens where the other server should be, and counts who connects. */
async function countingConnections(work: (port: number, connections: () => number) => Promise<void>): Promise<void> {
  let connections = 0
  const listener = createServer((socket) => {
    connections++
    socket.destroy()
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  await work((listener.address() as AddressInfo).port, () => connections)
  listener.close()
}

describe('while the other server is away', () => {
  test('partitions are created, and what is said of the table is read without it', async ({ database }) => {
    await countingConnections(async (port, connections) => {
      await cold.link(database, { port, more: ", use_remote_estimate 'true'" })
      const table = await keyless(database, -3)
      const foreign = database.table('moved before')
      await database.admin(
        sql`
        create foreign table ${quoted(foreign)} partition of ${quoted(table)}
        for values from ('2019-01-01 00:00+00') to ('2019-02-01 00:00+00') server cold`.text,
      )
      const target = database.url
      const read = { journalSchema: 'ebb' }

      const report = await moving(cold, database, table, { toUrl: `postgres://postgres@127.0.0.1:${port}/away` })
      expect(report.created).toHaveLength(3)
      expect(report.failed.map(({ what, error }) => [what, error.message])).toEqual([
        ['move partitions to cold', expect.stringMatching(/^cold: /)],
      ])
      const tried = connections()
      expect(tried).toBeGreaterThan(0)

      expect((await planOf(database, table, ASKED)).objections).toEqual([])
      const again = await rotateOne(database, table, { keep: '2 months', retire: 'detach' })
      expect([again.failed, again.retired.length]).toEqual([[], 1])
      await inspect(target, table, read)
      await advise(target, { table, keep: '2 months', ...read })
      await status(target, read)
      await check(target, read)
      await readOverview(target, options())
      // Limited to what is here, also if every row of that matches; and refused for what is there.
      const purged = (where: string) => purge(target, { table, where, noArchive: true, ...read })
      const everything = await purged(`at >= '2020-01-01'`)
      expect(everything).toMatchObject({ objections: [{ code: 'all-rows' }] })
      expect(connections()).toBe(tried)

      await expect(purged('n is null')).rejects.toThrow(
        /the condition reaches rows of .* on another server: could not connect/,
      )
      await database.admin(`alter server cold options (set use_remote_estimate 'false')`)
      const asked = connections()
      expect(await purged('n is null')).toMatchObject({
        objections: [{ code: expect.stringMatching(/^foreign:/) as string }],
      })
      expect(connections()).toBe(asked)
    })
  })
})

describe('partitions are not moved', () => {
  test('of a table with a primary key, before anything is changed; with a key of each partition they are', async ({
    database,
  }) => {
    await cold.link(database)
    const table = await monthlyEvents(database, -3, 1)
    const report = await moving(cold, database, table)
    expect(report.retired).toEqual([])
    const [objection] = report.plan!.objections
    expect(objection).toMatchObject({ code: 'move-unique', acceptable: false })

    const [, statements] = /begin; (.*) \(and so on/.exec(objection!.fix)!
    const { rows } = await database.admin<{ name: string }>(
      sql`select inhrelid::regclass::text as name from pg_inherits where inhparent = ${quoted(table).text}::regclass`,
    )
    const partitions = rows.map(({ name }) => name)
    const [drop, add] = statements!.split(/(?<=;) /)
    await database.admin([drop, ...partitions.map((one) => add!.replace(/table .* add/, `table ${one} add`))].join(' '))
    const moved = await moving(cold, database, table)
    expect([moved.failed, moved.retired.length, moved.plan!.objections]).toEqual([[], 1, []])
    expect((await planOf(database, table, ASKED)).objections).toEqual([])
  })

  test('of such a table by Ebb; those that it has detached can be moved by hand, and a view shows all', async ({
    database,
  }) => {
    await cold.link(database)
    const table = await monthlyEvents(database, -3, 1)
    const leaf = leafOf(database, table, -3)
    const before = await countOf(database, table)
    const { objections } = await planOf(database, table, ASKED)
    const [view] = /create view .*$/.exec(objections[0]!.fix)!
    expect((await rotateOne(database, table, { keep: '2 months', retire: 'detach' })).failed).toEqual([])
    await cold.query(database, `create table ${quoted(leaf).text} (id bigint, at timestamptz, token text)`)
    const elsewhere = quoted(database.table('elsewhere')).text
    await database.admin(`
      create foreign table ${elsewhere} (id bigint, at timestamptz, token text) server cold options (table_name '${leaf.name}');
      insert into ${elsewhere} select * from ${quoted(leaf).text}; drop table ${quoted(leaf).text};
      ${view.replace('…', elsewhere)}`)
    const { rows } = await database.admin(
      sql`select count(*)::int as count from ${quoted({ ...table, name: `${table.name}_all` })}`,
    )
    expect(rows).toEqual([{ count: before }])
  })

  test('that the foreign server does not show as they were copied', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    await cold.query(database, `create database "elsewhere_${database.name}"`)
    const elsewhere = cold.urlOf(database).replace(database.name, `elsewhere_${database.name}`)
    await cold.query(
      database,
      `create table ${quoted(leafOf(database, table, -3)).text} (id bigint, at timestamptz, token text, n numeric, twice numeric)`,
    )
    const report = await moving(cold, database, table, { toUrl: elsewhere })
    expect(report.failed.map(({ error }) => error.message)).toEqual([
      expect.stringContaining('and its copy on cold differ'),
    ])
    expect((await kindsOf(database, table))[leafOf(database, table, -3).name]).toBe('r')

    // No longer to be moved: what is written to it leaves no mark any more.
    await rotateOne(
      database,
      table,
      { keep: '5 years', ...({ retire: 'move', to: 'cold' } as const), noArchive: false },
      { toUrl: elsewhere },
    )
    const { rows } = await database.admin(
      `select (select count(*) from pg_trigger where tgname = 'ebb_archived_write')::int as triggers, (select count(*) from ebb.retirement)::int as begun`,
    )
    // What was copied is still known to be ours.
    expect(rows).toEqual([{ triggers: 0, begun: 1 }])
  })
})
