import { describe, expect } from 'vitest'
import { inspect, type Inspection } from '../../src/engine/commands/inspect.ts'
import { describeInspection } from '../../src/report/inspection.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { quietly, written } from '../support/tool.ts'

async function made(database: Database, statements: string, name = 'events'): Promise<TableName> {
  const table = database.table(name)
  const client = await database.session('set-up')
  await client.query(statements.replaceAll('TABLE', quoted(table).text).replaceAll('SCHEMA', ident(table.schema).text))
  return table
}

function look(database: Database, table: TableName, url = database.url): Promise<Inspection> {
  return inspect(url, written(table), quietly())
}

function text(inspection: Inspection): string {
  return describeInspection(inspection).join('\n')
}

const EVENTS = `
  create table TABLE (id bigint generated always as identity primary key, at timestamptz not null, kind text);
  insert into TABLE (at, kind) select now() - (1001 - n) * interval '1 hour', 'k' from generate_series(1, 1000) n;
  analyze TABLE;`

test('an index that cannot look up single values does not serve a foreign key; one of a partitioned table does', async ({
  database,
}) => {
  const table = await made(
    database,
    `${EVENTS}
     create table SCHEMA.notes (event_id bigint references TABLE);
     create index on SCHEMA.notes using brin (event_id);
     create table SCHEMA.parts (event_id bigint references TABLE) partition by hash (event_id);
     create table SCHEMA.part partition of SCHEMA.parts for values with (modulus 1, remainder 0);
     create index on SCHEMA.parts (event_id)`,
  )
  const { references } = await look(database, table)
  expect(references.map(({ name, indexed }) => [name, indexed])).toEqual([
    ['notes_event_id_fkey', false],
    ['parts_event_id_fkey', true],
  ])
})

test('all dependent objects are in the model and in the text', async ({ database }) => {
  const table = await made(
    database,
    `create table SCHEMA.users (id bigint primary key);
     ${EVENTS}
     alter table TABLE add user_id bigint references SCHEMA.users;
     create index events_at on TABLE (at);
     create index events_kind on TABLE (kind) where kind <> 'k';
     create table SCHEMA.notes (id int primary key, event_id bigint constraint notes_event references TABLE);
     create table SCHEMA.parts (event_id bigint constraint parts_event references TABLE) partition by range (event_id);
     create view SCHEMA.recent as select id, at from TABLE;
     create function SCHEMA.f() returns trigger language plpgsql as 'begin return null; end';
     create trigger watcher after insert on TABLE for each row execute function SCHEMA.f();
     create statistics SCHEMA.pairs on kind, user_id from TABLE;
     comment on table TABLE is 'what has happened';
     grant select on TABLE to public`,
  )
  const inspection = await look(database, table)
  expect(inspection.table).toMatchObject({ name: table, kind: 'table', estimatedRows: 1000 })
  expect(inspection.references).toMatchObject([
    { name: 'notes_event', columns: ['event_id'], indexed: false },
    { name: 'parts_event', tableKind: 'partitioned table' },
  ])
  expect(inspection.risks.map(({ fix }) => fix)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^Create one without blocking writes: create index concurrently on .*notes/),
      expect.stringMatching(/^Create one on each partition .* then create index on .*parts/),
    ]),
  )
  const shown = text(inspection)
  for (const piece of [
    'what has happened',
    'about 1,000',
    'events_at ',
    'partial, btree (kind)',
    'FOREIGN KEY (user_id)',
    'notes_event',
    'recent',
    'watcher',
    'AFTER INSERT',
    'pairs',
    'public ',
    'identity',
  ])
    expect(shown).toContain(piece)
})

test('key candidates have a range, read from the rows, and a correlation', async ({ database }) => {
  const table = await made(database, EVENTS)
  const { keys } = await look(database, table)
  const at = keys.find(({ column }) => column === 'at')
  expect(at).toMatchObject({ range: 'exact', indexed: false, correlation: 1 })
  expect(at?.min).toMatch(/^\d{4}-\d\d-\d\d .*\+00$/)
  expect(keys.find(({ column }) => column === 'id')).toMatchObject({ min: '1', max: '1000', indexed: true })
})

test('nothing is changed by an inspection of any table', async ({ database }) => {
  const table = await made(database, EVENTS)
  const snapshot = () => database.admin('select xmin::text, oid, relname from pg_class order by oid')
  const before = (await snapshot()).rows
  await look(database, table)
  expect((await snapshot()).rows).toEqual(before)
})

describe('warnings', () => {
  function risks({ risks }: Inspection): string {
    return risks.map(({ what, fix: fix }) => `${what} | ${fix}`).join('\n')
  }

  test('none for a plain table', async ({ database }) => {
    expect(risks(await look(database, await made(database, EVENTS)))).toBe('')
  })

  test('a foreign key without an index, until one is created', async ({ database }) => {
    const table = await made(
      database,
      `${EVENTS}
       create table SCHEMA.notes (id int primary key, event_id bigint constraint notes_event references TABLE)`,
    )
    const found = risks(await look(database, table))
    expect(found).toMatch(/no index of .*notes begins with the columns of foreign key notes_event \(event_id\)/)
    const cure = /(create index) concurrently (on .*);/.exec(found)
    await (await database.session('cure')).query(`${cure?.[1]} ${cure?.[2]}`)
    expect(risks(await look(database, table))).toBe('')
  })

  test('a partial index, or one with another leading column, does not count', async ({ database }) => {
    const table = await made(
      database,
      `${EVENTS}
       create table SCHEMA.notes (id int primary key, event_id bigint references TABLE);
       create index on SCHEMA.notes (event_id) where id > 0;
       create index on SCHEMA.notes (id, event_id)`,
    )
    expect(risks(await look(database, table))).toContain('no index of')
  })

  test('never analyzed', async ({ database }) => {
    const table = await made(
      database,
      'create table TABLE (id bigint primary key, at timestamptz not null); insert into TABLE values (1, now())',
    )
    const inspection = await look(database, table)
    expect(inspection.table.estimatedRows).toBeNull()
    expect(risks(inspection)).toContain('never analyzed')
  })

  test('an integer key near its maximum', async ({ database }) => {
    const table = await made(
      database,
      'create table TABLE (id int primary key); insert into TABLE values (2000000000); analyze TABLE',
    )
    expect(risks(await look(database, table))).toContain(
      'id has reached 2,000,000,000, 93 % of what an integer can hold',
    )
  })

  test('objects that cannot be carried over', async ({ database }) => {
    const table = await made(database, EVENTS.replace('create table', 'create unlogged table'))
    expect(risks(await look(database, table))).toContain('is unlogged')
  })

  test('a role without privilege to read the rows', async ({ database }) => {
    const table = await made(database, EVENTS)
    const role = await database.role('stranger')
    await database.admin(sql`grant usage on schema ${ident(table.schema)} to ${ident(role)}`.text)
    const inspection = await look(database, table, database.urlFor(role))
    expect(inspection).toMatchObject({ rowsReadable: false, keys: [] })
    expect(risks(inspection)).toContain(`${role} may not see all rows`)
    expect(text(inspection)).toContain('Inspect it as a role that may read its rows.')
  })

  test('a forgotten prepared transaction', async ({ database }) => {
    const table = await made(database, EVENTS)
    const client = await database.session('forgetful')
    await client.query('begin')
    await client.query(sql`insert into ${quoted(table)} (at) values (now())`)
    await client.query(`prepare transaction '${database.name}'`)
    try {
      const inspection = await look(database, table)
      expect(inspection.longTransactions).toMatchObject([{ pid: null, state: 'prepared', onTable: true }])
      expect(risks(inspection)).toMatch(/prepared transaction .* and holds a lock on .*commit prepared/)
    } finally {
      await client.query(`rollback prepared '${database.name}'`)
    }
  })
})

describe('other relations', () => {
  test('a partitioned table shows its partitions, and refers to rotate', async ({ database }) => {
    const table = await made(
      database,
      `create table TABLE (id int) partition by range (id);
       create table SCHEMA.high partition of TABLE for values from (1000) to (maxvalue);
       create table SCHEMA.low partition of TABLE for values from (minvalue) to (9);
       create table SCHEMA.middle partition of TABLE for values from (9) to (1000) partition by range (id);
       create table SCHEMA.leaf partition of SCHEMA.middle for values from (9) to (20);
       create table SCHEMA.rest partition of TABLE default;
       insert into TABLE values (1), (10), (5000)`,
    )
    const inspection = await look(database, table)
    expect(inspection.partitions.map(({ name, state }) => [name.name, state])).toEqual([
      ['low', 'table'],
      ['middle', 'partitioned'],
      ['high', 'table'],
      ['rest', 'table'],
    ])
    expect(inspection.partitions[1]?.bytes).toBeGreaterThan(0)
    expect(inspection.risks.map(({ what }) => what).join()).toContain('there is a DEFAULT partition')
    expect(text(inspection)).toContain(`ebb rotate ${display(table)}`)
  })

  test('list and hash bounds are shown as PostgreSQL prints them', async ({ database }) => {
    const table = await made(
      database,
      `create table TABLE (kind text) partition by list (kind);
       create table SCHEMA.a partition of TABLE for values in ('a', 'b')`,
    )
    expect(text(await look(database, table))).toContain("FOR VALUES IN ('a', 'b')")
  })

  test('a view is reported as a view', async ({ database }) => {
    const table = await made(database, `create view TABLE as select 1 as id`)
    const inspection = await look(database, table)
    expect(inspection.risks).toMatchObject([{ fix: 'Pass the underlying table.' }])
    expect(inspection.advice).toEqual([])
    expect(text(inspection)).not.toContain('Next steps')
  })

  test('an empty table', async ({ database }) => {
    const table = await made(database, 'create table TABLE (at timestamptz not null); analyze TABLE')
    const inspection = await look(database, table)
    expect(inspection.keys).toMatchObject([{ column: 'at', min: null, max: null }])
    expect(inspection.advice).toMatchObject([{ by: 'at', every: '1 month' }])
  })

  test('a table without columns', async ({ database }) => {
    const table = await made(database, 'create table TABLE ()')
    expect(text(await look(database, table))).toContain('No column is a time or a growing id')
  })
})
