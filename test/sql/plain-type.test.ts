import { describe, expect, test } from 'vitest'
import { assertPlainType } from '../../src/sql/plain.ts'

const TYPES = [
  'integer',
  'numeric(10,2)',
  '"my t"."x y"',
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
  'integer /* */',
  'integer collate "C"',
  'integer = any(select 1)',
  'integer::text',
  'integer order by 1',
  'integer limit 1',
  'integer as x',
  'integer union select 1',
  'integer[1 + pg_sleep(1)]',
  '',
]

describe('the type of a column in a receipt', () => {
  test.each(TYPES)('%s is one', async (type) => {
    await expect(assertPlainType(type)).resolves.toBeUndefined()
  })

  test.each(OTHERS)('%s is more than that', async (type) => {
    await expect(assertPlainType(type)).rejects.toThrow(/a type that cannot be read/)
  })
})
