import { expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'

test.each([
  ['events', null, 'events'],
  ['Events', null, 'events'],
  ['public.events', 'public', 'events'],
  ['PUBLIC . Events', 'public', 'events'],
  ['"We.ird"."Ev"', 'We.ird', 'Ev'],
  ['"a""b"', null, 'a"b'],
  ['"with space".t_1', 'with space', 't_1'],
  ['über.größe', 'über', 'größe'],
  // Letters beyond ASCII are not folded, as in a UTF-8 database of PostgreSQL.
  ['ÜBER', null, 'Über'],
])('%s', (text, schema, name) => {
  expect(parseTableName(text)).toEqual({ schema, name })
})

test.each(['', ' ', '.', 'a.', '.a', 'a.b.c', '"a', '""', '1a', 'a b', 'a;drop table b', 'a-b', '"a"b'])(
  '%j is rejected',
  (text) => {
    expect(() => parseTableName(text)).toThrow(UsageError)
  },
)
