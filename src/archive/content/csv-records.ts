const QUOTE = 0x22
const NEWLINE = 0x0a

/**
 * Finds where records of CSV end, as PostgreSQL writes it: with a newline outside of quotes, and the quotes in a value
 * doubled, so that a place is in a value if the quotes before it are odd in number. The bytes may be cut anywhere.
 */
export class CsvRecords {
  /** Records that have ended. */
  count = 0
  /** 1 between quotes. */
  private quoted = 0
  private ended = true

  /** Whether everything seen so far is whole records. */
  get whole(): boolean {
    return this.ended
  }

  /** Goes through bytes; up to the end of the first record that ends at `least` or after it, whose position is returned. */
  through(bytes: Uint8Array, least: number): number {
    const end = this.search(bytes, this.countIn(bytes.subarray(0, Math.max(0, least - 1))), least)
    if (end > 0) this.ended = this.quoted === 0 && bytes[end - 1] === NEWLINE
    return end
  }

  // Both are called for every byte that is archived, twice: they keep to local variables.

  /** Goes through all bytes but the last few, four at a time: in most of these nothing is a quote or a newline. */
  private countIn(bytes: Uint8Array): number {
    const lead = -bytes.byteOffset & 3
    if (bytes.length < lead + 4) return 0
    this.search(bytes.subarray(0, lead), 0, Infinity)
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + lead, (bytes.length - lead) >> 2)
    let { quoted, count } = this
    for (let i = 0; i < words.length; i += 1) {
      const word = words[i] ?? 0
      if (((word - FROM_HASH) & ~word & HIGH_BITS) === 0) continue
      for (let at = lead + 4 * i, end = at + 4; at < end; at += 1) {
        const byte = bytes[at] ?? 0
        if (byte === QUOTE) quoted ^= 1
        else if (byte === NEWLINE && quoted === 0) count += 1
      }
    }
    this.quoted = quoted
    this.count = count
    return lead + 4 * words.length
  }

  private search(bytes: Uint8Array, from: number, least: number): number {
    let { quoted, count } = this
    let at = from
    const { length } = bytes
    for (; at < length; at += 1) {
      const byte = bytes[at] ?? 0
      if (byte > QUOTE) continue // almost all are letters and digits
      if (byte === QUOTE) quoted ^= 1
      else if (byte === NEWLINE && quoted === 0) {
        count += 1
        if (at + 1 >= least) {
          at += 1
          break
        }
      }
    }
    this.quoted = quoted
    this.count = count
    return at
  }
}

// One of four bytes is less than `#`, which follows the quote, if subtracting that sets a high bit which was not set.
const FROM_HASH = 0x23232323
const HIGH_BITS = 0x80808080
