import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isOpen, parseWindow, showWindow, type Window } from '../../src/pacing/window.ts'

const at = (text: string) => BigInt(Date.parse(text)) * 1000n

describe('a window', () => {
  test.for<[window: string, instant: string, open: boolean]>([
    ['01:00-05:00', '2026-03-01T00:59:59.999Z', false],
    ['01:00-05:00', '2026-03-01T01:00:00Z', true],
    ['01:00-05:00', '2026-03-01T04:59:59.999Z', true],
    ['01:00-05:00', '2026-03-01T05:00:00Z', false],
    ['22:00-24:00', '2026-03-01T23:59:59Z', true],
    ['22:00-24:00', '2026-03-01T00:00:00Z', false],
    ['22:00-04:30', '2026-03-01T22:00:00Z', true],
    ['22:00-04:30', '2026-03-01T03:00:00Z', true],
    ['22:00-04:30', '2026-03-01T04:30:00Z', false],
    ['22:00-04:30', '2026-03-01T12:00:00Z', false],
    ['01:00-05:00 Europe/Berlin', '2026-01-01T00:30:00Z', true],
    ['01:00-05:00 Europe/Berlin', '2026-07-01T00:30:00Z', true],
    ['01:00-05:00 Europe/Berlin', '2026-06-30T23:30:00Z', true],
    ['01:00-05:00 Europe/Berlin', '2026-01-01T04:30:00Z', false],
    // The clock goes from 02:00 to 03:00 on that night, and from 03:00 back to 02:00 on the other.
    ['02:00-03:00 Europe/Berlin', '2026-03-29T01:00:00Z', false],
    ['02:00-03:00 Europe/Berlin', '2026-10-25T00:30:00Z', true],
    ['02:00-03:00 Europe/Berlin', '2026-10-25T01:30:00Z', true],
  ])('%s at %s: %s', ([window, instant, open]) => {
    expect(isOpen(parseWindow(window), at(instant))).toBe(open)
  })

  test.for([
    '',
    '1:00-5:00',
    '01:00',
    '25:00-26:00',
    '01:60-02:00',
    '05:00-05:00',
    '24:00-01:00',
    '01:00-05:00 +02',
    '01:00-05:00 Mars/Base',
  ])('%j is not a window', (text) => {
    expect(() => parseWindow(text)).toThrow()
  })

  test('is shown as written, and its complement is open when it is not', () => {
    const minutes = fc.integer({ min: 0, max: 24 * 60 - 1 })
    const instant = fc.bigInt({ min: 0n, max: 4_000_000_000_000_000n })
    const timezone = fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns')
    fc.assert(
      fc.property(minutes, minutes, timezone, instant, (from, to, timezone, now) => {
        fc.pre(from !== to)
        const window: Window = { from, to, timezone }
        expect(parseWindow(showWindow(window))).toEqual(window)
        expect(isOpen({ from: to, to: from, timezone }, now)).toBe(!isOpen(window, now))
      }),
    )
  })
})
