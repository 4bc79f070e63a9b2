import type pg from 'pg'
import { describe, expect } from 'vitest'
import { abandon, planRollbackOf, retire, rollback } from '../../src/engine/runs/runs.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { withSession } from '../../src/db/session.ts'
import { registerSet } from '../../src/journal/sets.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { rotateOne } from '../engine/rotate-support.ts'
import { splitOrder } from '../engine/split-support.ts'
import { test, type Database } from '../support/database.ts'
import { Rebuilding, RollingBack } from '../support/rebuilding.ts'
import { modelOf, monthly, quietly, written } from '../support/tool.ts'
import { partitionByCopy, split } from '../support/commands.ts'

// What lies in wait on the way back: rules and triggers of the table that is brought up to date, and partitions that
// have come or changed behind the parent's back.

describe('rules of the retired table', () => {
  test.for([
    ['do instead nothing', `on insert to % where new.v = 'new' do instead nothing`, 'enable'],
    ['do also', `on insert to % do also insert into beside values (new.id)`, 'enable'],
    [
      'do instead elsewhere, in replicas too',
      `on insert to % do instead insert into beside values (new.id)`,
      'enable always',
    ],
    ['on delete', `on delete to % do instead nothing`, 'enable always'],
    ['only in replicas', `on insert to % do instead nothing`, 'enable replica'],
    ['switched off', `on insert to % do instead nothing`, 'disable'],
  ] as const)(
    '%s: neither divert nor duplicate restored rows, and are unchanged',
    async ([, rule, state], { database }) => {
      const { table, app } = await filled(database)
      const place = quoted(table).text
      await app.query('create table beside (id int)')
      await app.query(
        `create rule "a rule" as ${rule.replace('%', place)}; alter table ${place} ${state} rule "a rule"`,
      )
      const before = factsOf(await modelOf(database, table))
      const { runId } = await new Rebuilding(database, table).end()
      await app.query(`update ${place} set v = 'new' where id = 1`)
      const rows = await rowsOf(app, table)

      await new RollingBack(database, runId).end()

      expect(await rowsOf(app, table)).toEqual(rows)
      expect((await app.query('select from beside')).rowCount).toBe(0)
      expect(compareFacts(before, factsOf(await modelOf(database, table)))).toEqual([])
    },
  )

  test('are unchanged between two batches, too', async ({ database }) => {
    const { table, app } = await filled(database)
    const place = quoted(table).text
    await app.query(`create rule r as on insert to ${place} where new.v = 'no' do instead nothing`)
    const { runId } = await new Rebuilding(database, table).end()
    await app.query(`update ${place} set v = 'new' where id <= 3`)
    const reader = await database.session('reader')
    await reader.query(`begin; select from ${place} limit 1`)
    const back = new RollingBack(database, runId)
    await back.waits(/reader/)
    const { rows } = await database.admin(
      `select ev_enabled as state from pg_rewrite r join pg_class c on c.oid = r.ev_class where c.relname like '%_retired' and rulename = 'r'`,
    )
    expect(rows).toEqual([{ state: 'O' }])
    await reader.query('commit')
    await back.end()
  })
})

describe('rules and triggers of a wide partition', () => {
  test('do not fire while it is brought up to date, and are unchanged', async ({ database }) => {
    const { table, app, wide } = await wideOf(database)
    const leaf = quoted(wide).text
    await app.query(`
      create table beside (id int);
      create function mark() returns trigger language plpgsql as 'begin insert into beside values (new.id); return null; end';
      create function refuse() returns trigger language plpgsql as 'begin return null; end';
      create trigger marking after insert on ${leaf} for each row execute function mark();
      create trigger refusing before insert on ${leaf} for each row when (new.v = 'new') execute function refuse();
      create trigger off after insert on ${leaf} for each row execute function mark();
      create trigger elsewhere after insert on ${leaf} for each row execute function mark();
      alter table ${leaf} enable always trigger refusing, disable trigger off, enable replica trigger elsewhere;
      create rule nothing as on insert to ${leaf} do instead nothing;
      alter table ${leaf} enable always rule nothing`)
    const before = factsOf(await modelOf(database, wide))
    const { runId } = await split(
      database.url,
      written(table),
      splitOrder({ every: { kind: 'ids', ids: 100n } }),
      quietly({ accept: ['siblings:trigger'] }),
    )
    await app.query(`update ${quoted(table).text} set v = 'new' where id in (1, 250)`)
    const rows = await rowsOf(app, table)

    await rollback(database.url, { runId }, quietly())

    expect(await rowsOf(app, table)).toEqual(rows)
    expect((await app.query('select from beside')).rowCount).toBe(0)
    expect(compareFacts(before, factsOf(await modelOf(database, wide)))).toEqual([])
  })
})

describe('partitions, when a table has been', () => {
  describe.for(['copied into them', 'split into them'] as const)('%s', (how) => {
    const mishaps = {
      'one with rows is attached by hand': async ({ app, table }: Partitioned) => {
        const place = quoted(table).text
        await app.query(
          `create table by_hand (like ${place} including all); insert into by_hand select 100000, 'by hand'`,
        )
        await app.query(`alter table ${place} attach partition by_hand for values from (100000) to (200000)`)
        return 'public.by_hand'
      },
      'one is detached, changed and attached again': async ({ app, table, leaf }: Partitioned) => {
        const bounds = await boundsOf(app, leaf)
        const [place, part] = [quoted(table).text, quoted(leaf).text]
        await app.query(`alter table ${place} detach partition ${part}; update ${part} set v = 'detached'`)
        await app.query(`alter table ${place} attach partition ${part} ${bounds}`)
        return display(leaf)
      },
      'the triggers of one are off for a moment': async ({ app, leaf }: Partitioned) => {
        const part = quoted(leaf).text
        await app.query(`begin; alter table ${part} disable trigger all; update ${part} set v = 'unseen';
          alter table ${part} enable trigger all; commit`)
        return display(leaf)
      },
      'one has been exchanged for another of its name': async ({ app, table, leaf }: Partitioned) => {
        const bounds = await boundsOf(app, leaf)
        const [place, part] = [quoted(table).text, quoted(leaf).text]
        await app.query(`alter table ${place} detach partition ${part}; alter table ${part} rename to was_a_partition`)
        await app.query(`create table ${part} (like ${place} including all)`)
        await app.query(`alter table ${place} attach partition ${part} ${bounds}`)
        return display(leaf)
      },
    }
    test.for(Object.entries(mishaps))(
      '%s: rollback is refused, and nothing is dropped',
      async ([, mishap], { database }) => {
        const set = await partitioned(database, how)
        const { app, table, runId } = set
        const name = await mishap(set)
        const [rows, tables] = [await rowsOf(app, table), await tablesOf(database)]

        const { objections, steps } = await planRollbackOf(database.url, { runId }, quietly())
        expect(steps).toEqual([])
        expect(objections.map(({ code }) => code)).toContain('gap')
        expect(objections.map(({ what }) => what).join()).toContain(name)
        await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(/have not all been captured/)

        await retire(database.url, { runId }, quietly())
        expect(await rowsOf(app, table)).toEqual(rows)
        expect(tables.filter((one) => !/_retired|_old|^ebb/.test(one) && !one.startsWith('wide'))).toEqual(
          (await tablesOf(database)).filter((one) => !/_retired|_old|^ebb/.test(one) && !one.startsWith('wide')),
        )
      },
    )

    test('one added during the rollback: it is kept', async ({ database }) => {
      const set = await partitioned(database, how)
      const { app, table, runId } = set
      const reader = await database.session('reader')
      await reader.query(sql`begin`.text)
      await reader.query(sql`select from ${quoted(table)} limit 1`)
      const back = new RollingBack(database, runId)
      await back.waits(/reader/)
      await mishaps['one with rows is attached by hand'](set)
      const rows = await rowsOf(app, table)
      await reader.query('commit')

      await expect(back.end()).rejects.toThrow(/by_hand/)
      await abandon(database.url, { table }, quietly())
      expect(await rowsOf(app, table)).toEqual(rows)
    })

    test('ebb rotate creates one: rollback is possible, with its rows', async ({ database }) => {
      const { app, table, runId } = await partitioned(database, how)
      await app.query(sql`insert into ${quoted(table)} (id, v) select n, 'new' from generate_series(401, 450) n`)
      const policy = {
        column: 'id',
        kind: 'id',
        timezone: 'UTC',
        every: by.every,
        expireBy: null,
        keep: null,
        premake: 3,
      } as const
      await withSession(database.url, 'register', (session) => registerSet(session, 'ebb', table, policy, null))
      const { created } = await rotateOne(database, table)
      expect(created.length).toBeGreaterThan(0)
      await app.query(sql`insert into ${quoted(table)} (id, v) select n, 'new' from generate_series(451, 650) n`)
      const rows = await rowsOf(app, table)
      expect((await planRollbackOf(database.url, { runId }, quietly())).objections).toEqual([])
      await rollback(database.url, { runId }, quietly())
      expect(await rowsOf(app, table)).toEqual(rows)
    })

    test('replicated changes of one are captured', async ({ database }) => {
      const { app, table, leaf, runId } = await partitioned(database, how)
      await database.admin(`set session_replication_role = replica; update ${quoted(leaf).text} set v = 'applied'`)
      const rows = await rowsOf(app, table)
      await rollback(database.url, { runId }, quietly())
      expect(await rowsOf(app, table)).toEqual(rows)
    })
  })
})

describe('a capture created by an earlier version', () => {
  test.for(['goes back', 'is let go'] as const)('%s', async (what, { database }) => {
    const { app, table, runId } = await partitioned(database, 'copied into them')
    await asBefore(database)
    await app.query(sql`update ${quoted(table)} set v = 'new' where id = 7`)
    const rows = await rowsOf(app, table)
    if (what === 'goes back') {
      expect((await planRollbackOf(database.url, { runId }, quietly())).objections).toEqual([])
      await rollback(database.url, { runId }, quietly())
    } else await retire(database.url, { runId }, quietly())
    expect(await rowsOf(app, table)).toEqual(rows)
    expect((await database.admin(`select from pg_trigger where tgname like 'ebb%'`)).rowCount).toBe(0)
  })

  test('captures a partition attached by hand, from then on', async ({ database }) => {
    const { app, table, runId } = await partitioned(database, 'copied into them')
    await asBefore(database)
    const place = quoted(table).text
    await app.query(`create table by_hand (like ${place} including all); insert into by_hand select 100000, 'by hand'`)
    await app.query(`alter table ${place} attach partition by_hand for values from (100000) to (200000)`)
    await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(/by_hand/)
    expect((await app.query('select from by_hand')).rowCount).toBe(1)
  })
})

/** As if an Ebb that knew neither marks nor partitions had made the capture. */
async function asBefore(database: Database): Promise<void> {
  const { rows } = await database.admin<{ log: string }>(
    `select log_name as log from ebb.capture where log_name like '%back%'`,
  )
  const name = (rows[0]?.log ?? '').replace(/_log$/, '')
  await database.admin(`
    create or replace function ebb."${name}_capture"() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      if tg_op = 'TRUNCATE' then
        insert into ebb.truncation (log_name) values ('${name}_log');
        return null;
      end if;
      if tg_op <> 'INSERT' then insert into ebb."${name}_log" (id) values (old.id); end if;
      if tg_op = 'INSERT' then insert into ebb."${name}_log" (id) values (new.id); end if;
      return null;
    end $$;
    drop sequence ebb."${name}_gap";
    alter table ebb.capture drop gap_oid, drop gap_xmin, drop leaves;
    delete from ebb.migration where name = '009-captures.sql'`)
}

interface Filled {
  readonly table: TableName
  readonly app: pg.Client
}

async function filled(database: Database): Promise<Filled> {
  const table = database.table('ledger')
  const app = await database.session('app')
  const place = quoted(table).text
  await app.query(`create table ${place} (id int primary key, v text)`)
  await app.query(`insert into ${place} select n, 'old' from generate_series(1, 300) n`)
  return { table, app }
}

/** A set with a history of 300 rows, to be split by hundreds. */
async function wideOf(database: Database): Promise<Filled & { readonly wide: TableName }> {
  const table = database.table('ledger')
  const wide = { ...table, name: 'wide' }
  const app = await database.session('app')
  const [place, leaf] = [quoted(table).text, quoted(wide).text]
  await app.query(`create table ${place} (id int primary key, v text) partition by range (id)`)
  await app.query(`create table ${leaf} (like ${place} including all)`)
  await app.query(`alter table ${place} attach partition ${leaf} for values from (minvalue) to (301)`)
  for (const from of [301, 401, 501])
    await app.query(
      `create table ${quoted({ ...table, name: `next_${from}` }).text} partition of ${place} for values from (${from}) to (${from + 100})`,
    )
  await app.query(`insert into ${place} select n, 'old' from generate_series(1, 300) n`)
  await app.query(`analyze ${place}`)
  return { table, app, wide }
}

const by = { by: 'id', every: { kind: 'ids', ids: 100n }, keep: null, premake: 1 } as const

interface Partitioned extends Filled {
  readonly runId: string
  readonly leaf: TableName
}

async function partitioned(database: Database, how: 'copied into them' | 'split into them'): Promise<Partitioned> {
  const { table, app } = how === 'copied into them' ? await filled(database) : await wideOf(database)
  const { runId } =
    how === 'copied into them'
      ? await partitionByCopy(
          database.url,
          written(table),
          { ...monthly(by), transport: 'server', jobs: 1, noArchive: true, retireAfter: null },
          quietly(),
        )
      : await split(database.url, written(table), splitOrder({ every: by.every }), quietly())
  await app.query(sql`insert into ${quoted(table)} (id, v) select n, 'later' from generate_series(301, 400) n`)
  const { rows } = await app.query<{ leaf: TableName }>(sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as leaf from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = (select tableoid from ${quoted(table)} where id = 150)`)
  const leaf = rows[0]?.leaf
  if (leaf === undefined) throw new Error('no partition')
  return { table, app, runId, leaf }
}

async function boundsOf(app: pg.Client, leaf: TableName): Promise<string> {
  const { rows } = await app.query<{ bounds: string }>(
    sql`select pg_get_expr(relpartbound, oid) as bounds from pg_class where oid = ${quoted(leaf).text}::regclass`,
  )
  return rows[0]?.bounds ?? ''
}

async function rowsOf(app: pg.Client, table: TableName): Promise<unknown[]> {
  return (await app.query<{ id: number; v: string }>(sql`select id, v from ${quoted(table)} order by id`)).rows
}

async function tablesOf(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(
    `select relname as name from pg_class where relkind in ('r', 'p') and relnamespace <> all (array['pg_catalog', 'information_schema', 'ebb']::regnamespace[]) order by 1`,
  )
  return rows.map(({ name }) => name)
}
