import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { afterBatch, startingPace, type BatchPace } from '../../src/pacing/batch-size.ts'
import { pausesAfter } from '../../src/pacing/pauses.ts'

const BOUNDS = { targetMs: 50, leastRows: 1, mostRows: 100_000 }

/** Batch after batch, each taking `milliseconds(rows, position)`. */
function run(pace: BatchPace, batches: number, milliseconds: (rows: number, position: number) => number): BatchPace[] {
  const states: BatchPace[] = []
  for (let position = 0; position < batches; position++) {
    pace = afterBatch(pace, pace.rows, { rows: pace.rows, milliseconds: milliseconds(pace.rows, position) }, BOUNDS)
    states.push(pace)
  }
  return states
}

/** The state in which a steady run has settled. */
const settled = () => run(startingPace(BOUNDS), 40, (rows) => rows / 20).at(-1)!

describe('the batch size', () => {
  test('grows gradually towards the target time', () => {
    const sizes = run(startingPace(BOUNDS), 12, (rows) => rows / 20).map(({ rows }) => rows)
    expect(sizes.slice(0, 6)).toEqual([317, 564, 846, 1001, 1000, 1000])
    expect(sizes.at(-1)).toBe(1000)
  })

  test('grows in larger steps far below it, which does not overshoot where rows cost more in larger batches', () => {
    const sizes = run(startingPace(BOUNDS), 12, (rows) => rows / 2000).map(({ rows }) => rows)
    expect(sizes.slice(0, 6)).toEqual([400, 1600, 6400, 25_299, 50_299, 75_449])
    const costlier = run(startingPace(BOUNDS), 20, (rows) => (rows / 1000) ** 2)
    expect(costlier.every(({ rows }) => (rows / 1000) ** 2 < 1.3 * BOUNDS.targetMs)).toBe(true)
  })

  test('shrinks at once', () => {
    expect(afterBatch(settled(), 1000, { rows: 1000, milliseconds: 500 }, BOUNDS).rows).toBe(100)
  })

  test('does not grow after batches that found few rows', () => {
    expect(afterBatch(settled(), 1000, { rows: 3, milliseconds: 1 }, BOUNDS).rows).toBe(1000)
  })

  test('stays within its bounds for any durations', () => {
    const batch = fc.record({ rows: fc.nat(10_000), milliseconds: fc.double({ min: 0, max: 1e6, noNaN: true }) })
    const bounds = { targetMs: 50, leastRows: 10, mostRows: 5_000 }
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 60 }), (batches) => {
        let pace = startingPace(bounds)
        for (const done of batches) {
          const next = afterBatch(pace, pace.rows, done, bounds)
          expect(Number.isInteger(next.rows)).toBe(true)
          expect(next.rows).toBeGreaterThanOrEqual(bounds.leastRows)
          expect(next.rows).toBeLessThanOrEqual(Math.min(bounds.mostRows, Math.ceil(pace.rows * 4)))
          expect(next.slowness).toBeGreaterThanOrEqual(1)
          expect(next.slowness).toBeLessThanOrEqual(16)
          pace = next
        }
      }),
    )
  })

  test('is not reduced by what a batch costs without its rows: single rows would take as long, each', () => {
    // Between a few rows and many the noise of a busy machine is larger than the cost of a row.
    const noise = [1, 1.8, 0.7, 1.1, 0.5, 2.4, 0.9, 1.3, 0.6, 1]
    const costs = (fixed: number) => (rows: number, position: number) =>
      fixed * (noise[position % noise.length] ?? 1) + rows / 20
    for (const fixed of [60, 300]) {
      const sizes = run(startingPace(BOUNDS), 200, costs(fixed)).map(({ rows }) => rows)
      const average = sizes.reduce((sum, rows) => sum + rows) / sizes.length
      expect(average).toBeGreaterThan(150)
      // The rows take their part of the time, and no more.
      expect(average / 20).toBeLessThan(fixed + BOUNDS.targetMs)
    }
  })

  test('is a single row where each takes long', () => {
    const sizes = run(startingPace(BOUNDS), 60, (rows, position) => 2 + rows * (90 + (position % 3) * 20)).map(
      ({ rows }) => rows,
    )
    expect(sizes.slice(5).every((rows) => rows <= 2)).toBe(true)
  })

  test('settles within a fifth of the target time for any cost per row', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 2, noNaN: true }),
        fc.double({ min: 0, max: 10, noNaN: true }),
        (perRow, fixed) => {
          const costs = (rows: number) => fixed + rows * perRow
          const last = run(startingPace(BOUNDS), 60, costs).at(-1)!
          expect(Math.abs(costs(last.rows) - BOUNDS.targetMs)).toBeLessThan(BOUNDS.targetMs / 5 + perRow)
          expect(last.slowness).toBe(1)
        },
      ),
    )
  })
})

describe('a sudden rise of the batch time', () => {
  test('halves the pace at once, and further while it lasts', () => {
    const jumped = run(settled(), 2, () => 400)
    expect(jumped.map(({ slowness }) => slowness)).toEqual([2, 4])
  })

  test('ends after a few good batches', () => {
    const [jumped] = run(settled(), 1, () => 400)
    expect(run(jumped!, 4, (rows) => rows / 20).map(({ slowness }) => slowness)).toEqual([2, 2, 1, 1])
  })

  test('is not seen in batches that only became larger or smaller', () => {
    expect(run(startingPace(BOUNDS), 40, (rows) => rows / 500).every(({ slowness }) => slowness === 1)).toBe(true)
    const shrinking = run(settled(), 20, (rows) => 4 + rows / (5 + rows / 100))
    expect(shrinking.every(({ slowness }) => slowness === 1)).toBe(true)
  })

  test('is not seen in a small batch as slow as the large ones', () => {
    const [jumped] = run(settled(), 1, () => 5_000)
    expect(jumped).toMatchObject({ rows: 10, slowness: 2 })
    expect(run(jumped!, 1, () => 60)).toMatchObject([{ slowness: 2, good: 1 }])
  })

  test('is not seen below the target time', () => {
    const quick = run(startingPace({ ...BOUNDS, mostRows: 100 }), 10, () => 1).at(-1)!
    expect(afterBatch(quick, 100, { rows: 100, milliseconds: 40 }, BOUNDS).slowness).toBe(1)
  })

  test('that lasts becomes the new baseline', () => {
    const changed = run(settled(), 40, (rows) => rows * 2)
    expect(changed.at(-1)!.slowness).toBe(1)
  })
})

describe('pauses after a batch', () => {
  const batch = { rows: 10, milliseconds: 100 }
  const alone = { pauseMs: 0, slowness: 1, others: 0, ease: 0, because: null, disk: null }

  test('are zero without a reason', () => {
    expect(pausesAfter(batch, alone)).toEqual([])
  })

  test('have a share and a text for each reason', () => {
    const because = { signal: 'replica lag', text: 'berlin lags' } as const
    const pauses = pausesAfter(batch, { pauseMs: 30, slowness: 4, others: 2, ease: 0.75, because, disk: null })
    expect(pauses.map(({ reason, milliseconds }) => [reason, milliseconds])).toEqual([
      ['fixed pause', 30],
      ['slow batches', 300],
      ['other runs', 200],
      ['replica lag', 300],
    ])
    expect(pauses.map(({ text }) => text).join('; ')).toContain('slower, because berlin lags')
  })

  test('do not last minutes after one slow batch', () => {
    const [pause] = pausesAfter({ rows: 10, milliseconds: 60_000 }, { ...alone, slowness: 16 })
    expect(pause!.milliseconds).toBe(10_000)
  })
})
