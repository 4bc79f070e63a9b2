// The size of the next batch, and the share of time left idle because batches have become slow. Pure: a state and a
// batch in, the next state out.

/** The current batch size. */
export interface BatchPace {
  /** Rows of the next batch. */
  readonly rows: number
  /** 1 is full speed; at 4, three quarters of the time are idle. */
  readonly slowness: number
  /** Good batches in a row. */
  readonly good: number
  /** The previous batches, latest last. */
  readonly peers: readonly Peer[]
}

interface Peer {
  readonly rows: number
  readonly milliseconds: number
  readonly perRow: number
}

/** A batch that is done. */
export interface Batch {
  /** Rows found; fewer than requested at the end of the work. */
  readonly rows: number
  readonly milliseconds: number
  /** Of that, how long the commit took; undefined where it did not wait for the disk. */
  readonly commitMs?: number | undefined
}

export interface BatchBounds {
  readonly targetMs: number
  readonly leastRows: number
  readonly mostRows: number
}

/** Of a run; as few hardly delay anybody on a slow disk. */
export const FIRST_ROWS = 100
const LEAST_MS = 0.01

/** Near its target. Larger steps could overshoot. */
const GROWTH = 1.5
/** Far below it. */
const MOST_GROWTH = 4
/** A batch that found fewer rows than this share of its size says nothing about larger ones. */
const FULL = 0.8
/** The number of previous batches considered, and the minimum to judge by. */
const PEERS = 9
const ENOUGH_PEERS = 5
/** How many times as slow as the previous ones counts as slow. */
const JUMP = 3
const GOOD_BATCHES = 3
/** By which two sizes differ enough for their times to show what a row costs. */
const UNLIKE = 1.4
const MOST_SLOWNESS = 16

export function startingPace({ leastRows, mostRows }: BatchBounds): BatchPace {
  return { rows: between(leastRows, FIRST_ROWS, mostRows), slowness: 1, good: 0, peers: [] }
}

/**
 * The size follows the target time: it grows step by step and shrinks at once. A batch several times slower than the
 * previous ones halves the pace; a few good ones in a row double it again. `asked` is the size requested for the
 * batch.
 */
export function afterBatch(pace: BatchPace, asked: number, batch: Batch, bounds: BatchBounds): BatchPace {
  const peer = { rows: asked, milliseconds: batch.milliseconds, perRow: batch.milliseconds / Math.max(asked, 1) }
  const jumped = isJump(peer, pace.peers, bounds.targetMs)
  const good = jumped ? 0 : pace.good + 1
  const recovers = good >= GOOD_BATCHES && pace.slowness > 1
  const cost = costOf([...pace.peers, peer])
  return {
    rows: between(bounds.leastRows, nextRows(asked, batch, cost, bounds.targetMs), bounds.mostRows),
    slowness: jumped ? Math.min(pace.slowness * 2, MOST_SLOWNESS) : recovers ? pace.slowness / 2 : pace.slowness,
    good: recovers ? 0 : good,
    peers: [...pace.peers, peer].slice(-PEERS),
  }
}

/**
 * What every batch costs, however few rows it has, is not saved by smaller ones: a commit on a slow disk, round trips,
 * a busy processor. Where that is most of the target, the rows get half the target in addition, or a fifth of the batch.
 */
function nextRows(asked: number, { rows, milliseconds }: Batch, cost: Cost | null, targetMs: number): number {
  const factor =
    cost !== null && cost.fixed > targetMs / 2
      ? timeForRows(cost.fixed, targetMs) / Math.max(cost.perRow * asked, LEAST_MS)
      : targetMs / Math.max(milliseconds, LEAST_MS)
  if (factor < 1) return Math.floor(asked * factor)
  return rows < asked * FULL ? asked : Math.ceil(asked * Math.min(factor, growthTowards(factor)))
}

/** Half of the way at most, by which a row may cost more in a larger batch. */
function growthTowards(factor: number): number {
  return between(GROWTH, Math.sqrt(factor), MOST_GROWTH)
}

function timeForRows(fixed: number, targetMs: number): number {
  return Math.max(targetMs - fixed, targetMs / 2, fixed / 4)
}

/** Of a batch, in milliseconds. */
interface Cost {
  readonly fixed: number
  readonly perRow: number
}

/** The line through the previous batches (Theil and Sen); null where their sizes are too much alike to tell. */
function costOf(peers: readonly Peer[]): Cost | null {
  const slopes = peers.flatMap((one, position) =>
    peers
      .slice(position + 1)
      .filter(({ rows }) => Math.max(rows, one.rows) >= UNLIKE * Math.min(rows, one.rows))
      .map((other) => (other.milliseconds - one.milliseconds) / (other.rows - one.rows)),
  )
  if (slopes.length < ENOUGH_PEERS) return null
  const perRow = Math.max(median(slopes), 0)
  return { perRow, fixed: median(peers.map(({ rows, milliseconds }) => milliseconds - perRow * rows)) }
}

// Both in total and per row: a larger batch takes longer, and a small one takes more per row.
function isJump(batch: Peer, peers: readonly Peer[], targetMs: number): boolean {
  if (peers.length < ENOUGH_PEERS || batch.milliseconds < targetMs) return false
  return (
    batch.milliseconds > JUMP * median(peers.map(({ milliseconds }) => milliseconds)) &&
    batch.perRow > JUMP * median(peers.map(({ perRow }) => perRow))
  )
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Infinity
}

function between(least: number, value: number, most: number): number {
  return Math.max(least, Math.min(value, most))
}
