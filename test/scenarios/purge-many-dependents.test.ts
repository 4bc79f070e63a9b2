import { describe, expect } from 'vitest'
import { type PurgeResult } from '../../src/engine/commands/purge.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { Turns } from '../../src/engine/purge/turns.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'
import { planPurgeOf, purge } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest } from '../support/purging.ts'
import { startTool, type Errand } from '../support/process.ts'
import { until } from '../support/until.ts'
import { persevere, quietly } from '../support/tool.ts'

// One row on which so many others hang that a single statement would be too large: they go ahead of it, in batches.

const COMPANIES = parseTableName('companies')

function request(more: Partial<PurgeRequest> = {}): PurgeRequest {
  return purgeRequest('gone', { cascade: true, ...more })
}

function run(
  database: Database,
  more: Partial<PurgeRequest> = {},
  options: Partial<EngineOptions> = {},
): Promise<PurgeResult> {
  const limits = { lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 500 } }
  return purge(database.url, COMPANIES, request(more), quietly({ ...limits, turns: batchesOf(4_000), ...options }))
}

/** Ten companies; that of number 5 has 12,000 invoices, each with a line, the others have three. */
async function companies(database: Database, more = '') {
  const owner = await database.session('setup')
  await owner.query(`
    create table companies (id int primary key, gone boolean default true);
    create table invoices (id int primary key, company int not null references companies on delete cascade);
    create table lines (id int primary key, invoice int not null references invoices);
    create index on invoices (company); create index on lines (invoice);
    insert into companies select generate_series(1, 10);
    insert into invoices select n, case when n > 30 then 5 else n % 10 + 1 end from generate_series(1, 12030) n;
    insert into lines select n, n from generate_series(1, 12030) n;
    ${more}; analyze`)
  const left = async () => {
    const { rows } = await owner.query<{ left: number[] }>(`
      select array[(select count(*) from companies), (select count(*) from invoices), (select count(*) from lines)]::int[] as left`)
    return rows[0]?.left
  }
  const most = async () => {
    const { rows } = await owner.query<{ most: number }>(`
      select max((select sum(v::int) from jsonb_each_text(counts) c (k, v)))::int as most from ebb.purge_batch`)
    return rows[0]?.most
  }
  return { owner, left, most }
}

/** Slices of 3,000, and something happens when the first of them has gone. */
function halfWay(left: () => Promise<number[] | undefined>, happens: () => unknown): Turns {
  let happened = false
  return {
    turn: async () => {
      const [, invoices = 0] = (await left()) ?? []
      if (invoices < 10_000 && !happened) {
        happened = true
        await happens()
      }
      return { rows: 3_000 }
    },
  }
}

describe('dependent rows that are too many for one statement', () => {
  test('are deleted ahead of their row, in batches of the usual size', async ({ database }) => {
    const { left, most } = await companies(database)
    const { evidence } = await planPurgeOf(database.url, COMPANIES, request({ allRows: true }), quietly())
    expect(evidence).toContain(
      'if a single row has more than 10,000 dependent rows, they are deleted ahead of it, in batches of their own',
    )
    const { figures } = await run(database, { allRows: true })
    expect(figures).toMatchObject({ rows: 10, ahead: [], refused: [], locked: 0 })
    expect(figures?.tables.map(({ rows }) => rows)).toEqual([10, 12_030, 12_030])
    expect(await left()).toEqual([0, 0, 0])
    expect(await most()).toBeLessThanOrEqual(10_000)
  })

  test('are deleted ahead at lower levels, too', async ({ database }) => {
    const { left, most } = await companies(
      database,
      'update lines set invoice = 1 where id <= 11000; insert into invoices values (20000, 5); insert into lines values (20000, 20000)',
    )
    const { figures } = await run(database, { allRows: true })
    expect(figures).toMatchObject({ rows: 10, ahead: [], refused: [] })
    expect(await left()).toEqual([0, 0, 0])
    expect(await most()).toBeLessThanOrEqual(10_000)
  })

  test('are deleted ahead again, if as many come before their row is deleted', async ({ database }) => {
    // A statement trigger fires for the slice that finds nothing more, too: the last moment before the row itself.
    const { left, most } = await companies(
      database,
      `create table once (); create function comes() returns trigger language plpgsql as $$ begin
         if not exists (select from gone) and not exists (select from invoices where company = 5)
           and exists (select from companies where id = 5) and not exists (select from once) then
           insert into once default values;
           insert into invoices select n, 5 from generate_series(20001, 31000) n;
         end if; return null; end $$;
       create trigger coming after delete on invoices referencing old table as gone for each statement execute function comes()`,
    )
    const { figures } = await run(database, { allRows: true })
    expect((await database.admin('select from once')).rowCount).toBe(1)
    expect(figures).toMatchObject({ rows: 10, ahead: [] })
    expect(await left()).toEqual([0, 0, 0])
    expect(await most()).toBeLessThanOrEqual(10_000)
  })

  test('are kept if the row leads to a protected one, or is kept by others', async ({ database }) => {
    const { left } = await companies(
      database,
      `create table payments (line int references lines); create index on payments (line);
       insert into payments select max(id) from lines`,
    )
    const { figures, remaining } = await run(database, { allRows: true, protect: [parseTableName('payments')] })
    expect(figures).toMatchObject({ rows: 9, ahead: [] })
    expect(remaining).toMatchObject({ matching: 1, held: 1 })
    expect(await left()).toEqual([1, 12_003, 12_003])
  })
})

describe('killed in between', () => {
  /** No row refers to one that is gone, and what the journal has is what has gone. */
  async function expectWhole(database: Database, left: readonly number[] | undefined): Promise<void> {
    const { rows } = await database.admin<{ dangling: number; gone: number }>(`
      select ((select count(*) from invoices i where not exists (select from companies c where c.id = i.company))
        + (select count(*) from lines l where not exists (select from invoices i where i.id = l.invoice)))::int as dangling,
        (select coalesce(sum(v::int), 0)::int from ebb.purge_batch, jsonb_each_text(counts) c (k, v)) as gone`)
    expect(rows[0]?.dangling).toBe(0)
    const [, invoices = 0, lines = 0] = left ?? []
    expect(rows[0]?.gone).toBe(24_060 - invoices - lines)
  }

  const isHalfWay = ([companies = 0, invoices = 0]: readonly number[] = []) =>
    companies > 0 && invoices < 12_030 && invoices > 0

  const AT_WORK = `select from pg_stat_activity where datname = current_database() and application_name like 'ebb purge%'`

  test('the process: nothing dangles, and the same command finishes it', async ({ database }) => {
    const { left } = await companies(database)
    const errand: Errand = {
      command: 'purge',
      url: database.url,
      table: { schema: 'public', name: 'companies' },
      purge: request({ allRows: true }),
      batchRows: 1_000,
    }
    for (let invoices = 12_030; invoices > 10_500;) {
      const tool = startTool(errand)
      const before = invoices
      await until(async () => (invoices = (await left())?.[1] ?? 0) < before, { what: 'a batch to be deleted' })
      tool.signal('SIGKILL')
      await tool.end()
      await until(async () => (await database.admin(AT_WORK)).rowCount === 0, { what: 'its sessions to end' })
      const now = await left()
      invoices = now?.[1] ?? 0
      expect(isHalfWay(now)).toBe(true)
      await expectWhole(database, now)
    }
    await persevere(() => run(database, { allRows: true }))
    expect(await left()).toEqual([0, 0, 0])
    await expectWhole(database, [0, 0, 0])
  })

  test('the server: the same', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const { left } = await companies(database)
    let crash: Promise<void> | undefined
    const turn = async () => {
      if (crash === undefined && isHalfWay(await left())) crash = server.crash()
      return { rows: 1_000 }
    }
    const lost: unknown = await run(database, { allRows: true }, { turns: { turn } }).catch((error: unknown) => error)
    expect(lost).toMatchObject({ kind: 'try later' })
    await crash
    await server.restart()
    const { rows } = await database.admin<{ left: number[] }>(`
      select array[(select count(*) from companies), (select count(*) from invoices), (select count(*) from lines)]::int[] as left`)
    expect(isHalfWay(rows[0]?.left)).toBe(true)
    await expectWhole(database, rows[0]?.left)
    await persevere(() => run(database, { allRows: true }))
    await expectWhole(database, [0, 0, 0])
  })
})

describe('in between', () => {
  test('the run stops: the state is reported, nothing dangles, and resuming finishes it', async ({ database }) => {
    const { left } = await companies(database)
    const stop = new AbortController()
    const stopping = halfWay(left, () => stop.abort())
    await expect(run(database, { allRows: true }, { turns: stopping, signal: stop.signal })).rejects.toThrow(/stopped/)
    const [rows, invoices = 0, lines] = (await left()) ?? []
    expect(rows).toBeGreaterThan(0)
    expect(invoices).toBeLessThan(12_000)
    expect(invoices).toBeGreaterThan(1_000)
    expect(lines).toBe(invoices)
    const { evidence } = await planPurgeOf(database.url, COMPANIES, request({ allRows: true }), quietly())
    expect(evidence.slice(1, 3)).toEqual([
      expect.stringMatching(/ rows of public.invoices have gone ahead of rows that are still there$/),
      expect.stringMatching(/ rows of public.lines have gone ahead of rows that are still there$/),
    ])
    const { figures } = await run(database, { allRows: true })
    expect(figures).toMatchObject({ rows: 10, ahead: [] })
    expect(await left()).toEqual([0, 0, 0])
  })

  test.for([
    ['is to stay from now on', 'update companies set gone = false where id = 5', 0],
    ['leads to what is protected', 'insert into payments select max(id) from lines', 1],
  ] as const)(
    'the row %s: no more of its dependent rows are deleted, and that is reported',
    async ([, statement, matching], { database }) => {
      const { owner, left } = await companies(
        database,
        'create table payments (line int references lines); create index on payments (line)',
      )
      const changing = halfWay(left, () => owner.query(statement))
      const protect = [parseTableName('payments')]
      const { figures, remaining } = await run(database, { allRows: true, protect }, { turns: changing })
      const [companiesLeft, invoices = 0, lines] = (await left()) ?? []
      expect(figures?.rows).toBe(9)
      expect(companiesLeft).toBe(1)
      expect(remaining).toMatchObject({ matching, held: matching })
      expect(invoices).toBeLessThan(12_003)
      expect(invoices).toBeGreaterThan(2_000)
      expect(lines).toBe(invoices)
      expect(figures?.ahead).toEqual([
        { table: 'public.invoices', rows: 12_003 - invoices },
        { table: 'public.lines', rows: 12_003 - invoices },
      ])
    },
  )

  test('the application holds one of them: the row is left, and reported', async ({ database }) => {
    const { owner, left } = await companies(database)
    await owner.query('begin; select from lines where id = 9000 for update')
    const { figures } = await run(database, { allRows: true })
    expect(figures).toMatchObject({ rows: 9, locked: 1 })
    await owner.query('rollback')
    expect((await run(database, { allRows: true })).figures).toMatchObject({ rows: 1, locked: 0 })
    expect(await left()).toEqual([0, 0, 0])
  })
})

test('rows that reference one another are deleted together, however many they are', async ({ database }) => {
  const { left } = await companies(
    database,
    'alter table invoices add replaces int references invoices; create index on invoices (replaces); update invoices set replaces = id - 1 where id % 2 = 0',
  )
  const { evidence } = await planPurgeOf(database.url, COMPANIES, request({ allRows: true }), quietly())
  expect(evidence.join()).not.toMatch(/go ahead of it/)
  const { figures } = await run(database, { allRows: true })
  expect(figures).toMatchObject({ rows: 10, refused: [], locked: 0 })
  expect(await left()).toEqual([0, 0, 0])
})
