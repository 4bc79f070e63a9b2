// How much a run may write while others are at work. Their commits wait until the disk has taken all WAL before theirs,
// so what a run has written and the disk has not is what everybody waits for. A run whose own commits wait for the disk
// cannot get far ahead of it, and sees by them what the disk can do. Pure: a state and a piece of work in, the next
// state out.

/** What the latest pieces have told. */
export interface DiskPace {
  /** Rows of the next piece, or in whatever its size is counted; its least size may be more. */
  readonly most: number
  /** Rows per millisecond that are written at most, pauses included; Infinity until a commit had to wait for the disk. */
  readonly perMs: number
  /** Rows per millisecond that were written when a commit had to wait last. */
  readonly tooMuch: number
  /** Of the latest piece. */
  readonly commitMs: number
  /** The quickest commit of the run. */
  readonly quickestMs: number
  /** The latest pieces. */
  readonly latest: readonly { readonly from: number; readonly rows: number }[]
}

/** A piece of work that has been committed. */
export interface Committed {
  readonly rows: number
  /** When it ended, in milliseconds of any clock, and how long it took. */
  readonly at: number
  readonly milliseconds: number
  /** Of that, what the commit took. */
  readonly commitMs: number
}

/** A commit that takes no longer is not felt. */
const QUICK_MS = 20
/** Where every commit takes long, however little it writes, one is slow from this many times the quickest on. */
const SLOW_TIMES = 3
/** Pieces by which it is known how much is written in a millisecond. */
const LATEST = 16
const ENOUGH = 4
/** Of what was written when the disk had too much to do. */
const LESS = 0.7
/** By which it becomes more again with each piece: slowly, for each time that it is too much is felt. */
const MORE = 1.01
/** Where so many times what was too much no longer is, the disk was slow for another reason, and it becomes more sooner. */
const REFUTED = 1.5
const MUCH_MORE = 1.05
/** How much is written at once where the disk is slow. */
const PIECE_MS = 20
/** By which a piece may be larger than the last one, where that was as long, and where it was shorter. */
const GROWTH = 1.15
const FIRST_GROWTH = 1.5

/** Before the first commit. */
export const UNKNOWN_DISK: DiskPace = {
  most: Infinity,
  perMs: Infinity,
  tooMuch: Infinity,
  commitMs: 0,
  quickestMs: Infinity,
  latest: [],
}

/** After a commit that waited for the disk. */
export function afterCommit(before: DiskPace, { rows, at, milliseconds, commitMs }: Committed): DiskPace {
  const latest = [...before.latest, { from: at - milliseconds, rows }].slice(-LATEST)
  const quickestMs = Math.min(before.quickestMs, commitMs)
  const quickMs = Math.max(QUICK_MS, SLOW_TIMES * quickestMs)
  // A large piece is committed slowly by a fast disk, too.
  const isTooMuch = commitMs > quickMs && commitMs > milliseconds / 2 && latest.length >= ENOUGH
  const tooMuch = isTooMuch ? rateOf(latest, at) : before.tooMuch
  const perMs = isTooMuch ? LESS * tooMuch : before.perMs * (commitMs > quickMs ? 1 : moreOf(before))
  const growth = Math.min(milliseconds < PIECE_MS ? FIRST_GROWTH : GROWTH, quickMs / Math.max(commitMs, 0.01))
  const most = Math.min(rows * growth, perMs * PIECE_MS)
  return { most: Math.max(1, Math.ceil(most)), perMs, tooMuch, commitMs, quickestMs, latest: isTooMuch ? [] : latest }
}

function moreOf({ perMs, tooMuch }: DiskPace): number {
  return perMs < REFUTED * tooMuch ? MORE : MUCH_MORE
}

function rateOf(pieces: DiskPace['latest'], at: number): number {
  const [first] = pieces
  const rows = pieces.reduce((sum, piece) => sum + piece.rows, 0)
  return first === undefined ? Infinity : rows / Math.max(at - first.from, 1)
}

/** It may be slow for another reason: a run gets on all the same. */
const MOST_PAUSE_TIMES = 3

/** How long to pause after a piece, in milliseconds. */
export function pauseForDisk({ perMs }: DiskPace, rows: number, milliseconds: number): number {
  return Math.min(Math.max(0, rows / perMs - milliseconds), MOST_PAUSE_TIMES * milliseconds)
}
