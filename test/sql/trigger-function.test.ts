import { describe, expect, test } from 'vitest'
import { readTriggerFunction } from '../../src/sql/trigger-function.ts'

const assigns = async (body: string, declare = '') =>
  (
    await readTriggerFunction(
      `create function f() returns trigger language plpgsql as $f$ declare ${declare} begin ${body} end $f$`,
      'plpgsql',
    )
  ).assigns

describe('columns of the new row set by a trigger function', () => {
  test.each([
    ['nothing', 'return new;', '', []],
    ['with :=', 'new.at := coalesce(new.at, now()); return new;', '', ['at']],
    ['with =, quoted, in a branch', `if new.b = 'x' then new."At" = now(); end if; return new;`, '', ['At']],
    ['a comparison is none', `if new.at = now() then raise 'x'; end if; return new;`, '', []],
    ['in a comment or a text', `-- new.at := 1;\n raise notice 'new.at := 1;'; return new;`, '', []],
    ['by into', 'select now(), 1 into new.at, n; return new;', 'n int;', ['at']],
    ['by returning into', 'insert into t values (1) returning id into new.id; return new;', '', ['id']],
    ['under another name', 'r.at := now(); return new;', 'r alias for new;', ['at']],
    ['a part of one', 'new.list[1] := 1; return new;', '', ['list']],
    ['by diagnostics', 'get diagnostics new.n = row_count; return new;', '', ['n']],
    ['by a loop', 'for new.n in select 1 loop null; end loop; return new;', '', ['n']],
    ['of another record', 'r := new; r.at := now(); return new;', 'r record;', []],
    ['of the old row', 'old.at := now(); return coalesce(new, old);', '', []],
    ['or no row', 'return null;', '', []],
  ] as const)('%s', async (_, body, declare, expected) => {
    expect(await assigns(body, declare)).toEqual(expected)
  })

  test.each([
    ['the row as a whole', 'new := row(1, now()); return new;', ''],
    ['by into', 'select * into new from t; return new;', ''],
    ['by returning another', 'r := new; return r;', 'r record;'],
    ['by returning what an operator makes of it', `return new #= 'at=>now'::hstore;`, ''],
    ['in a text that is none', 'this is no function', ''],
  ])('are unknown: %s', async (_, body, declare) => {
    expect(await assigns(body, declare)).toBeNull()
  })

  test('nor in another language', async () => {
    expect(await readTriggerFunction('create function f() …', 'c')).toEqual({ assigns: null, readsTable: false })
  })
})

test.each([
  ['tg_table_name', 'insert into log values (TG_TABLE_NAME);', true],
  ['tg_relid', 'perform tg_relid::regclass;', true],
  ['another word', 'perform tg_op;', false],
])('which table it fires for: %s', async (_, body, reads) => {
  expect((await readTriggerFunction(`create function f() … ${body}`, 'plpgsql')).readsTable).toBe(reads)
})
