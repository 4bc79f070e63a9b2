import type { Position } from '../../grid/key.ts'
import { Scale } from './scale.ts'
import type { SeenSet } from './seen-set.ts'

/** Of the width: for what has no end, so that it is seen to go on. */
const ENDLESS = 12n
/** What has been removed takes at most as much room as what is there, divided by this. */
const REMOVED_SHARE = 2n

/** The part of a table's key that is shown; null where there is nothing to show. */
export function timelineScale({ partitions, removed, horizon, now, set }: SeenSet): Scale | null {
  const spans = partitions.flatMap(({ span }) => (span === null ? [] : [span]))
  const isOnKey = horizon !== null && horizon.kind === set.policy.kind
  const there = [...ends(spans), ...(now === null ? [] : [now]), ...(isOnKey ? [horizon.position] : [])]
  if (there.length === 0) return null
  let [from, to] = [least(there), greatest(there)]
  const earliest = least([from, ...ends(removed.flatMap(({ span }) => (span === null ? [] : [span])))])
  const farthest = from - (to - from) / REMOVED_SHARE
  from = earliest > farthest ? earliest : farthest
  const margin = (to - from) / ENDLESS
  if (spans.some((span) => span.from === null)) from -= margin
  if (spans.some((span) => span.to === null)) to += margin
  return new Scale(from, to)
}

function ends(spans: readonly { readonly from: Position | null; readonly to: Position | null }[]): Position[] {
  return spans.flatMap(({ from, to }) => [from, to]).filter((end) => end !== null)
}

function least(positions: readonly Position[]): Position {
  return positions.reduce((a, b) => (a < b ? a : b))
}

function greatest(positions: readonly Position[]): Position {
  return positions.reduce((a, b) => (a > b ? a : b))
}
