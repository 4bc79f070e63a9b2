import { byStart, type Span } from '../../grid/gaps.ts'
import type { Position } from '../../grid/key.ts'
import type { Hold } from '../../plan/language/hold.ts'
import { heldText, spanOfBounds } from '../../plan/language/hold.ts'
import { display } from '../../sql/names.ts'
import { plural, showBytes } from '../../text/units.ts'
import { showBound } from './figures.ts'
import { grouped, type Group } from './groups.ts'
import { html, type Html } from './html.ts'
import { legend, type Sign } from './legend.ts'
import { percent, type Place, type Scale } from './scale.ts'
import type { SeenRemoval, SeenSet } from './seen-set.ts'
import { timelineScale } from './timeline-scale.ts'

/** Bars in one chart: on a phone each is a few pixels wide. */
const MOST_BARS = 100
/** One that is so many times as large as all others is cut, or nothing would be seen of them. */
const OUTSTANDING = 4

// From top to bottom, in pixels: three lines of words, bars, what was removed, what is on hold, the ends of the axis.
const TOP = 48
const BASE = 158
const REMOVED = { top: BASE + 6, height: 10 }
const HELD = { top: BASE + 22, height: 6 }

/** The partitions of a table along its key, by size, with the horizon and how far ahead there are any. */
export function timeline(seen: SeenSet, id: string): Html | null {
  const scale = timelineScale(seen)
  if (scale === null) return null
  const groups = grouped(
    seen.partitions.filter(({ span }) => span !== null),
    MOST_BARS,
  )
  const highest = highestOf(groups)
  const bars = groups.map((group) => bar(group, seen, scale, highest))
  const held = seen.holds.length > 0
  const axis = (held ? HELD.top + HELD.height : REMOVED.top + REMOVED.height) + 14
  return html`<figure class="timeline">
    <figcaption>${captionOf(seen, groups, highest)}</figcaption>
    <svg width="100%" height="${axis + 6}" role="img" aria-labelledby="${id}-title">
      <title id="${id}-title">${titleOf(seen)}</title>
      ${bars}
      <line class="base" x1="0" x2="100%" y1="${BASE}" y2="${BASE}" />
      ${removedRuns(seen.removed).map((run) => removedMark(run, seen, scale))}
      ${seen.holds.map((hold) => holdMark(hold, seen, scale))} ${marks(seen, scale)} ${ticks(seen, scale, axis)}
    </svg>
    ${legend(signsOf(seen, groups))}
  </figure>`
}

/** How high the highest bar is, in bytes, and which is cut. */
interface Highest {
  readonly bytes: number
  readonly cut: Group | null
}

/** Of a group, the mean: groups may have different numbers of partitions. */
function meanBytes({ bytes, partitions }: Group): number {
  return bytes / partitions.length
}

function highestOf(groups: readonly Group[]): Highest {
  // What is empty yet says nothing about sizes.
  const filled = groups.filter(({ state }) => state !== 'ahead')
  const sizes = filled.map(meanBytes).toSorted((a, b) => b - a)
  const [first = 0, second = 0] = sizes
  const cut =
    second > 0 && first > second * OUTSTANDING ? filled.find((group) => meanBytes(group) === first) : undefined
  return { bytes: cut === undefined ? first : second, cut: cut ?? null }
}

function captionOf({ partitions }: SeenSet, groups: readonly Group[], { bytes, cut }: Highest): string {
  const most = Math.max(...groups.map((group) => group.partitions.length))
  const shown = partitions.filter(({ span }) => span !== null).length
  const each =
    most === 1
      ? `${plural(shown, 'partition')} by size, the highest ${showBytes(bytes)}`
      : `${plural(shown, 'partition')}, up to ${most} in a bar as high as their mean size, the highest ${showBytes(bytes)}`
  const [largest] = cut?.partitions ?? []
  if (cut === null || largest === undefined) return each
  return `${each}; the bar of ${largest.name.name} (${showBytes(meanBytes(cut))}) is cut off`
}

function titleOf({ table, partitions, set: { policy } }: SeenSet): string {
  return `${plural(partitions.length, 'partition')} of ${display(table)} along ${policy.column}; the same is in the table below`
}

function bar(group: Group, { set: { policy } }: SeenSet, scale: Scale, highest: Highest): Html | null {
  const place = group.span === null ? null : scale.place(group.span.from, group.span.to)
  if (place === null) return null
  const isCut = group === highest.cut
  const share = highest.bytes === 0 ? 0 : Math.min(1, meanBytes(group) / highest.bytes)
  const height = isCut ? BASE - TOP : Math.max(group.state === 'ahead' ? 14 : 2, share * (BASE - TOP - 12))
  const bounds = `${boundOr(group.span?.from, policy, 'the beginning')} to ${boundOr(group.span?.to, policy, 'no end')}`
  return html`<rect
      class="bar ${group.state.replace(' ', '-')}"
      ${across(place)}
      y="${round(BASE - height)}"
      height="${round(height)}"
      ><title>${nameOf(group)}: ${bounds}, ${showBytes(group.bytes)}, ${group.state}</title></rect
    >${isCut ? cutMark(place) : null}`
}

function round(pixels: number): number {
  return Number(pixels.toFixed(1))
}

/** At least so wide that it is seen. */
function across({ left, width }: Place): Html {
  return html`x="${percent(Math.min(left, 99.7))}" width="${percent(Math.max(width, 0.3))}"`
}

/** Two gaps in a bar that is higher than it can be shown. */
function cutMark({ left, width }: Place): Html {
  return html`${[TOP + 10, TOP + 16].map((y) => html`<line class="cut" x1="${percent(left)}" x2="${percent(left + width)}" y1="${y + 3}" y2="${y}" />`)}`
}

/** `events_2026_01`, `events_2026_01 to events_2026_12 (12 partitions)`. */
export function nameOf({ partitions }: Group): string {
  const [first, last] = [partitions[0]?.name.name ?? '', partitions.at(-1)?.name.name ?? '']
  return partitions.length === 1 ? first : `${first} to ${last} (${plural(partitions.length, 'partition')})`
}

type Zone = Pick<SeenSet['set']['policy'], 'kind' | 'timezone'>

function boundOr(end: Position | null | undefined, { kind, timezone }: Zone, none: string): string {
  return end === null || end === undefined ? none : showBound(end, kind, timezone)
}

function removedMark(run: RemovedRun, { set }: SeenSet, scale: Scale): Html | null {
  const { removals, from, to, isArchived } = run
  const place = scale.place(from, to)
  if (place === null) return null
  const bounds = `${boundOr(from, set.policy, 'the beginning')} to ${boundOr(to, set.policy, 'no end')}`
  const what = `${plural(removals, 'partition')}: ${bounds}, ${isArchived ? 'archived and removed' : 'removed'}`
  return html`<rect
    class="${isArchived ? 'archived' : 'removed'}"
    ${across(place)}
    y="${REMOVED.top}"
    height="${REMOVED.height}"
    ><title>${what}</title></rect
  >`
}

/** Removed partitions that lay one beside the other. */
interface RemovedRun extends Span {
  readonly removals: number
  readonly isArchived: boolean
}

function removedRuns(removed: readonly SeenRemoval[]): RemovedRun[] {
  const placed = removed.flatMap(({ span, archivedRows }) =>
    span === null ? [] : [{ ...span, isArchived: archivedRows !== null }],
  )
  const runs: RemovedRun[] = []
  for (const one of placed.toSorted(byStart)) {
    const last = runs.at(-1)
    if (last !== undefined && last.to === one.from && last.isArchived === one.isArchived)
      runs[runs.length - 1] = { ...last, to: one.to, removals: last.removals + 1 }
    else runs.push({ ...one, removals: 1 })
  }
  return runs
}

function holdMark(hold: Hold, { set: { policy } }: SeenSet, scale: Scale): Html | null {
  const span = hold.bounds === null ? null : spanOfBounds(policy.kind, hold.bounds)
  const place = scale.place(span?.from ?? null, span?.to ?? null)
  if (place === null) return null
  return html`<rect class="held" ${across(place)} y="${HELD.top}" height="${HELD.height}"
    ><title>on hold ${heldText(hold)}</title></rect
  >`
}

/** Each with words on a line of its own, so that they never meet; above the lines of the others. */
function marks(seen: SeenSet, scale: Scale): Html {
  const { horizon, now, runway, set } = seen
  const { kind, timezone } = set.policy
  const all: Mark[] = [
    ...(horizon !== null && horizon.kind === kind
      ? [
          {
            name: 'horizon',
            words: `horizon ${showBound(horizon.position, kind, timezone)}`,
            at: horizon.position,
            y: 12,
          },
        ]
      : []),
    ...(now === null ? [] : [{ name: 'now', words: 'now', at: now, y: 26 }]),
    ...(typeof runway === 'bigint'
      ? [{ name: 'runway', words: `partitions until ${showBound(runway, kind, timezone)}`, at: runway, y: 40 }]
      : []),
  ]
  return html`${all.map((one) => markLine(one, scale))}${all.map((one) => markWords(one, scale))}`
}

interface Mark {
  readonly name: string
  readonly words: string
  readonly at: Position
  readonly y: number
}

function markLine({ name, at, y }: Mark, scale: Scale): Html {
  const x = percent(scale.at(at))
  return html`<line class="mark ${name}" x1="${x}" x2="${x}" y1="${y - 9}" y2="${BASE}" />`
}

function markWords({ name, words, at, y }: Mark, scale: Scale): Html {
  const x = scale.at(at)
  const isRight = x > 50
  return html`<text
    class="mark ${name}"
    x="${percent(x)}"
    dx="${isRight ? -4 : 4}"
    y="${y}"
    text-anchor="${isRight ? 'end' : 'start'}"
    >${words}</text
  >`
}

function ticks({ set }: SeenSet, { from, to }: Scale, y: number): Html[] {
  const { kind, timezone } = set.policy
  return [0, 25, 50, 75, 100].map((at) => {
    const position = from + ((to - from) * BigInt(at)) / 100n
    const anchor = at === 0 ? 'start' : at === 100 ? 'end' : 'middle'
    const shown = showBound(position, kind, timezone)
    const words = to - from > TWO_DAYS && kind !== 'id' ? shown.slice(0, 'YYYY-MM-DD'.length) : shown
    return html`<text class="tick${at % 100 === 0 ? '' : ' wide'}" x="${at}%" y="${y}" text-anchor="${anchor}"
      >${words}</text
    >`
  })
}

const TWO_DAYS = 172_800_000_000n

function signsOf({ removed, holds }: SeenSet, groups: readonly Group[]): Sign[] {
  const states = new Set(groups.map(({ state }) => state))
  return [
    ...(['history', 'kept', 'current', 'ahead', 'expired', 'on hold', 'half detached'] as const).filter((state) =>
      states.has(state),
    ),
    ...(removed.some(({ archivedRows }) => archivedRows !== null) ? (['archived'] as const) : []),
    ...(removed.some(({ archivedRows }) => archivedRows === null) ? (['removed'] as const) : []),
    ...(holds.length > 0 ? (['held'] as const) : []),
  ]
}
