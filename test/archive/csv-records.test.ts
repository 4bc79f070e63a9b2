import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CsvRecords } from '../../src/archive/content/csv-records.ts'

/** Byte by byte: how many records end, where the one ends that is looked for, and whether all are whole there. */
function plainly(bytes: Uint8Array, least: number) {
  let [count, quoted, at] = [0, false, 0]
  for (const byte of bytes) {
    at += 1
    if (byte === 0x22) quoted = !quoted
    if (byte !== 0x0a || quoted) continue
    count += 1
    if (at >= least) break
  }
  return { count, at, whole: at === 0 || (!quoted && bytes[at - 1] === 0x0a) }
}

const bytes = fc
  .array(fc.constantFrom(0x00, 0x09, 0x0a, 0x0d, 0x20, 0x21, 0x22, 0x23, 0x2c, 0x41, 0x7f, 0x80, 0xa2, 0xff), {
    maxLength: 80,
    size: 'max',
  })
  .map((all) => Uint8Array.from(all))

test('records end where they do byte by byte, wherever the bytes lie in memory and are cut', () => {
  fc.assert(
    fc.property(bytes, fc.nat(90), fc.nat(7), fc.nat(80), (content, least, offset, cut) => {
      const placed = new Uint8Array(offset + content.length)
      placed.set(content, offset)
      const within = placed.subarray(offset)

      const once = new CsvRecords()
      const at = once.through(within, least)
      expect({ count: once.count, at, whole: once.whole }).toEqual(plainly(content, least))

      const pieces = new CsvRecords()
      pieces.through(within.subarray(0, cut), Infinity)
      pieces.through(within.subarray(cut), Infinity)
      const { count, whole } = plainly(content, Infinity)
      expect(pieces).toMatchObject({ count, whole })
    }),
    { numRuns: 1000 },
  )
})
