/** Long enough to average batches and pauses, short enough that consumers do not fill up meanwhile. */
const WINDOW_MICROS = 10_000_000n

/** The WAL position (bytes) at an instant (microseconds since the epoch). */
export interface WalMark {
  readonly at: bigint
  readonly walPosition: number | null
}

/** The recent WAL rate. */
export interface WalLately {
  readonly bytes: number
  /** Greater than 0. */
  readonly seconds: number
}

/**
 * The WAL of the last ten seconds, or since the start. A rate between adjacent readings would be reset by every short
 * pause, and let any number of bursts pass.
 */
export class WalWindow {
  private readonly marks: { at: bigint; position: number }[] = []

  add({ at, walPosition: position }: WalMark): void {
    if (position === null || at <= (this.marks.at(-1)?.at ?? -1n)) return
    this.marks.push({ at, position })
    // The first one is at the edge of the window or before it.
    while (this.marks[1] !== undefined && this.marks[1].at <= at - WINDOW_MICROS) this.marks.shift()
  }

  /** Null with fewer than two marks. */
  lately(): WalLately | null {
    const [first, last] = [this.marks[0], this.marks.at(-1)]
    if (first === undefined || last === undefined || first === last) return null
    return { bytes: last.position - first.position, seconds: Number(last.at - first.at) / 1e6 }
  }
}
