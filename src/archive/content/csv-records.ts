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
    const end = this.search(bytes, least)
    if (end > 0) this.ended = this.quoted === 0 && bytes[end - 1] === NEWLINE
    return end
  }

  // Called for every byte that is archived, twice: it keeps to local variables.
  private search(bytes: Uint8Array, least: number): number {
    let { quoted, count } = this
    let at = 0
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
