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
  readonly milliseconds: number
  readonly perRow: number
}

/** A batch that is done. */
export interface Batch {
  /** Rows found; fewer than requested at the end of the work. */
  readonly rows: number
  readonly milliseconds: number
}

export interface BatchBounds {
  readonly targetMs: number
  readonly leastRows: number
  readonly mostRows: number
}

const FIRST_ROWS = 100

/** Larger steps could overshoot. */
const GROWTH = 1.5
/** A batch that found fewer rows than this share of its size says nothing about larger ones. */
const FULL = 0.8
/** The number of previous batches considered, and the minimum to judge by. */
const PEERS = 9
const ENOUGH_PEERS = 5
/** How many times as slow as the previous ones counts as slow. */
const JUMP = 3
const GOOD_BATCHES = 3
const MOST_SLOWNESS = 16

export function startingPace({ leastRows, mostRows }: BatchBounds): BatchPace {
  return { rows: between(leastRows, FIRST_ROWS, mostRows), slowness: 1, good: 0, peers: [] }
}

/**
 * The size follows the target time: it grows slowly and shrinks at once. A batch several times slower than the
 * previous ones halves the pace; a few good ones in a row double it again. `asked` is the size requested for the
 * batch.
 */
export function afterBatch(pace: BatchPace, asked: number, batch: Batch, bounds: BatchBounds): BatchPace {
  const peer = { milliseconds: batch.milliseconds, perRow: batch.milliseconds / Math.max(asked, 1) }
  const jumped = isJump(peer, pace.peers, bounds.targetMs)
  const good = jumped ? 0 : pace.good + 1
  const recovers = good >= GOOD_BATCHES && pace.slowness > 1
  return {
    rows: between(bounds.leastRows, nextRows(asked, batch, bounds.targetMs), bounds.mostRows),
    slowness: jumped ? Math.min(pace.slowness * 2, MOST_SLOWNESS) : recovers ? pace.slowness / 2 : pace.slowness,
    good: recovers ? 0 : good,
    peers: [...pace.peers, peer].slice(-PEERS),
  }
}

function nextRows(asked: number, { rows, milliseconds }: Batch, targetMs: number): number {
  const factor = targetMs / Math.max(milliseconds, 0.01)
  if (factor < 1) return Math.floor(asked * factor)
  return rows < asked * FULL ? asked : Math.ceil(asked * Math.min(factor, GROWTH))
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
