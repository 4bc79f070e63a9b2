import type { Transport } from '../../plan/copy/work.ts'

/** A shorter copy is not worth a comparison, which would take as long as it could save. */
const WORTH_MS = 2_000
/** Chunks of each; the first warms up caches and plans and does not count. */
const TRIALS = 4

/**
 * The transport of the next chunk. `auto` tries each in turn on a few chunks and continues with the faster one,
 * unless the first chunk shows that the copy will be short.
 */
export class TransportChoice {
  private chosen: Transport | null
  private readonly total: number
  private readonly times = { server: [] as number[], copy: [] as number[] }

  /** @param total the amount to copy, in the unit of `size` below */
  constructor(wanted: Transport | 'auto', total: number) {
    this.chosen = wanted === 'auto' ? null : wanted
    this.total = total
  }

  get made(): boolean {
    return this.chosen !== null
  }

  get next(): Transport {
    if (this.chosen !== null) return this.chosen
    return this.times.server.length <= this.times.copy.length ? 'server' : 'copy'
  }

  /** Takes a chunk of `next` into account; returns a message when that makes the choice. */
  measured(size: number, milliseconds: number): string | null {
    if (this.chosen !== null) return null
    const perUnit = milliseconds / size
    this.times[this.next].push(perUnit)
    if (this.times.copy.length === 0 && perUnit * this.total < WORTH_MS) {
      this.chosen = 'server'
      return 'transport server: the copy is too short to compare transports'
    }
    return this.times.copy.length < TRIALS ? null : this.choose()
  }

  private choose(): string {
    const [server, copy] = [median(this.times.server.slice(1)), median(this.times.copy.slice(1))]
    this.chosen = copy < server ? 'copy' : 'server'
    const ratio = Math.max(copy, server) / Math.min(copy, server)
    return `transport ${this.chosen}: ${ratio.toFixed(2)} times as fast here as the other`
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Infinity
}
