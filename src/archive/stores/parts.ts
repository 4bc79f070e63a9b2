import type { Readable } from 'node:stream'

export interface Part {
  readonly body: Buffer
  readonly last: boolean
}

/** Content in parts of one size, the last one smaller and, of no content, empty. Each has memory of its own. */
export async function* partsOf(content: Readable, size: number): AsyncGenerator<Part, void> {
  let body = Buffer.allocUnsafeSlow(size)
  let length = 0
  for await (const chunk of content as AsyncIterable<Buffer>)
    for (let at = 0; at < chunk.length;) {
      // A part is complete when it is known not to be the last.
      if (length === size) {
        yield { body, last: false }
        body = Buffer.allocUnsafeSlow(size)
        length = 0
      }
      const copied = chunk.copy(body, length, at)
      at += copied
      length += copied
    }
  yield { body: body.subarray(0, length), last: true }
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
