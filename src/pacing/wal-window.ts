/** Long enough for batches and pauses to even out, short enough for nobody downstream to fill up meanwhile. */
const WINDOW_MICROS = 10_000_000n

/** The end of the WAL (bytes from its beginning) at an instant (microseconds since the epoch). */
export interface WalMark {
  readonly at: bigint
  readonly walPosition: number | null
}

/** What was written lately. */
export interface WalLately {
  readonly bytes: number
  /** Never 0. */
  readonly seconds: number
}

/**
 * The WAL of the last ten seconds, from the beginning while there have been
 * fewer. Between neighbouring readings a rate would be forgotten with the next
 * short rest, and any number of bursts would pass.
 */
export class WalWindow {
  private readonly marks: { at: bigint; position: number }[] = []

  add({ at, walPosition: position }: WalMark): void {
    if (position === null || at <= (this.marks.at(-1)?.at ?? -1n)) return
    this.marks.push({ at, position })
    // The first one stands at the window's edge or before it.
    while (this.marks[1] !== undefined && this.marks[1].at <= at - WINDOW_MICROS) this.marks.shift()
  }

  /** Null while there are not two marks. */
  lately(): WalLately | null {
    const [first, last] = [this.marks[0], this.marks.at(-1)]
    if (first === undefined || last === undefined || first === last) return null
    return { bytes: last.position - first.position, seconds: Number(last.at - first.at) / 1e6 }
  }
}
