import type pg from 'pg'
import { describe, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { awfulName } from '../support/awful-names.ts'
import { OverreachError } from '../../src/engine/purge/changes.ts'
import { Cascading } from '../support/cascading.ts'
import { test, type Database } from '../support/database.ts'
import { isWaiting, until } from '../support/until.ts'

// What goes with the rows of a table, on a real server: each batch is one statement in one transaction.

/** A schema of its own, so that names in a test are short; `awful` names are left to the tests of the engine. */
async function prepared(database: Database, definition: string): Promise<pg.Client> {
  const app = await database.session('app')
  await app.query(definition)
  return app
}

function named(name: string): TableName {
  return { schema: 'public', name }
}

async function count(client: pg.Client, table: string): Promise<number> {
  return (await client.query<{ n: number }>(sql`select count(*)::int as n from ${ident(table)}`)).rows[0]?.n ?? -1
}

const ACCOUNTS = `
  create table users (id int primary key, gone boolean not null default true);
  create table sessions (id int primary key, user_id int not null references users);
  create table audit (id int primary key, session_id int references sessions, user_id int references users);
  create table payments (id int primary key, user_id int not null references users);
  insert into users select n, n <= 10 from generate_series(1, 20) n;
  insert into sessions select n, (n + 1) / 2 from generate_series(1, 40) n;
  insert into audit select n, case when n <= 80 then (n + 1) / 2 end, case when n % 2 = 0 then (n - 1) / 4 + 1 end from generate_series(1, 80) n;
  insert into payments values (1, 3), (2, 15)`

describe('rows of other tables', () => {
  test('are deleted with the referenced row, at every depth, and counted once', async ({ database }) => {
    const app = await prepared(database, ACCOUNTS)
    const cascading = await Cascading.over(database, named('users'), { cascade: true, protect: [named('payments')] })
    expect(await cascading.batch('gone')).toEqual({
      gone: 9,
      counted: { sessions: 18, audit: 36 },
      around: { 'public.audit': { deleted: 36, updated: 0 }, 'public.sessions': { deleted: 18, updated: 0 } },
    })
    expect(await count(app, 'payments')).toBe(2)
    expect(await count(app, 'users')).toBe(11)
    expect((await app.query('select id from users where gone')).rows).toEqual([{ id: 3 }])
    expect(await cascading.batch('gone')).toMatchObject({ gone: 0, counted: { sessions: 0, audit: 0 } })
  })

  test('are kept, and the referenced row with them, without --cascade', async ({ database }) => {
    const app = await prepared(
      database,
      `${ACCOUNTS}; delete from audit where user_id = 7 or session_id in (13, 14); delete from sessions where user_id = 7`,
    )
    const cascading = await Cascading.over(database, named('users'))
    expect(await cascading.batch('gone')).toMatchObject({ gone: 1, around: {} })
    expect(await count(app, 'users')).toBe(19)
  })

  test.for(['restrict', 'no action deferrable initially deferred', 'cascade'])(
    'are deleted if the constraint says %s',
    async (action, { database }) => {
      const app = await prepared(
        database,
        `
      create table a (id int primary key);
      create table b (id int primary key, a_id int references a on delete ${action});
      create table c (id int primary key, b_id int references b on delete ${action});
      insert into a select generate_series(1, 6); insert into b select n, n from generate_series(1, 6) n;
      insert into c select n, n from generate_series(1, 6) n`,
      )
      const cascading = await Cascading.over(database, named('a'), { cascade: true })
      expect(await cascading.batch('id <= 4')).toMatchObject({ gone: 4, counted: { b: 4, c: 4 } })
      expect(await count(app, 'c')).toBe(2)
    },
  )

  test('are changed by PostgreSQL according to the constraint, and counted', async ({ database }) => {
    const app = await prepared(
      database,
      `
      create table a (id int primary key);
      create table b (id int primary key, a_id int references a on delete set null);
      create table c (id int primary key, a_id int default 6 references a on delete set default);
      insert into a select generate_series(1, 6); insert into b select n, n from generate_series(1, 6) n;
      insert into c select n, n from generate_series(1, 6) n`,
    )
    const cascading = await Cascading.over(database, named('a'))
    expect(await cascading.batch('id <= 4')).toMatchObject({
      gone: 4,
      around: { 'public.b': { deleted: 0, updated: 4 }, 'public.c': { deleted: 0, updated: 4 } },
    })
    expect((await app.query('select a_id, count(*)::int from c group by 1 order by 1')).rows).toEqual([
      { a_id: 5, count: 1 },
      { a_id: 6, count: 5 },
    ])
  })

  test('keep a row if their reference cannot be set to null', async ({ database }) => {
    const app = await prepared(
      database,
      `
      create table a (id int primary key);
      create table b (id int primary key, a_id int not null references a on delete set null);
      insert into a select generate_series(1, 6); insert into b values (1, 2)`,
    )
    const cascading = await Cascading.over(database, named('a'), { cascade: true })
    expect(await cascading.batch('true')).toMatchObject({ gone: 5 })
    expect(await count(app, 'b')).toBe(1)
  })

  test('with a null in a key of several columns reference nothing', async ({ database }) => {
    const app = await prepared(
      database,
      `
      create table a (tenant int, id int, primary key (tenant, id));
      create table b (id int primary key, tenant int, a_id int, foreign key (tenant, a_id) references a);
      insert into a select n % 2, n from generate_series(1, 4) n;
      insert into b values (1, 1, 1), (2, null, 1), (3, 1, null), (4, 0, 2)`,
    )
    const cascading = await Cascading.over(database, named('a'), { cascade: true })
    expect(await cascading.batch('tenant = 1')).toMatchObject({ gone: 2, counted: { b: 1 } })
    expect((await app.query('select id from b order by id')).rows).toEqual([{ id: 2 }, { id: 3 }, { id: 4 }])
  })

  test('in partitions are treated like others', async ({ database }) => {
    const app = await prepared(
      database,
      `
      create schema far;
      create table a (id int primary key) partition by range (id);
      create table a_1 partition of a for values from (0) to (10); create table a_2 partition of a for values from (10) to (20);
      create table far.b (id int, a_id int references a, primary key (id, a_id)) partition by range (a_id);
      create table far.b_1 partition of far.b for values from (0) to (5); create table far.b_2 partition of far.b for values from (5) to (20);
      create table c (b_id int, a_id int, foreign key (b_id, a_id) references far.b on delete cascade);
      insert into a select generate_series(1, 19); insert into far.b select n, n from generate_series(1, 19) n; insert into c select n, n from generate_series(1, 19) n`,
    )
    const cascading = await Cascading.over(database, named('a'), { cascade: true })
    expect(cascading.cascade.walked.map(({ reference }) => reference.name)).toEqual(['b_a_id_fkey', 'c_b_id_a_id_fkey'])
    expect(await cascading.batch('id between 3 and 12')).toMatchObject({ gone: 10, counted: { b: 10, c: 10 } })
    const leaf = await Cascading.over(database, named('a_2'), { cascade: true })
    expect(await leaf.batch('true')).toMatchObject({ gone: 7, counted: { b: 7, c: 7 } })
    expect(await count(app, 'c')).toBe(2)
  })
})

describe('references are determined as by the constraint', () => {
  test('by its own equality', async ({ database, skip }) => {
    const available = await database.admin(`select from pg_available_extensions where name = 'citext'`)
    if (available.rowCount === 0) skip('citext is not there')
    await database.admin(
      'create schema types; grant usage on schema types to public; create extension citext schema types',
    )
    const app = await prepared(
      database,
      `create table a (id types.citext primary key); create table b (a_id types.citext references a);
       insert into a values ('One'), ('two'); insert into b values ('oNe')`,
    )
    const held = await Cascading.over(database, named('a'))
    expect(await held.batch('true')).toMatchObject({ gone: 1 })
    const along = await Cascading.over(database, named('a'), { cascade: true })
    expect(await along.batch('true')).toMatchObject({ gone: 1, counted: { b: 1 } })
    expect(await count(app, 'b')).toBe(0)
  })

  test('across collations and types', async ({ database }) => {
    await prepared(
      database,
      `create table a (name text collate "C" primary key, id int unique);
       create table b (name text collate "POSIX" references a, a_id bigint references a (id));
       create table c (name varchar(10) references a);
       insert into a values ('x', 1), ('y', 2); insert into b values ('x', 1), ('y', 2); insert into c values ('y')`,
    )
    const along = await Cascading.over(database, named('a'), { cascade: true, protect: [named('c')] })
    expect(await along.batch('true')).toMatchObject({ gone: 1, counted: { b: 1 } })
  })

  test('with any names', async ({ database }) => {
    const [parent, child] = [awfulName('orders'), awfulName('lines')]
    const owner = await database.session('owner')
    await owner.query(
      sql`create table ${quoted(parent)} (" ""id" int primary key, "ctid.x" int references ${quoted(parent)})`.text,
    )
    await owner.query(sql`create table ${quoted(child)} ("r1" int, "p" int references ${quoted(parent)})`.text)
    await owner.query(sql`insert into ${quoted(parent)} values (1, null), (2, 1), (3, null)`)
    await owner.query(sql`insert into ${quoted(child)} values (1, 1), (2, 2), (3, 3)`)
    const along = await Cascading.over(database, parent, { cascade: true })
    expect(await along.batch('" ""id" < 3')).toMatchObject({ gone: 2, counted: { [child.name]: 2 } })
  })
})

describe('self-referencing rows', () => {
  const TREE = (action: string) => `
    create table nodes (id int primary key, parent int references nodes on delete ${action}, old boolean);
    insert into nodes values (1, null, true), (2, 1, true), (3, 2, true), (4, 1, true), (5, 4, false), (6, null, true), (7, 6, true), (8, 8, true)`

  test.for(['no action', 'restrict', 'cascade'])(
    'are deleted together, and those below kept rows are kept (on delete %s)',
    async (action, { database }) => {
      const app = await prepared(database, TREE(action))
      const cascading = await Cascading.over(database, named('nodes'), { cascade: true })
      expect(await cascading.batch('old')).toMatchObject({ gone: 5 })
      expect((await app.query('select id from nodes order by id')).rows).toEqual([{ id: 1 }, { id: 4 }, { id: 5 }])
    },
  )

  test('are deleted if PostgreSQL keeps their children (set null)', async ({ database }) => {
    await prepared(database, TREE('set null'))
    const cascading = await Cascading.over(database, named('nodes'))
    expect(await cascading.batch('old')).toMatchObject({ gone: 7 })
  })
})

describe('a cycle', () => {
  test('through the root: rows that reference one another are deleted, and no others', async ({ database }) => {
    const app = await prepared(
      database,
      `
      create table users (id int primary key, home int);
      create table addresses (id int primary key, user_id int not null references users);
      alter table users add constraint users_home foreign key (home) references addresses on delete cascade;
      insert into users select generate_series(1, 4); insert into addresses select n, n from generate_series(1, 3) n;
      update users set home = id where id < 4; update users set home = 3 where id = 4`,
    )
    const cascading = await Cascading.over(database, named('users'), { cascade: true })
    expect(await cascading.batch('id <= 2')).toMatchObject({ gone: 2, counted: { addresses: 2 } })
    await expect(cascading.batch('id = 3')).rejects.toThrow(/1 more rows of public.users would go than were chosen/)
    expect(await count(app, 'users')).toBe(2)
  })

  test('of a table below the root with itself is a tree, all of which is deleted', async ({ database }) => {
    const app = await prepared(
      database,
      `create table shops (id int primary key);
       create table groups (id int primary key, shop int references shops, parent int references groups);
       create table goods (id int primary key, in_group int not null references groups);
       insert into shops values (1), (2);
       insert into groups select n, case when n <= 2 then n end, case when n > 2 then n - 2 end from generate_series(1, 20) n;
       insert into groups values (21, 1, 3), (22, null, 21); insert into goods select n, n from generate_series(1, 22) n`,
    )
    const cascading = await Cascading.over(database, named('shops'), { cascade: true })
    expect(await cascading.batch('id = 1')).toMatchObject({ gone: 1, counted: { groups: 12, goods: 12 } })
    expect((await app.query('select from groups where id % 2 = 0 and id <= 20')).rowCount).toBe(10)
    expect(await count(app, 'goods')).toBe(10)
  })

  test('… but not rows moved out of it meanwhile', async ({ database }) => {
    const app = await prepared(
      database,
      `create table shops (id int primary key);
       create table groups (id int primary key, shop int references shops, parent int references groups);
       insert into shops values (1), (2); insert into groups values (1, 1, null), (2, null, 1), (3, null, 2)`,
    )
    const cascading = await Cascading.over(database, named('shops'), { cascade: true })
    await app.query('begin; update groups set parent = null, shop = 2 where id = 2')
    const batch = cascading.begin('id = 1')
    await until(() => isWaiting(app, 'purge'), { what: 'the batch to wait at the group' })
    await app.query('commit')
    await expect(batch).rejects.toThrow(OverreachError)
    expect(await cascading.batch('id = 1')).toMatchObject({ gone: 1, counted: { groups: 1 } })
    expect((await app.query('select id from groups order by id')).rows).toEqual([{ id: 2 }, { id: 3 }])
  })

  test('of several tables below the root is reported, not followed, and the constraint rejects the rest', async ({
    database,
  }) => {
    const app = await prepared(
      database,
      `create table users (id int primary key);
       create table orders (id int primary key, user_id int references users, bill int);
       create table bills (id int primary key, for_order int references orders);
       alter table orders add constraint orders_bill foreign key (bill) references bills;
       insert into users values (1), (2), (3); insert into orders values (1, 1, null), (2, 2, null), (3, 3, null);
       insert into bills values (1, 1), (2, 2); update orders set bill = 1 where id = 1; update orders set bill = 2 where id = 3`,
    )
    const cascading = await Cascading.over(database, named('users'), { cascade: true })
    expect(cascading.cascade.walked.map(({ fate }) => fate)).toEqual(['followed', 'followed', 'cycle'])
    expect(await cascading.batch('id = 1')).toMatchObject({ gone: 1, counted: { orders: 1, bills: 1 } })
    await expect(cascading.batch('id = 2')).rejects.toMatchObject({ code: '23503' })
    expect(await count(app, 'orders')).toBe(2)
  })
})

describe('meanwhile', () => {
  test('a protected row that appears after the check is not deleted by its own cascade', async ({ database }) => {
    const { app, cascading } = await heldUp(database, 'on delete cascade')
    const batch = cascading.begin(PREDICATE)
    await until(() => isWaiting(app, 'purge'), { what: 'the batch to wait at a session' })
    const other = await database.session('other')
    await other.query('insert into payments values (9, 3)')
    await app.query('commit')
    await expect(batch).rejects.toThrow(OverreachError)
    expect(await count(app, 'payments')).toBe(1)
    expect(await count(app, 'users')).toBe(3)
    // The next time it is seen.
    expect(await cascading.batch(PREDICATE)).toMatchObject({ gone: 2 })
    expect(await count(app, 'payments')).toBe(1)
  })

  test('… and is rejected by a constraint without one', async ({ database }) => {
    const { app, cascading } = await heldUp(database, '')
    const batch = cascading.begin(PREDICATE)
    await until(() => isWaiting(app, 'purge'), { what: 'the batch to wait at a session' })
    const other = await database.session('other')
    await other.query('insert into payments values (9, 3)')
    await app.query('commit')
    await expect(batch).rejects.toMatchObject({ code: '23503' })
    expect(await cascading.batch(PREDICATE)).toMatchObject({ gone: 2 })
    expect(await count(app, 'payments')).toBe(1)
  })

  test('a child moved to another parent is kept, with its dependent rows', async ({ database }) => {
    const app = await prepared(database, ACCOUNTS)
    const cascading = await Cascading.over(database, named('users'), { cascade: true, protect: [named('payments')] })
    await app.query('begin; update sessions set user_id = 20 where id = 1')
    const batch = cascading.begin('id = 1')
    await until(() => isWaiting(app, 'purge'), { what: 'the batch to wait at the session' })
    await app.query('commit')
    // The rows of audit that refer to user 1 directly go.
    expect(await batch).toMatchObject({ gone: 1, counted: { sessions: 1 } })
    expect((await app.query('select id from audit where session_id = 1 order by id')).rows).toEqual([{ id: 1 }])
  })

  test('a child locked by the application is not waited for beyond the timeout', async ({ database }) => {
    const app = await prepared(database, ACCOUNTS)
    const cascading = await Cascading.over(database, named('users'), { cascade: true })
    await app.query('begin; select from sessions where id = 2 for update')
    await expect(cascading.batch('id <= 2', 100)).rejects.toMatchObject({ code: '55P03' })
    await app.query('rollback')
    expect(await count(app, 'users')).toBe(20)
  })
})

const PREDICATE = 'id > 0'

/** A batch over users that will wait for session 1, locked by `app`, before it comes to session 3. */
async function heldUp(database: Database, action: string): Promise<{ app: pg.Client; cascading: Cascading }> {
  const app = await prepared(
    database,
    `
    create table users (id int primary key);
    create table sessions (id int primary key, user_id int not null references users ${action});
    create table payments (id int primary key, session_id int not null references sessions ${action});
    create index on sessions (user_id); create index on payments (session_id);
    insert into users select generate_series(1, 3); insert into sessions select n, n from generate_series(1, 3) n`,
  )
  const cascading = await Cascading.over(database, named('users'), { cascade: true, protect: [named('payments')] })
  await app.query('begin; select from sessions where id = 1 for update')
  return { app, cascading }
}
