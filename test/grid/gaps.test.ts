import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coveredUntil, gapsIn, missingCells, type Span } from '../../src/grid/gaps.ts'
import { cellsBetween, next, type Grid } from '../../src/grid/grid.ts'
import { parseInterval } from '../../src/grid/interval.ts'
import { shown, utc } from './support.ts'

const span = (from: number | null, to: number | null): Span => ({
  from: from === null ? null : BigInt(from),
  to: to === null ? null : BigInt(to),
})

const written = (cells: readonly Span[]) => cells.map(({ from, to }) => `${from}–${to}`).join(' ')

test.each<[string, Span[], bigint | null]>([
  ['nothing there', [], 10n],
  ['what begins later', [span(11, 20)], 10n],
  ['what ends here', [span(0, 10)], 10n],
  ['those that touch, in any order, up to a hole', [span(20, 30), span(null, 20), span(31, 40)], 30n],
  ['the longest of two', [span(0, 30), span(0, 20)], 30n],
  ['without an end', [span(0, 20), span(20, null)], null],
])('coveredUntil from 10: %s', (_, spans, until) => {
  expect(coveredUntil(spans, 10n)).toBe(until)
})

describe('gapsIn 0–100', () => {
  test.each<[string, Span[], string]>([
    ['nothing there', [], '0–100'],
    ['all of it covered', [span(0, 100)], ''],
    ['more than it covered', [span(-10, 110)], ''],
    ['everything covered', [span(null, null)], ''],
    ['a start covered', [span(null, 30)], '30–100'],
    ['an end covered', [span(70, null)], '0–70'],
    ['both ends covered', [span(70, null), span(null, 30)], '30–70'],
    ['a middle covered', [span(30, 70)], '0–30 70–100'],
    ['two that touch', [span(30, 50), span(50, 70)], '0–30 70–100'],
    ['two that leave a hole, backwards', [span(60, 70), span(30, 50)], '0–30 50–60 70–100'],
    ['one inside another', [span(10, 90), span(20, 30)], '0–10 90–100'],
    ['spans outside', [span(-20, -10), span(110, 120)], '0–100'],
    ['spans that end and begin at the edges', [span(-20, 0), span(100, 120)], '0–100'],
    ['unbounded spans outside', [span(null, 0), span(100, null)], '0–100'],
    ['one that covers the last piece', [span(0, 99)], '99–100'],
  ])('%s', (_, spans, gaps) => {
    expect(written(gapsIn(spans, 0n, 100n))).toBe(gaps)
  })

  test('an empty range has none', () => {
    expect(gapsIn([], 5n, 5n)).toEqual([])
    expect(gapsIn([], 5n, 4n)).toEqual([])
  })
})

describe('missingCells of tens', () => {
  const tens: Grid = { kind: 'id', width: 10n }

  test.each<[string, Span[], number, number, string]>([
    ['nothing there', [], 5, 25, '0–10 10–20 20–30'],
    ['on the bounds', [], 10, 20, '10–20'],
    ['the history before', [span(null, 10)], 5, 25, '10–20 20–30'],
    ['the history ends inside a cell', [span(null, 13)], 5, 25, '13–20 20–30'],
    ['a wide one in the middle', [span(15, 38)], 0, 50, '0–10 10–15 38–40 40–50'],
    ['a small one inside a cell', [span(13, 17)], 10, 20, '10–13 17–20'],
    ['all there', [span(0, 10), span(10, 20)], 0, 20, ''],
    ['a hole', [span(0, 10), span(20, 30)], 0, 30, '10–20'],
    ['a piece before the range is not wanted', [span(5, 20)], 8, 20, ''],
    ['a piece after the range is not wanted', [span(0, 15)], 0, 12, ''],
    ['clipped beyond the range', [span(17, 30)], 10, 12, '10–17'],
    ['an empty range', [], 5, 5, ''],
  ])('%s', (_, spans, from, to, missing) => {
    expect(written(missingCells(tens, 'id', spans, BigInt(from), BigInt(to)))).toBe(missing)
  })

  test('months around a partition of other bounds', () => {
    const monthly: Grid = { kind: 'time', every: parseInterval('month'), timezone: 'Europe/Berlin' }
    const odd = { from: utc('2026-12-10'), to: utc('2027-01-31 23:00:00') }
    const missing = missingCells(monthly, 'timestamptz', [odd], utc('2026-12-01'), utc('2027-02-10'))
    expect(missing.map(({ from, to }) => [shown(from), shown(to)])).toEqual([
      ['2026-11-30 23:00:00', '2026-12-10 00:00:00'],
      ['2027-01-31 23:00:00', '2027-02-28 23:00:00'],
    ])
  })
})

describe('on any spans', () => {
  const small = fc.bigInt({ min: -100n, max: 200n })
  const end = fc.option(small)
  const spans = fc.array(
    fc
      .tuple(end, end)
      .map(([a, b]): Span => (a !== null && b !== null && a > b ? { from: b, to: a } : { from: a, to: b })),
    { maxLength: 8 },
  )
  const grids = fc.bigInt({ min: 1n, max: 40n }).map((width): Grid => ({ kind: 'id', width }))
  const holds = (span: Span, at: bigint) => (span.from ?? at) <= at && at < (span.to ?? at + 1n)

  test('each position of the range is either in a gap or in a span', () => {
    fc.assert(
      fc.property(spans, small, small, (there, from, to) => {
        const gaps = gapsIn(there, from, to)
        for (let at = from; at < to; at++) {
          const inGaps = gaps.filter((gap) => holds(gap, at)).length
          expect(inGaps).toBe(there.some((span) => holds(span, at)) ? 0 : 1)
        }
      }),
    )
  })

  test('missing cells and spans cover the range without overlaps', () => {
    fc.assert(
      fc.property(spans, grids, small, small, (there, grid, from, to) => {
        const missing = missingCells(grid, 'id', there, from, to)
        for (let at = from; at < to; at++) expect([...there, ...missing].some((span) => holds(span, at))).toBe(true)
        for (const cell of missing) {
          expect(cell.from).toBeLessThan(cell.to)
          expect(cell.to).toBeLessThanOrEqual(next(grid, 'id', cell.from))
          for (let at = cell.from; at < cell.to; at++)
            expect([...there, ...missing].filter((span) => holds(span, at))).toEqual([cell])
        }
      }),
    )
  })

  test('an untouched cell is created whole', () => {
    fc.assert(
      fc.property(grids, small, small, (grid, from, to) => {
        expect(missingCells(grid, 'id', [], from, to)).toEqual(cellsBetween(grid, 'id', from, to))
      }),
    )
  })
})
