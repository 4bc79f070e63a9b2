import type pg from 'pg'
import { describe, expect } from 'vitest'
import { SIZES } from '../../src/engine/copy/sizes.ts'
import { abandon } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { Hold } from '../support/hold.ts'
import { Rebuilding, rebuildRequest } from '../support/rebuilding.ts'
import { isToBeRepeated, persevere, quietly, written } from '../support/tool.ts'
import { isWaiting, PATIENCE_MS, until } from '../support/until.ts'
import { rebuild } from '../support/commands.ts'

// What others do to a table, or to our sessions, while it is being copied: a clear stop, nothing lost, and a way on.

const ROWS = 600

describe('during a copy, another session', () => {
  test.for([
    ['vacuum full', /was rewritten|were not all captured/],
    ['cluster', /was rewritten|were not all captured/],
    ['repack', /was rewritten|were not all captured/],
    ['repack (concurrently)', /was rewritten|were not all captured/],
    ['truncate', /was rewritten|were not all captured/],
    ['alter table add column', /have changed since the plan/],
    ['alter table add column, rewriting', /was rewritten|were not all captured/],
    ['alter column type', /was rewritten|were not all captured/],
    ['create index', /has changed since the plan/],
    ['drop column', /does not exist|has changed since the plan/],
    ['drop', /does not exist/],
    ['rename', /does not exist/],
    ['drop trigger', /were not all captured/],
    ['disable trigger', /were not all captured/],
    ['disable and enable trigger', /were not all captured/],
    ['exchange for another table', /was rewritten|were not all captured/],
  ] as const)('says %s', async ([what, message], { database, skip }) => {
    if (what.startsWith('repack') && database.version < 190_000) skip('19 has it first')
    const { table, app } = await filled(database)
    const hold = await Hold.at(database, 'id = 300')
    const rebuilding = new Rebuilding(database, table, { keep: hold.keep })
    await Promise.race([hold.reached(), rebuilding.end()])

    let isDone = false
    const done = action(what, table, await database.session('somebody else')).finally(() => (isDone = true))
    // Most wait for the chunk that holds on to the table.
    await until(async () => isDone || (await isWaiting(app, 'somebody else')) || (await repackHasBegun(app, what)))
    await hold.release()
    await done

    await expect(rebuilding.end()).rejects.toThrow(message)
    const rows = await count(app, table, what)
    await persevere(() => abandon(database.url, { table }, quietly()))
    expect(await count(app, table, what)).toBe(rows)
    expect(await leftovers(database)).toEqual([])
  })
})

describe('a lost session of the copy', () => {
  test.for([
    ['copy', 'reads', `query like 'copy (%'`],
    ['copy', 'writes', `query like 'copy "%'`],
    ['server', 'writes', `query like 'insert into "%'`],
  ] as const)('%s: the one that %s; the same command resumes', async ([transport, , which], { database }) => {
    const { table, app } = await filled(database)
    const hold = await Hold.at(database, 'id = 300')
    const request = { keep: hold.keep, transport }
    const rebuilding = new Rebuilding(database, table, request)
    await Promise.race([hold.reached(), rebuilding.end()])

    const { rowCount } = await database.admin(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'ebb %' and state = 'active' and ${which}`,
    )
    expect(rowCount).toBe(1)
    await app.query(sql`delete from ${quoted(table)} where id in (1, 301, 600)`)
    await hold.release()

    await expect(rebuilding.end()).rejects.toSatisfy(isToBeRepeated)
    await persevere(() => rebuild(database.url, written(table), rebuildRequest(request), quietly()))
    expect(await ids(app, table)).toEqual({ n: ROWS - 3, ids: ROWS - 3 })
  })
})

describe('a session of the copy lost while the other one waits for the table', () => {
  test('is an ordinary lost session', async ({ database }) => {
    const { table, app } = await filled(database)
    const other = await database.session('somebody else')
    const hold = await Hold.at(database, 'id = 300')
    const request = { keep: hold.keep, transport: 'copy' as const }
    const rebuilding = new Rebuilding(database, table, request)
    await Promise.race([hold.reached(), rebuilding.end()])
    await other.query('begin')
    const locked = other.query(sql`lock table ${quoted(table)} in access exclusive mode`.text)
    await until(() => isWaiting(app, 'somebody else'))
    await hold.release()
    await locked

    // Neither the one that waits nor those that lead the run or vacuum: the one that has written a chunk and waits for more.
    await until(
      async () => {
        const { rowCount } = await database.admin(
          `with ours as (select pid, query from pg_stat_activity where datname = current_database() and application_name like 'ebb %')
           select pg_terminate_backend(pid) from ours where query = 'commit'
             and exists (select from ours join pg_locks using (pid) where not granted)`,
        )
        return rowCount !== 0
      },
      { what: 'the copy to wait for the table' },
    )
    await other.query('rollback')

    await expect(rebuilding.end()).rejects.toSatisfy(isToBeRepeated)
    await persevere(() => rebuild(database.url, written(table), rebuildRequest(request), quietly()))
  })
})

describe('a row rejected by the new table', () => {
  test.for([
    ['copy', 'at once'],
    ['server', 'at once'],
    ['copy', 'at the commit'],
    ['server', 'at the commit'],
  ] as const)(
    'ends a large chunk as a whole, and leaves no open transaction (%s, %s)',
    async ([transport, when], { database }) => {
      const { table, app } = await filled(database)
      await app.query(sql`insert into ${quoted(table)} (id) select n from generate_series(1001, 30000) n`)
      await app.query('begin')
      await app.query(sql`insert into ${quoted(table)} (id) values (1000)`)
      const rebuilding = new Rebuilding(database, table, { transport }, { copySizes: SIZES })
      await rebuilding.began('capture')
      const shadow = quoted({ ...table, name: await rebuilding.shadow(database) }).text
      const other = await database.session('somebody else')
      await other.query(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'row refused'; end $$;
      create constraint trigger refusal after insert on ${shadow} deferrable initially ${when === 'at once' ? 'immediate' : 'deferred'}
        for each row when (new.id = 3100) execute function refuse()`)
      await app.query('commit')

      await expect(rebuilding.end()).rejects.toThrow(/an exception was raised \(SQLSTATE P0001\)/)
      await other.query(`drop trigger refusal on ${shadow}`)
      await persevere(() => rebuild(database.url, written(table), rebuildRequest({ transport }), quietly()))
      expect(await ids(app, table)).toEqual({ n: ROWS + 29001, ids: ROWS + 29001 })
    },
  )
})

describe('a second process', () => {
  test('names the first, also during a batch', async ({ database }) => {
    const { table } = await filled(database)
    const hold = await Hold.at(database, 'id = 300')
    const rebuilding = new Rebuilding(database, table, { keep: hold.keep })
    await Promise.race([hold.reached(), rebuilding.end()])
    const second = () => rebuild(database.url, written(table), rebuildRequest({ keep: hold.keep }), quietly())

    await expect(second()).rejects.toThrow(/is running on/)
    const locker = await database.session('batch', { admin: true })
    await locker.query('begin; select from ebb.lease for share')
    await expect(second()).rejects.toThrow(/is running on/)
    await locker.query('rollback')

    await hold.release()
    await rebuilding.end()
  })

  test('that has taken over is not disturbed by the first one', async ({ database }) => {
    const { table, app } = await filled(database)
    const hold = await Hold.at(database, 'id = 300')
    const rebuilding = new Rebuilding(database, table, { keep: hold.keep })
    await Promise.race([hold.reached(), rebuilding.end()])
    await app.query(sql`delete from ${quoted(table)} where id = 1`)
    const chunks = await chunksCopied(database)

    await database.admin('update ebb.lease set token = token + 1')
    await hold.release()

    await expect(rebuilding.end()).rejects.toThrow(/another run has taken over/)
    expect(await chunksCopied(database)).toBe(chunks)
    expect(await logged(database)).toBe(1)
  })
})

describe('before the swap, the copy', () => {
  test('does not wait for harmless readers: new ones, though an old transaction writes elsewhere', async ({
    database,
  }) => {
    const { table, app } = await filled(database)
    const elsewhere = await database.session('elsewhere')
    await elsewhere.query('create table elsewhere (n int); begin; insert into elsewhere values (1)')
    // There is always one of these with a snapshot, which looks as old as the transaction elsewhere.
    let reading = true
    const readers = [1, 2, 3].map(async (n) => {
      const session = await database.session(`reader ${n}`)
      while (reading) await session.query('select pg_sleep(0.2)')
    })

    const lockLimits = { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: PATIENCE_MS }
    await new Rebuilding(database, table, {}, { lockLimits }).end().finally(() => (reading = false))

    await Promise.all(readers)
    await elsewhere.query('commit')
    expect(await ids(app, table)).toEqual({ n: ROWS, ids: ROWS })
  })
})

interface Filled {
  readonly table: TableName
  readonly app: pg.Client
}

async function filled(database: Database): Promise<Filled> {
  const table = database.table('ledger')
  const app = await database.session('app')
  const place = quoted(table).text
  await app.query(
    `create table ${place} (id int constraint ledger_pkey primary key, note text default repeat('-', 700), other int)`,
  )
  await app.query(`insert into ${place} (id) select n from generate_series(1, ${ROWS}) n`)
  await app.query(`vacuum analyze ${place}`)
  return { table, app }
}

async function action(what: string, table: TableName, session: pg.Client): Promise<void> {
  const place = quoted(table).text
  const elsewhere = quoted({ ...table, name: 'elsewhere' }).text
  const deeds: Record<string, string[]> = {
    'vacuum full': [`vacuum full ${place}`],
    cluster: [`cluster ${place} using ledger_pkey`],
    repack: [`repack ${place}`],
    'repack (concurrently)': [`repack (concurrently) ${place}`],
    truncate: [`truncate ${place}`],
    'alter table add column': [`alter table ${place} add column later int default 7`],
    'alter table add column, rewriting': [`alter table ${place} add column later float default random()`],
    'alter column type': [`alter table ${place} alter column other type text`],
    'create index': [`create index on ${place} (other)`],
    'drop column': [`alter table ${place} drop column other`],
    drop: [`drop table ${place}`],
    rename: [`alter table ${place} rename to elsewhere`],
    'drop trigger': [await dropTriggers(place, session)],
    'disable trigger': [`alter table ${place} disable trigger all`],
    'disable and enable trigger': [
      `begin; alter table ${place} disable trigger all; delete from ${place} where id = 1; alter table ${place} enable trigger all; commit`,
    ],
    'exchange for another table': [
      `begin; alter table ${place} rename to elsewhere; create table ${place} (like ${elsewhere} including all); insert into ${place} select * from ${elsewhere}; commit`,
    ],
  }
  for (const statement of deeds[what] ?? []) await session.query(statement)
}

// Its worker waits for every transaction under way before it reads a row.
async function repackHasBegun(app: pg.Client, what: string): Promise<boolean> {
  if (what !== 'repack (concurrently)') return false
  return (await app.query(`select from pg_stat_progress_repack where datname = current_database()`)).rowCount !== 0
}

async function dropTriggers(place: string, session: pg.Client): Promise<string> {
  const { rows } = await session.query<{ name: string }>(
    `select tgname as name from pg_trigger where tgname like 'ebb%'`,
  )
  return rows.map(({ name }) => `drop trigger ${name} on ${place}`).join('; ')
}

/** The rows of the table, wherever it is now; null where it is nowhere. */
async function count(app: pg.Client, table: TableName, what: string): Promise<number | null> {
  if (what === 'drop') return null
  const place = what === 'rename' ? quoted({ ...table, name: 'elsewhere' }) : quoted(table)
  return (await app.query(sql`select from ${place}`)).rowCount
}

async function ids(app: pg.Client, table: TableName): Promise<unknown> {
  const { rows } = await app.query(sql`select count(*)::int as n, count(distinct id)::int as ids from ${quoted(table)}`)
  return rows[0]
}

async function chunksCopied(database: Database): Promise<number | null> {
  return (await database.admin('select from ebb.chunk')).rowCount
}

async function logged(database: Database): Promise<number> {
  const { rows } = await database.admin<{ log: string }>('select log_name as log from ebb.capture')
  const { rows: counted } = await database.admin<{ n: number }>(`select count(*)::int as n from ebb."${rows[0]?.log}"`)
  return counted[0]?.n ?? -1
}

async function leftovers(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(`
    select relname as name from pg_class where relname ~ '_retired|_ebb|^ebb_.*(log|capture)' and relkind in ('r', 'i')
    union all select tgname from pg_trigger where tgname like 'ebb%'
    union all select proname from pg_proc where proname like 'ebb%'
    union all select format('run %s', id) from ebb.run where status = 'running'`)
  return rows.map(({ name }) => name)
}
