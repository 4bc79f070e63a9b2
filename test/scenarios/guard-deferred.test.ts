import { describe, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { batchesOf, contentOf, markRequest, purgeRequest, purgeRows } from '../support/purging.ts'
import { test, type Database } from '../support/database.ts'
import { quietly, written } from '../support/tool.ts'
import { mark } from '../support/commands.ts'

// Triggers and foreign keys that are put off until the commit do their work before a batch is judged.

/** 40 rows, every other of them old. `p` stands for the table's name in what follows. */
async function numbered(database: Database, ...more: string[]): Promise<TableName> {
  const table = database.table('p')
  const owner = await database.session('owner')
  for (const statement of [
    'create table p (id int primary key, old bool, gone bool)',
    'insert into p select g, g % 2 = 0 from generate_series(1, 40) g',
    ...more,
  ])
    await owner.query(statement.replaceAll(/\bp\b/g, quoted(table).text))
  return table
}

/** What the trigger `t` does for a row, when the transaction commits. */
function atTheCommit(event: 'delete' | 'update', what: string): string[] {
  return [
    `create function f() returns trigger language plpgsql as $$ begin ${what}; return null; end $$`,
    `create constraint trigger t after ${event} on p deferrable initially deferred for each row execute function f()`,
  ]
}

const SMALL = { turns: batchesOf(7) }

describe('a trigger deferred until the commit', () => {
  test('deletes no row that does not match', async ({ database }) => {
    const table = await numbered(database, ...atTheCommit('delete', 'delete from p where id = old.id - 1'))
    const { remaining } = await purgeRows(database, table, purgeRequest('old'), SMALL)
    expect(await contentOf(database, table, 'old')).toMatchObject({ rows: 20 })
    expect(remaining).toMatchObject({ matching: 20 })
  })

  test('deletes none by the triggers it fires, at any depth', async ({ database }) => {
    const table = await numbered(
      database,
      'create table notes (id int primary key)',
      'insert into notes select g from generate_series(1, 40) g',
      ...atTheCommit('delete', 'delete from notes where id = old.id'),
      'create function g() returns trigger language plpgsql as $$ begin delete from p where id = old.id - 1; return null; end $$',
      'create constraint trigger t after delete on notes deferrable initially deferred for each row execute function g()',
    )
    await purgeRows(database, table, purgeRequest('old'), SMALL)
    expect(await contentOf(database, table, 'old')).toMatchObject({ rows: 20 })
    expect(await contentOf(database, { schema: 'public', name: 'notes' })).toMatchObject({ rows: 40 })
  })

  test('changes no row of a protected table', async ({ database }) => {
    const child = database.table('kept')
    const table = await numbered(
      database,
      `create table ${quoted(child).text} (n int, p_id int references p (id) on delete cascade)`,
      `insert into ${quoted(child).text} select g, g from generate_series(1, 40, 2) g`,
      ...atTheCommit('delete', `delete from ${quoted(child).text} where n = old.id - 1`),
    )
    await purgeRows(database, table, purgeRequest('old', { protect: [written(child)] }), SMALL)
    expect(await contentOf(database, child)).toMatchObject({ rows: 20 })
  })

  test('added since the purge was planned deletes no row either', async ({ database }) => {
    const table = await numbered(database)
    const owner = await database.session('someone')
    let come: Promise<unknown> | undefined
    const turns = {
      turn: async () => {
        const statements = atTheCommit('delete', `delete from p where id = old.id - 1`).join(';')
        come ??= owner.query(statements.replaceAll(/\bp\b/g, quoted(table).text))
        await come
        return { rows: 7 }
      },
    }
    await purgeRows(database, table, purgeRequest('old'), { turns })
    expect(await contentOf(database, table, 'old')).toMatchObject({ rows: 20 })
  })

  test('marks no row that does not match, and deletes none', async ({ database }) => {
    const request = markRequest('old', 'gone')
    for (const what of [
      'update p set gone = true where id = old.id - 1 and gone is null',
      'delete from p where id = old.id - 1',
    ]) {
      const table = await numbered(database, ...atTheCommit('update', what))
      await mark(database.url, written(table), request, { ...quietly(), ...SMALL })
      expect(await contentOf(database, table, 'old or gone')).toMatchObject({ rows: 20 })
      await (await database.session('owner')).query(`drop table ${quoted(table).text}; drop function f() cascade`)
    }
  })
})
