import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { decompressor } from '../../src/archive/content/compression.ts'
import { Proven } from '../../src/archive/content/proven.ts'
import { cut, sha256 } from '../support/archive-objects.ts'

// Bytes are passed on to the store, and the object fails at its end unless they become the rows again.

const ROWS = `id\n${Array.from({ length: 400_000 }, (_, n) => `${n}\n`).join('')}`
const COMPRESSED = gzipSync(ROWS)

function prove(bytes: Buffer, sent = ROWS): Promise<Buffer> {
  const proven = new Proven(decompressor('gzip'), () => ({ rows: 0, bytes: sent.length, sha256: sha256(sent) }))
  return pipeline(Readable.from(cut(bytes, 10_000)), proven, (passed) => buffer(passed))
}

test('what becomes the rows again passes as it is', async () => {
  expect((await prove(COMPRESSED)).equals(COMPRESSED)).toBe(true)
})

test('what becomes other rows, is cut or damaged fails', async () => {
  await expect(prove(gzipSync(`${ROWS}1\n`))).rejects.toThrow('does not become these rows again')
  await expect(prove(COMPRESSED.subarray(0, -9))).rejects.toThrow('unexpected end of file')
  const damaged = Buffer.from(COMPRESSED)
  damaged.fill(0, 500_000, 500_100)
  await expect(prove(damaged)).rejects.toThrow(/invalid|incorrect/)
})
