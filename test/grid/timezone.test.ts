import { expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { validateTimezone } from '../../src/grid/grid.ts'
import { ZONES } from './support.ts'

test.each([...ZONES, 'Europe/Kyiv', 'US/Eastern', 'Etc/GMT+5', 'America/Argentina/Buenos_Aires', 'europe/berlin'])(
  'takes %s',
  (name) => {
    expect(() => validateTimezone(name)).not.toThrow()
  },
)

test.each([
  '',
  'Berlin',
  'Europe/Berlim',
  'Europe',
  'CEST',
  '+02',
  '+02:00',
  '-0330',
  '2',
  'Z',
  '2026-12-01T00:00[Europe/Berlin]',
  ' UTC',
  'UTC;',
])('rejects %j and lists what is accepted', (name) => {
  expect(() => validateTimezone(name)).toThrow(UsageError)
  expect(() => validateTimezone(name)).toThrow(`'${name}' is not a supported time zone`)
})
