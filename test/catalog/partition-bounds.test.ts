import { expect, test } from 'vitest'
import { parseBounds } from '../../src/catalog/partitions/bounds.ts'

const range = (from: string | null, to: string | null) => ({ kind: 'range', from, to })

test.each([
  ['DEFAULT', { kind: 'default' }],
  [
    "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')",
    range('2026-01-01 00:00:00+00', '2026-02-01 00:00:00+00'),
  ],
  ["FOR VALUES FROM (MINVALUE) TO ('2026-02-01')", range(null, '2026-02-01')],
  ['FOR VALUES FROM (0) TO (MAXVALUE)', range('0', null)],
  ["FOR VALUES FROM ('-5') TO (10)", range('-5', '10')],
  ['FOR VALUES FROM (-5) TO (10.5)', range('-5', '10.5')],
  ["FOR VALUES FROM ('it''s') TO (') TO (1')", range("it's", ') TO (1')],
  ["FOR VALUES FROM ('2026-01-01'::date) TO (MAXVALUE)", range('2026-01-01', null)],
])('%s', (text, expected) => {
  expect(parseBounds(text)).toEqual(expected)
})

test.each([
  "FOR VALUES IN ('a')",
  'FOR VALUES WITH (modulus 4, remainder 0)',
  'FOR VALUES FROM (1, 2) TO (3, 4)',
  'FOR VALUES FROM (MAXVALUE) TO (MAXVALUE)',
  "FOR VALUES FROM ('2026-01-01) TO (1)",
  'x FOR VALUES FROM (1) TO (2)',
  '',
])('returns nothing for: %s', (text) => {
  expect(parseBounds(text)).toBeNull()
})
