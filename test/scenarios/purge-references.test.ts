import { describe, expect } from 'vitest'
import { type PurgeResult } from '../../src/engine/commands/purge.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { DEFAULT_PACE } from '../../src/pacing/limits.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, markRequest, purgeRequest } from '../support/purging.ts'
import { quietly } from '../support/tool.ts'
import { mark, purge } from '../support/commands.ts'

// Rows that cannot go when it is their turn: how often a purge comes back for them, and what it says in the end.

function run(
  database: Database,
  table: string,
  where: string,
  request: Partial<PurgeRequest> = {},
  rows = 100,
): Promise<PurgeResult> {
  const options = quietly({ lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 1_500 } })
  const asked = purgeRequest(where, { cascade: true, allRows: true, ...request })
  return purge(database.url, parseTableName(table), asked, { ...options, turns: batchesOf(rows) })
}

async function made(database: Database, definition: string) {
  const owner = await database.session('setup')
  await owner.query(definition)
  return owner
}

describe('self-referencing rows', () => {
  test('in a chain longer than any batch are deleted from its end, in two passes', async ({ database }) => {
    const client = await made(
      database,
      `create table versions (id int primary key, previous int references versions);
       create index on versions (previous);
       insert into versions select n, nullif(n - 1, 0) from generate_series(1, 5000) n; analyze versions`,
    )
    const { figures, remaining } = await run(database, 'versions', 'id > 0')
    expect(remaining?.matching).toBe(0)
    expect(figures).toMatchObject({ rows: 5000, locked: 0, refused: [] })
    expect(figures?.batches).toBeLessThan(150)
    expect((await client.query('select from versions')).rowCount).toBe(0)
  })

  test('are kept below kept rows, and that is reported', async ({ database }) => {
    const client = await made(
      database,
      `create table nodes (id int primary key, parent int references nodes on delete cascade, kept boolean);
       create index on nodes (parent);
       insert into nodes select n, nullif(n / 2, 0), n in (777, 1000) from generate_series(1, 1000) n; analyze nodes`,
    )
    const { figures, remaining } = await run(database, 'nodes', 'not kept')
    const { rows } = await client.query<{ n: number }>(`
      with recursive up as (select id, parent from nodes where kept union select n.id, n.parent from nodes n join up on n.id = up.parent)
      select count(*)::int as n from up`)
    expect((await client.query('select from nodes')).rowCount).toBe(rows[0]?.n)
    expect(figures?.rows).toBe(1000 - (rows[0]?.n ?? 0))
    expect(remaining).toMatchObject({
      matching: (rows[0]?.n ?? 0) - 2,
      held: (rows[0]?.n ?? 0) - 2,
      reasons: [{ what: 'referenced by public.nodes.nodes_parent_fkey, by kept rows' }],
    })
  })
})

test('a foreign key without an index is no reason for batches of a row or two, each of which reads its table', async ({
  database,
}) => {
  await made(
    database,
    `create table orders (id int primary key); create table lines (order_id int references orders on delete cascade);
     insert into orders select generate_series(1, 200); insert into lines select 1 + n % 200 from generate_series(1, 2000) n;
     analyze orders; analyze lines`,
  )
  const settings = { ...DEFAULT_PACE, targetMs: 1 }
  const { figures } = await purge(
    database.url,
    parseTableName('orders'),
    purgeRequest('id > 0', { cascade: true, allRows: true, accept: ['unindexed:public.lines.lines_order_id_fkey'] }),
    quietly({ pacing: { settings, paceFile: null } }),
  )
  expect(figures).toMatchObject({ rows: 200 })
  expect(figures?.batches).toBeLessThanOrEqual(200 / 20)
})

describe('rejected rows', () => {
  test('by a constraint that closes a cycle are found one by one, and the others deleted', async ({ database }) => {
    const client = await made(
      database,
      `create table posts (id int primary key); create table comments (id int primary key, post int references posts);
       create table pins (id int primary key, comment int references comments);
       alter table comments add pin int references pins;
       create index on comments (post); create index on comments (pin); create index on pins (comment);
       insert into posts select generate_series(1, 500); insert into comments select n, n from generate_series(1, 500) n;
       insert into pins select n, n from generate_series(1, 500) n; update comments set pin = id;
       insert into comments values (1001, null, 123), (1002, null, 400)`,
    )
    const { figures, remaining } = await run(database, 'posts', 'id <= 450')
    expect(figures).toMatchObject({
      rows: 448,
      locked: 0,
      refused: [{ why: 'public.comments.comments_pin_fkey holds them', rows: 2 }],
    })
    expect(remaining).toMatchObject({ matching: 2, held: 0 })
    expect((await client.query('select id from posts where id <= 450 order by id')).rows).toEqual([
      { id: 123 },
      { id: 400 },
    ])
  })

  test('because a trigger would change protected rows', async ({ database }) => {
    const client = await made(
      database,
      `create table users (id int primary key); create table payments (user_id int references users, payer int);
       create index on payments (user_id);
       create function forget() returns trigger language plpgsql as $$ begin
         update public.payments set payer = null where payer = old.id; return old; end $$;
       create trigger forget before delete on users for each row execute function forget();
       insert into users select generate_series(1, 50); insert into payments values (null, 7), (8, null)`,
    )
    const { figures, remaining } = await run(database, 'users', 'true', { protect: [parseTableName('payments')] }, 20)
    expect(figures?.refused).toEqual([{ why: 'rows of public.payments would be touched, which is protected', rows: 1 }])
    expect(remaining).toMatchObject({ matching: 2, held: 1 })
    expect((await client.query('select * from payments order by payer')).rows).toEqual([
      { user_id: null, payer: 7 },
      { user_id: 8, payer: null },
    ])
  })

  test('because of changes to referencing rows: others are deleted, and no value is shown', async ({ database }) => {
    const client = await made(
      database,
      `create table users (id int primary key, secret text default 'secret');
       create domain filled as int check (value is not null);
       create table checked (id int, u int references users on delete set null, check (u is not null or id <> 1));
       create table uniques (id int, u int unique default 1 references users on delete set default);
       create table filled_ones (id int, u int not null references users on delete set default);
       create table domains (id int, u filled references users on delete set null);
       create table excluding (id int, u int references users on delete set null, constraint apart exclude (coalesce(u, 0) with =));
       create index on checked (u); create index on filled_ones (u); create index on domains (u); create index on excluding (u);
       insert into users select generate_series(1, 300);
       insert into checked select n, n + 10 from generate_series(1, 20) n;
       insert into uniques values (1, 1), (2, 50); insert into filled_ones values (1, 60); insert into domains values (1, 70);
       insert into excluding values (1, 80), (2, 81)`,
    )
    const { figures, remaining } = await run(database, 'users', 'id > 1', { cascade: false })
    expect(figures?.refused).toEqual([
      { why: 'public.checked.checked_check would be violated', rows: 1 },
      { why: 'public.excluding.apart would be violated', rows: 1 },
      { why: 'public.filled.filled_check would be violated', rows: 1 },
      { why: 'public.filled_ones.u would be null', rows: 1 },
      { why: 'public.uniques.uniques_u_key would be violated', rows: 1 },
    ])
    expect(figures).toMatchObject({ rows: 294 })
    expect(remaining).toMatchObject({ matching: 5, held: 0 })
    const { rows } = await client.query<{ id: number }>('select id from users order by id')
    expect(rows.map(({ id }) => id)).toEqual([1, 11, 50, 60, 70, 81])
  })

  const RAISING = `create table users (id int primary key, secret text default 'secret', gone boolean);
    create function guards() returns trigger language plpgsql as $$ begin
      if old.id % 50 = 7 then raise exception 'never % %', old.id, old.secret using errcode = case when old.id > 100 then 'P0001' else '42501' end; end if;
      perform 1 / (old.id - 30); return coalesce(new, old); end $$;
    insert into users select generate_series(1, 200)`

  test.for(['delete', 'update'] as const)('by a trigger that raises any error: on %s', async (event, { database }) => {
    await made(
      database,
      `${RAISING}; create trigger guards before ${event} on users for each row execute function guards()`,
    )
    const options = { ...quietly(), turns: batchesOf(100) }
    const { figures, remaining } =
      event === 'delete'
        ? await run(database, 'users', 'id > 1')
        : await mark(database.url, parseTableName('users'), markRequest('id > 1', 'gone', { allRows: true }), options)
    const why = (code: string, line: number) =>
      `a trigger or a function refuses them (SQLSTATE ${code}, in guards() line ${line})`
    expect(figures).toMatchObject({ rows: 194, locked: 0 })
    expect(figures?.refused).toEqual([
      { why: why('22012', 3), rows: 1 },
      { why: why('42501', 2), rows: 2 },
      { why: why('P0001', 2), rows: 2 },
    ])
    expect(remaining).toMatchObject({ matching: 5, held: 0 })
  })

  test('all of them: the run stops, and resuming continues after them', async ({ database }) => {
    await made(database, RAISING.replace('% 50 = 7', '< 110'))
    const owner = await database.session('setup')
    await owner.query('create trigger guards before delete on users for each row execute function guards()')
    await expect(run(database, 'users', 'id > 0')).rejects.toThrow(
      /^the first 100 rows of public.users that match have all been refused: a trigger .* \(SQLSTATE 42501, in guards\(\) line 2\)$/,
    )
    const { figures } = await run(database, 'users', 'id > 0')
    expect(figures).toMatchObject({ rows: 91 })
  })

  test('a failing condition is not attributed to rows', async ({ database }) => {
    await made(database, 'create table users (id int primary key); insert into users select generate_series(1, 50)')
    const failing = run(
      database,
      'users',
      `10 / case when current_setting('transaction_read_only') = 'on' then 1 else id - 20 end > 0`,
    )
    await expect(failing).rejects.toThrow(/division by zero/)
  })
})

describe('children locked by the application', () => {
  test('are revisited, and left and reported at the deadline', async ({ database }) => {
    const client = await made(
      database,
      `create table users (id int primary key); create table sessions (id int primary key, user_id int references users);
       create index on sessions (user_id); insert into users select generate_series(1, 300); insert into sessions select n, n from generate_series(1, 300) n`,
    )
    const holder = await database.session('holder')
    await holder.query('begin; select from sessions where id = 137 for update')
    const first = await run(database, 'users', 'true')
    expect(first.figures).toMatchObject({ rows: 299, locked: 1, refused: [] })
    await holder.query('rollback')
    const second = await run(database, 'users', 'true')
    expect(second.figures).toMatchObject({ rows: 1, locked: 0 })
    expect((await client.query('select from sessions')).rowCount).toBe(0)
  })
})

describe('a table whose rows are kept', () => {
  test.for([
    ['they hold the rows they refer to', 'on delete restrict', { cascade: false }],
    ['they are protected', 'on delete restrict', { protect: [{ schema: null, name: 'orders' }] }],
    ['PostgreSQL sets their columns to null', 'on delete set null', { cascade: false }],
  ] as const)('because %s: rows depending on them are no obstacle', async ([, action, request], { database }) => {
    const client = await made(
      database,
      `create table customers (id int primary key);
       create table orders (id int primary key, customer int references customers ${action});
       create table lines (id int primary key, "order" int references orders on delete cascade);
       create index on orders (customer); create index on lines ("order");
       insert into customers select generate_series(1, 10); insert into orders values (1, 1), (2, 2);
       insert into lines values (1, 1), (2, 2)`,
    )
    const kept = action === 'on delete restrict' ? 1 : 0
    const { figures, remaining } = await run(database, 'customers', 'id <> 2', request)
    expect(figures?.rows).toBe(9 - kept)
    expect(remaining?.matching).toBe(kept)
    expect((await client.query('select from orders o join lines l on l."order" = o.id')).rowCount).toBe(2)
  })
})
