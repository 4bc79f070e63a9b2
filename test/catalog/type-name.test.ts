import { describe, expect } from 'vitest'
import { assertTypeName } from '../../src/catalog/table/type-name.ts'
import { test } from '../support/database.ts'

const TYPES = [
  'integer',
  'numeric(10,2)',
  'numeric(10,2)[]',
  'geometry(Point,4326)',
  '"my t"."x y"',
  '"a""b"."c--d;e/*f"(3)',
  'timestamp(3) with time zone',
  'text[]',
  'bit varying(3)',
  'interval second(2)',
  '"char"',
]
const OTHERS = [
  'text), (select 1',
  'integer from pg_class',
  'integer, pg_sleep(1)',
  'integer; drop table x',
  'integer -- ',
  'integer --',
  'integer /* */',
  'integer collate "C"',
  'integer not null',
  'integer primary key',
  'integer default 1',
  'integer check (true)',
  'integer generated always as identity',
  'integer = any(select 1)',
  'integer::text',
  'integer order by 1',
  'integer limit 1',
  'integer as x',
  'integer union select 1',
  'integer[1 + pg_sleep(1)]',
  'numeric(pg_sleep(1))',
  'numeric(5000)',
  `varchar('1')`,
  'varchar($$"$$) -- $$"',
  'U&"int4"',
  'pg_class.oid%type',
  'a.b.c',
  '(integer)',
  '23',
  '-',
  '"integer',
  '""',
  'inte\nger',
  '',
]

describe('the type of a column in a receipt', () => {
  test('is the name of a type, whether there is one or not', async ({ database }) => {
    const session = await database.session('restore')
    for (const type of TYPES) await expect(assertTypeName(session, type), type).resolves.toBeUndefined()
  })

  test('is not more than that', async ({ database }) => {
    const session = await database.session('restore')
    for (const type of OTHERS)
      await expect(assertTypeName(session, type), type).rejects.toThrow(/a type that cannot be read/)
  })
})
