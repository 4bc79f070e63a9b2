import type pg from 'pg'
import { describe, expect } from 'vitest'
import { readServer } from '../../src/catalog/server-model.ts'
import { withSession } from '../../src/db/session.ts'
import { drain } from '../../src/engine/copy/reconcile.ts'
import { withTable } from '../../src/engine/table-context.ts'
import { captureOf, prepareCapture, startCapture } from '../../src/plan/copy/capture.ts'
import type { CopyWork } from '../../src/plan/copy/work.ts'
import { dualWrites, logOnly, ROWS_OF_A_TRANSACTION, type DualWrites } from '../../src/plan/copy/dual-writes.ts'
import { test, type Database } from '../support/database.ts'
import { quietly } from '../support/tool.ts'

// What changes of an application do to the copy, to the log, and to the application, while they go into both tables.

const ROWS = 100

describe('during dual writes', () => {
  test('the copy has the row at once, and the log is empty', async ({ database }) => {
    const { app, both, log } = await copied(database)

    await app.query(`insert into t values (200, 200, 'new'), (201, 201, 'new')`)
    await app.query(`update t set v = 'changed' where id in (1, 2, 200)`)
    await app.query(`update t set id = 300 where id = 3`)
    await app.query(`delete from t where id in (4, 201)`)

    expect(await both()).toEqual([])
    expect(await log()).toEqual([])
  })

  test('a rollback applies to both, in part or as a whole', async ({ database }) => {
    const { app, both, log } = await copied(database)

    await app.query(`begin; update t set v = 'kept' where id = 1; savepoint s; delete from t where id = 2`)
    await app.query(`rollback to s; update t set v = 'too' where id = 3; commit`)
    await app.query(`begin; delete from t; rollback`)

    expect(await both()).toEqual([])
    expect(await log()).toEqual([])
  })

  test('rows left out stay out, are added when the condition keeps them, and removed when not', async ({
    database,
  }) => {
    const { app, copy, log } = await copied(database, { keep: `public.wanted(v)` })

    await app.query(`insert into t values (200, 200, 'old'), (201, 201, 'new')`)
    await app.query(`update t set v = 'old' where id = 1`)
    await app.query(`update t set v = 'new' where id = 200`)
    await app.query(`update t set slot = 500 where id = 1`)
    await app.query(`delete from t where id = 1`)

    expect(await copy('id in (1, 200, 201)')).toEqual(['200 200 new', '201 201 new'])
    expect(await log()).toEqual([])
  })

  test('a condition is evaluated with the settings of the run’s role', async ({ database }) => {
    const { app, copy } = await copied(database, {
      keep: `v <> 'edge' or timestamptz '2025-12-31 20:00+00' >= '2026-01-01'`,
    })
    await app.query(`set timezone = 'UTC'; insert into t values (200, 200, 'edge')`)
    expect(await copy('id = 200')).toEqual(['200 200 edge'])
  })

  test('columns may have any names', async ({ database }) => {
    const { app, owner, work, both, log } = await copied(database)
    const names = ['ebb_state', 'inserted', 'deleted', 'old', 'new', 's', 't', 'found', 'tg_op']
    const columns = names.map((name) => `"${name}"`)
    for (const table of ['t', 'copy_of_t'])
      await owner.query(`alter table ${table} ${columns.map((name) => `add ${name} int`).join(', ')}`)
    await owner.query(
      dualWrites({ ...work, columns: `id, slot, v, ${columns.join(', ')}` }, { rows: 9, deferrable: [] }),
    )
    await app.query(`update t set v = 'changed', inserted = 3, s = 4 where id = 1`)
    expect(await both()).toEqual([])
    expect(await log()).toEqual([])
  })

  test('replicated changes are written to both', async ({ database }) => {
    const { both, log } = await copied(database)
    await database.admin(`set session_replication_role = replica; update t set v = 'applied' where id = 1`)
    expect(await both()).toEqual([])
    expect(await log()).toEqual([])
  })

  test('a row changed again by other triggers is copied in its final state', async ({ database }) => {
    const { app, both, log } = await copied(database)
    await app.query(`
      create function again() returns trigger language plpgsql as $$
      begin
        if tg_op = 'DELETE' then insert into public.t values (old.id, old.slot, 'back'); return null; end if;
        if pg_trigger_depth() = 1 then update public.t set v = 'again' where id in (new.id, 2); end if;
        return null;
      end $$;
      create trigger aaa after insert or update on t for each row execute function again();
      create trigger zzz after delete on t for each row execute function again()`)

    await app.query(`insert into t values (200, 200, 'first')`)
    await app.query(`update t set v = 'first' where id in (1, 2, 3)`)
    await app.query(`delete from t where id = 5`)

    expect(await both(await log())).toEqual([])
    expect((await app.query(`select v from t where id in (5, 200) order by id`)).rows).toEqual([
      { v: 'back' },
      { v: 'again' },
    ])
  })
})

describe('the application never notices', () => {
  test('a conflicting row in the copy, not applied yet', async ({ database }) => {
    const { app, log } = await copied(database)
    await app.query(`update copy_of_t set slot = 9999 where id = 1; update copy_of_t set slot = 1 where id = 2`)
    await app.query(`update t set v = 'changed' where id = 1`)
    await app.query(`insert into copy_of_t values (200, 200, 'stale')`)
    await app.query(`insert into t values (200, 200, 'new')`)
    expect(await log()).toEqual([1])
  })

  test.for([
    ['a constraint of the copy, checked as late as at the commit', 'unique (slot) deferrable initially deferred'],
    ['the same, checked at the end of the statement', 'unique (slot) deferrable'],
    ['an exclusion that is deferred', 'exclude using btree (slot with =) deferrable initially deferred'],
  ] as const)('%s', async ([, unique], { database }) => {
    const { app, log } = await copied(database, { unique, deferrable: ['copy_slot'] })
    // Not caught up with: in the table slot 1 has become free.
    await app.query(`${paused} update t set slot = 500 where id = 1; ${resumed}`)

    await app.query(`begin; update t set slot = 1 where id = 2; commit`)

    expect(await log()).toEqual([2])
  })

  test('a dropped copy', async ({ database }) => {
    const { app, log } = await copied(database)
    await app.query(`drop table copy_of_t`)
    await app.query(`update t set v = 'changed' where id = 1; insert into t values (200, 200, 'new')`)
    expect(await log()).toEqual([1, 200])
  })

  test('an error in code of the copy', async ({ database }) => {
    const { app, log } = await copied(database, { keep: `1 / (id - 7) is not null` })
    await app.query(`update t set v = 'changed' where id in (6, 7, 8)`)
    expect(await log()).toEqual([7])
  })

  test('a row added to the copy after its own snapshot', async ({ database }) => {
    const { app, log } = await copied(database)
    await app.query(`delete from copy_of_t where id = 1`)
    const other = await database.session('other')
    await other.query('begin isolation level repeatable read')
    await other.query('select from pg_class limit 1')
    await app.query(`insert into copy_of_t select * from t where id = 1`)

    await other.query(`update t set v = 'changed' where id = 1`)
    await other.query('commit')

    expect(await log()).toEqual([1])
  })
})

describe('a row in neither table', () => {
  test('is logged again while the log has an entry of it, since another session may be applying it', async ({
    database,
  }) => {
    const { app, log } = await copied(database)
    const catcher = await database.session('catcher')
    await app.query(`${paused} insert into t values (200, 200, 'new'); ${resumed}`)
    await app.query(`insert into ebb.t_log (id) values (200)`)
    await catcher.query(`begin isolation level repeatable read; delete from ebb.t_log`)
    await catcher.query(`insert into copy_of_t select * from t where id = 200`)

    await app.query(`delete from t where id = 200`)
    await catcher.query('commit')

    expect(await log()).toEqual([200])
  })
})

describe('a large transaction', () => {
  test('logs rows beyond its limit of subtransactions; the next one starts again', async ({ database }) => {
    const { app, both, log } = await copied(database)

    await app.query(`begin; update t set v = 'all'; update t set v = 'again' where id = 1; commit`)
    expect(await log()).toHaveLength(ROWS + 1 - ROWS_OF_A_TRANSACTION)
    await app.query(`truncate ebb.t_log; truncate copy_of_t; insert into copy_of_t select * from t`)
    await app.query(`update t set v = 'some' where id <= ${ROWS_OF_A_TRANSACTION}`)

    expect(await log()).toEqual([])
    expect(await both()).toEqual([])
  })

  test('can be written to both as a whole', async ({ database }) => {
    const { app, both, log } = await copied(database, { rows: null })
    await app.query(`update t set v = 'all'`)
    expect(await log()).toEqual([])
    expect(await both()).toEqual([])
  })
})

test('rows that the application writes all the time delay neither other rows nor the end', async ({ database }) => {
  // All rows together take a tenth of a second.
  const { work, log } = await copied(database, { keep: `pg_sleep(0.001) is not null` })
  await database.admin(`insert into ebb.t_log (id) select 1 + n % ${ROWS} from generate_series(1, 300) n`)
  const server = await withSession(database.url, 'test', (session) => readServer(session, 'journal'))
  const options = { ...quietly({ journalSchema: 'journal' }), target: database.url, server, command: 'rebuild' }

  const drained = await whileWritten(database, HOT, () =>
    withTable(options, work.source, (context) => drain(work, context, 'it writes both')),
  )

  const left = await log()
  if (drained) expect(left).toEqual([])
  else expect(left.filter((id) => !HOT.includes(id))).toEqual([])
}, 30_000)

const HOT = [93, 94, 95, 96, 97, 98, 99, 100]

/** As if concurrent writers wrote both tables: each of the rows comes and goes in the copy. */
async function whileWritten<T>(database: Database, rows: readonly number[], work: () => Promise<T>): Promise<T> {
  const ended = new AbortController()
  const writers = rows.map(async (id) => {
    const session = await database.session(`writer of ${id}`)
    while (!ended.signal.aborted) {
      await session.query(`delete from copy_of_t where id = ${id}`).catch(() => {})
      await session.query(`insert into copy_of_t values (${id}, ${id}, 'hot')`).catch(() => {})
    }
  })
  try {
    return await work()
  } finally {
    ended.abort()
    await Promise.all(writers)
  }
}

test('afterwards changes are only logged again', async ({ database }) => {
  const { app, owner, work, copy, log } = await copied(database)
  await owner.query(logOnly(work))
  await app.query(`update t set v = 'changed' where id = 1`)
  expect(await log()).toEqual([1])
  expect(await copy('id = 1')).toEqual(['1 1 first'])
})

const paused = 'alter table t disable trigger t_capture;'
const resumed = 'alter table t enable always trigger t_capture;'

interface Setting extends Partial<DualWrites> {
  readonly keep?: string
  readonly unique?: string
}

/** A table and its copy, with nothing to catch up with. */
async function copied(
  database: Database,
  { keep, unique = 'unique (slot)', rows = ROWS_OF_A_TRANSACTION, deferrable = [] }: Setting = {},
) {
  const owner = await database.session('owner')
  const app = await database.session('app')
  const capture = captureOf(
    { schema: 'public', name: 't' },
    { index: 't_pkey', columns: [{ name: 'id', type: 'int' }] },
    'ebb',
    't',
  )
  const work: CopyWork = {
    source: capture.table,
    target: { schema: 'public', name: 'copy_of_t' },
    columns: 'id, slot, v',
    keep: keep ?? null,
    settings: { search_path: 'public', TimeZone: 'Asia/Tokyo' },
    capture,
  }
  await owner.query(`
    create schema ebb; create table ebb.truncation (log_name text);
    create function public.wanted(v text) returns boolean immutable language sql as $$ select v <> 'old' $$;
    create table t (id int primary key, slot int, v text, constraint slot ${unique});
    create table copy_of_t (id int primary key, slot int, v text, constraint copy_slot ${unique});
    insert into t select n, n, 'first' from generate_series(1, ${ROWS}) n;
    insert into copy_of_t select * from t`)
  for (const statement of [...prepareCapture(capture), ...startCapture(capture)]) await owner.query(statement)
  await owner.query(dualWrites(work, { rows, deferrable }))
  return {
    owner,
    app,
    work,
    /** Ids of rows that differ, but for these. */
    both: (but: readonly number[] = []) =>
      ids(
        app,
        `select id from t as one full join copy_of_t as other using (id) where one is distinct from other and id <> all ('{${but.join()}}')`,
      ),
    log: () => ids(app, `select distinct id from ebb.t_log order by id`),
    copy: async (where: string) => {
      const { rows: found } = await app.query<{ row: string }>(
        `select concat_ws(' ', id, slot, v) as row from copy_of_t where ${where} order by id`,
      )
      return found.map(({ row }) => row)
    },
  }
}

async function ids(client: pg.Client, query: string): Promise<number[]> {
  return (await client.query<{ id: number }>(query)).rows.map(({ id }) => id)
}
