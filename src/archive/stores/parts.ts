import type { Readable } from 'node:stream'

export interface Part {
  readonly body: Buffer
  readonly last: boolean
}

/** Content in parts of one size, the last one smaller and, of no content, empty. */
export async function* partsOf(content: Readable, size: number): AsyncGenerator<Part, void> {
  let chunks: Buffer[] = []
  let length = 0
  for await (const chunk of content as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    // A part is complete when it is known not to be the last.
    while (length > size) {
      const whole = Buffer.concat(chunks)
      yield { body: whole.subarray(0, size), last: false }
      chunks = [whole.subarray(size)]
      length -= size
    }
  }
  yield { body: Buffer.concat(chunks), last: true }
}

/** A bucket refuses a part with a higher number. */
export const MOST_PARTS = 10_000

const MEBIBYTE = 2 ** 20
/** The least that is possible: two are in memory at a time, and the one that is being filled. */
const USUAL_PART = 5 * MEBIBYTE

/** The size of the parts of an object that has at most so many bytes. */
export function partSizeFor(atMost: number): number {
  return Math.max(USUAL_PART, Math.ceil(atMost / MOST_PARTS / MEBIBYTE) * MEBIBYTE)
}
