import type { RunCourse } from '../../engine/overview/overview.ts'
import type { PaceInterval } from '../../journal/pace-intervals.ts'
import type { Pieces } from '../../journal/run-figures.ts'
import { joined } from '../../pacing/history.ts'
import { showElapsed } from '../../text/elapsed.ts'
import { plural, showBytes } from '../../text/units.ts'
import { bytes, count, dateOf, elapsed, instant, showSecond } from './figures.ts'
import { html, type Content, type Html } from './html.ts'
import { percent, Scale } from './scale.ts'
import { folded } from './table.ts'

/** Bars in a chart. */
const MOST_BARS = 60
const HEIGHT = 64

/** A bar, or one inside another. */
interface Bar {
  readonly from: bigint
  readonly to: bigint
  readonly value: number
  readonly inner?: number
  readonly words: string
}

/** Batches, pauses, lag and waits of a run over time, as far as each is known; one axis for all. */
export function runCharts(course: RunCourse, id: string): Html | null {
  const pieces = course.pieces
  const pace = fewer(course.pace)
  const ends = [
    ...pieces.flatMap(({ from, to }) => [micros(from), micros(to)]),
    ...pace.flatMap(({ from, to }) => [from, to]),
  ]
  if (ends.length === 0) return null
  const scale = new Scale(
    ends.reduce((a, b) => (a < b ? a : b)),
    ends.reduce((a, b) => (a > b ? a : b)),
  )
  return html`<div class="charts">
      ${pieceChart(pieces, scale, id)}${pauseChart(pace, scale, id)}${lagChart(pace, scale, id)}${waitChart(pace, scale, id)}
    </div>
    ${pieces.length === 0 ? null : pieceTable(pieces)}${pace.length === 0 ? null : paceTable(pace)}`
}

function fewer(intervals: readonly PaceInterval[]): readonly PaceInterval[] {
  return intervals.length > MOST_BARS ? fewer(joined(intervals)) : intervals
}

const NOUNS = { batch: 'batch', chunk: 'chunk', range: 'compared range' } as const
const PLURALS = { batch: 'batches', chunk: 'chunks', range: 'compared ranges' } as const

function namesOf(pieces: readonly Pieces[]): string {
  return [...new Set(pieces.map(({ kind }) => PLURALS[kind]))].join(' and ')
}

function pieceChart(pieces: readonly Pieces[], scale: Scale, id: string): Html | null {
  if (pieces.length === 0) return null
  const bars = pieces.map((one): Bar => ({
    ...{ from: micros(one.from), to: micros(one.to), value: one.slowestMs, inner: one.medianMs },
    words: `${one.count} ${one.count === 1 ? NOUNS[one.kind] : PLURALS[one.kind]}: slowest ${showElapsed(one.slowestMs)}, median ${showElapsed(one.medianMs)}`,
  }))
  const slowest = Math.max(...pieces.map(({ slowestMs }) => slowestMs))
  return chart(
    id,
    'latency',
    'Latency',
    `of ${namesOf(pieces)}: slowest ${showElapsed(slowest)} (outline), median (filled)`,
    bars,
    slowest,
    scale,
  )
}

function pauseChart(pace: readonly PaceInterval[], scale: Scale, id: string): Html | null {
  if (pace.length === 0) return null
  const paused = (one: PaceInterval) => Object.values(one.pausedMs).reduce((sum, ms) => sum + ms, 0)
  const total = pace.reduce((sum, one) => sum + paused(one), 0)
  if (total === 0) return words('Pauses', 'none recorded')
  const bars = pace.map((one): Bar => {
    const share = Math.min(1, paused(one) / Math.max(1, Number(one.to - one.from) / 1000))
    return {
      from: one.from,
      to: one.to,
      value: share,
      words: `paused for ${showElapsed(paused(one))}: ${reasonsOf([one])}`,
    }
  })
  return chart(
    id,
    'paused',
    'Pauses',
    `${showElapsed(total)} in all (${reasonsOf(pace)}); height: share of the time, up to 100 %`,
    bars,
    1,
    scale,
  )
}

/** `replica lag 11 s, other runs 1.0 s`. */
export function reasonsOf(pace: readonly Pick<PaceInterval, 'pausedMs'>[]): string {
  const totals = new Map<string, number>()
  for (const { pausedMs } of pace)
    for (const [reason, ms] of Object.entries(pausedMs)) totals.set(reason, (totals.get(reason) ?? 0) + ms)
  return [...totals]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, ms]) => `${reason} ${showElapsed(ms)}`)
    .join(', ')
}

function lagChart(pace: readonly PaceInterval[], scale: Scale, id: string): Html | null {
  const known = pace.filter(({ lagBytes }) => lagBytes !== null)
  if (pace.length === 0) return null
  if (known.length === 0) return words('Replica lag', 'no replica seen')
  const most = Math.max(...known.map(({ lagBytes }) => lagBytes ?? 0))
  const bars = known.map(({ from, to, lagBytes }): Bar => ({
    from,
    to,
    value: lagBytes ?? 0,
    words: `at most ${showBytes(lagBytes ?? 0)}`,
  }))
  return chart(
    id,
    'lag',
    'Replica lag',
    `of the replica that was furthest behind, at most ${showBytes(most)}`,
    bars,
    most,
    scale,
  )
}

function waitChart(pace: readonly PaceInterval[], scale: Scale, id: string): Html | null {
  if (pace.length === 0) return null
  const known = pace.filter(({ waits }) => waits !== null)
  if (known.length === 0) return words('Waits for its locks', 'this role could not see any')
  const waits = known.reduce((sum, one) => sum + (one.waits ?? 0), 0)
  const most = Math.max(...known.map(({ longestWaitMs }) => longestWaitMs ?? 0))
  if (waits === 0) return words('Waits for its locks', 'none seen')
  const bars = known.map((one): Bar => {
    const longest = one.longestWaitMs ?? 0
    return {
      from: one.from,
      to: one.to,
      value: longest,
      words: `${plural(one.waits ?? 0, 'wait')} began, the longest lasted ${showElapsed(longest)}`,
    }
  })
  return chart(
    id,
    'waits',
    'Waits for its locks',
    `${plural(waits, 'wait')} of other sessions seen, the longest ${showElapsed(most)}`,
    bars,
    most,
    scale,
  )
}

/** Where there is nothing to draw. */
function words(title: string, text: string): Html {
  return html`<figure class="lane">
    <figcaption><strong>${title}:</strong> ${text}</figcaption>
  </figure>`
}

function chart(
  id: string,
  kind: string,
  title: string,
  text: string,
  bars: readonly Bar[],
  most: number,
  scale: Scale,
): Html {
  const name = `${id}-${kind}`
  const [from, to] = [showSecond(dateOf(scale.from)), showSecond(dateOf(scale.to))]
  return html`<figure class="lane">
    <figcaption><strong>${title}</strong> ${text}</figcaption>
    <svg width="100%" height="${HEIGHT + 18}" role="img" aria-labelledby="${name}">
      <title id="${name}">${title} ${text}, from ${from} to ${to}</title>
      ${bars.map((bar) => drawn(bar, kind, most, scale))}
      <line class="base" x1="0" x2="100%" y1="${HEIGHT}" y2="${HEIGHT}" />
      <text class="tick" x="0" y="${HEIGHT + 14}">${from}</text>
      <text class="tick" x="100%" y="${HEIGHT + 14}" text-anchor="end">${from === to ? null : to}</text>
    </svg>
  </figure>`
}

function drawn({ from, to, value, inner, words }: Bar, kind: string, most: number, scale: Scale): Html | null {
  if (value === 0) return null
  const left = Math.min(scale.at(from), 99.2)
  const across = html`x="${percent(left)}" width="${percent(Math.max(0.8, scale.at(to) - left))}"`
  const height = (of: number) => Number(Math.max(2, (of / Math.max(most, Number.MIN_VALUE)) * (HEIGHT - 4)).toFixed(1))
  const rect = (name: string, of: number) =>
    html`<rect class="${name}" ${across} y="${Number((HEIGHT - height(of)).toFixed(1))}" height="${height(of)}" />`
  return html`<g><title>${words}</title>${rect(kind, value)}${inner === undefined ? null : rect('median', inner)}</g>`
}

function pieceTable(pieces: readonly Pieces[]): Html {
  return folded(
    `The ${namesOf(pieces)} as a table`,
    [
      ...[{ title: 'From' }, { title: 'To' }, { title: 'Kind' }, { title: 'Number', figure: true }],
      ...[
        { title: 'Rows', figure: true },
        { title: 'Median', figure: true },
        { title: 'Slowest', figure: true },
      ],
    ],
    pieces.map(({ from, to, kind, count: number, rows, medianMs, slowestMs }): Content[] => [
      ...[instant(from), instant(to), PLURALS[kind], count(number), count(rows), elapsed(medianMs), elapsed(slowestMs)],
    ]),
  )
}

function paceTable(pace: readonly PaceInterval[]): Html {
  return folded(
    'Pauses, lag and waits as a table',
    [
      ...[{ title: 'From' }, { title: 'To' }, { title: 'Turns', figure: true }],
      ...[
        { title: 'Replica lag', figure: true },
        { title: 'Waits', figure: true },
        { title: 'Longest wait', figure: true },
        { title: 'Paused' },
      ],
    ],
    pace.map((one): Content[] => [
      ...[instant(dateOf(one.from)), instant(dateOf(one.to)), count(one.turns)],
      ...[bytes(one.lagBytes), count(one.waits), elapsed(one.longestWaitMs)],
      reasonsOf([one]) === '' ? 'none' : reasonsOf([one]),
    ]),
  )
}

function micros(at: Date): bigint {
  return BigInt(at.getTime()) * 1000n
}
