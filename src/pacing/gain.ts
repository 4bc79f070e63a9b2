/** Pieces that tell how fast a job is by itself, and beside another. */
const ENOUGH = 2
/** Two jobs have to do this much more in the same time than one. */
const LEAST_GAIN = 1.15

/**
 * Whether a second job is worth its processor, judged by what a unit of the work takes with and without it: on a single
 * processor nothing is gained, nor where both wait for the same lock or disk.
 */
export class Gain {
  /** Whether the second job is at work. */
  joined = false
  private readonly alone: number[] = []
  private readonly together: number[] = []

  /** Starts the clock of a piece; at its end it is told how many units that had. */
  piece(): (units: number, milliseconds: number) => void {
    const began = this.joined
    return (units, milliseconds) => {
      if (began !== this.joined || units === 0) return
      const taken = this.joined ? this.together : this.alone
      taken.push(milliseconds / units)
    }
  }

  /** It is known how fast the first job is by itself. */
  get isComparable(): boolean {
    return this.alone.length >= ENOUGH
  }

  /** True until the opposite is known. */
  get isWorthIt(): boolean {
    if (!this.isComparable || this.together.length < 2 * ENOUGH) return true
    return (2 * middle(this.alone)) / middle(this.together) >= LEAST_GAIN
  }
}

/** Of the latest pieces. */
const LATEST = 8

function middle(values: readonly number[]): number {
  const sorted = values.slice(-LATEST).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Infinity
}
