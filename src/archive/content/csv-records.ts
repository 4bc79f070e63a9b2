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

  /** Goes through all bytes but the last few, 16 at a time: in most of these is no newline, and their quotes count together. */
  private countIn(bytes: Uint8Array): number {
    const lead = -bytes.byteOffset & 3
    if (bytes.length < lead + 16) return 0
    this.search(bytes.subarray(0, lead), 0, Infinity)
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + lead, ((bytes.length - lead) >> 4) << 2)
    let { quoted, count } = this
    /** Whose bits together tell whether the quotes since the last newline are odd in number. */
    let quotes = 0
    for (let i = 0; i < words.length; i += 4) {
      const a = words[i] ?? 0
      const b = words[i + 1] ?? 0
      const c = words[i + 2] ?? 0
      const d = words[i + 3] ?? 0
      if (((newlinesIn(a) | newlinesIn(b) | newlinesIn(c) | newlinesIn(d)) & HIGH_BITS) === 0) {
        quotes ^= othersIn(a) ^ othersIn(b) ^ othersIn(c) ^ othersIn(d)
        continue
      }
      quoted ^= oddIn(quotes & HIGH_BITS)
      quotes = 0
      for (let at = lead + 4 * i, end = at + 16; at < end; at += 1) {
        const byte = bytes[at] ?? 0
        if (byte === QUOTE) quoted ^= 1
        else if (byte === NEWLINE && quoted === 0) count += 1
      }
    }
    this.quoted = quoted ^ oddIn(quotes & HIGH_BITS)
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

// Four bytes at a time. The highest bit of each tells.
const NEWLINES = 0x0a0a0a0a
const QUOTES = 0x22222222
const ONES = 0x01010101
const LOW_BITS = 0x7f7f7f7f
const HIGH_BITS = ~LOW_BITS

/** Which are newlines, if any is; which is exact for the lowest alone. */
function newlinesIn(word: number): number {
  const zero = word ^ NEWLINES
  return (zero - ONES) & ~zero
}

/** Which are no quotes: among an even number of bytes, both are odd in number, or neither is. */
function othersIn(word: number): number {
  const zero = word ^ QUOTES
  return ((zero & LOW_BITS) + LOW_BITS) | zero
}

/** 1 if the highest bits that are set are odd in number. */
function oddIn(bits: number): number {
  const half = bits ^ (bits >>> 16)
  return ((half ^ (half >>> 8)) >>> 7) & 1
}
