import { describe, expect, test } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { displayInterval, parseInterval } from '../../src/grid/interval.ts'

describe('parseInterval', () => {
  test.each([
    ['month', '1 month'],
    ['hour', '1 hour'],
    ['1 month', '1 month'],
    ['1 months', '1 month'],
    ['3 months', '3 months'],
    ['90 days', '90 days'],
    ['2 day', '2 days'],
    ['6 hours', '6 hours'],
    ['2 weeks', '2 weeks'],
    ['2 quarters', '2 quarters'],
    ['10000 years', '10000 years'],
    ['hourly', '1 hour'],
    ['daily', '1 day'],
    ['weekly', '1 week'],
    ['monthly', '1 month'],
    ['quarterly', '1 quarter'],
    ['yearly', '1 year'],
  ])('reads %s as %s', (text, displayed) => {
    expect(displayInterval(parseInterval(text))).toBe(displayed)
    expect(parseInterval(displayed)).toEqual(parseInterval(text))
  })

  test.each([
    '',
    ' ',
    '90d',
    'P1M',
    '1.5 days',
    '0 days',
    '-1 days',
    '+1 days',
    'days',
    '1',
    '1  day',
    ' 1 day',
    '1 day ',
    '1 month 3 days',
    '1 Month',
    '10001 days',
    '99999999999999999999 days',
    '1e3 days',
    '٣ days',
    '1 minute',
    '1 dayss',
    'biweekly',
    '2 monthly',
    'constructor',
  ])('rejects %j and lists what is accepted', (text) => {
    expect(() => parseInterval(text)).toThrow(UsageError)
    expect(adviceFor(text)).toContain("'90 days'")
  })
})

function adviceFor(text: string): string {
  try {
    parseInterval(text)
  } catch (error) {
    if (error instanceof UsageError) return error.advice.next
  }
  return ''
}
