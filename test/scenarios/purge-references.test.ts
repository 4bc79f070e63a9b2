import { describe, expect } from 'vitest'
import { type PurgeResult } from '../../src/engine/commands/purge.ts'
import type { PurgeRequest } from '../../src/plan/purge/purge.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest } from '../support/purging.ts'
import { quietly } from '../support/tool.ts'
import { purge } from '../support/commands.ts'

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

describe('rows that refer to their own table', () => {
  test('in a chain longer than any batch go from its end, in one way there and one way back', async ({ database }) => {
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

  test('stay under those that stay, and that is said', async ({ database }) => {
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

describe('rows that are refused', () => {
  test('by a constraint that closes a cycle are found one by one, and the others go', async ({ database }) => {
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

  test('because a trigger would touch what is protected', async ({ database }) => {
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
})

describe('children that the application holds locked', () => {
  test('are come back for, and left and told when the deadline passes', async ({ database }) => {
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

describe('a table whose rows stay', () => {
  test.for([
    ['they hold the rows they refer to', 'on delete restrict', { cascade: false }],
    ['they are protected', 'on delete restrict', { protect: [{ schema: null, name: 'orders' }] }],
    ['PostgreSQL sets their columns to null', 'on delete set null', { cascade: false }],
  ] as const)(
    'because %s: what would go with its own rows is no hindrance',
    async ([, action, request], { database }) => {
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
    },
  )
})
