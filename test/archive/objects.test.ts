import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { defaultCompression } from '../../src/archive/content/compression.ts'
import { readObject } from '../../src/archive/content/read-object.ts'
import { writeObjects } from '../../src/archive/content/write-objects.ts'
import type { Encoding } from '../../src/plan/archive/receipt.ts'
import { MemoryStore } from '../support/memory-store.ts'

const TABLE = { schema: 'public', name: 'events' }
const ARCHIVE = 'public.events/20261129T131507250Z-5f0c9a1e'
const signal = new AbortController().signal

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)

const COMPRESSIONS = ['none', 'gzip', ...(defaultCompression() === 'zstd' ? (['zstd'] as const) : [])] as const
const ENCODINGS: readonly Encoding[] = COMPRESSIONS.flatMap((compression) =>
  [null, { kind: 'age', recipients: [recipient] } as const].map((encryption) => ({
    format: 'csv',
    settings: {},
    compression,
    encryption,
  })),
)

describe('objects hold exactly what was sent', () => {
  test.each(ENCODINGS)('$compression, $encryption.kind', async (encoding) => {
    await fc.assert(
      fc.asyncProperty(
        tables(),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 9 }),
        async (records, partBytes, chunk) => {
          const sent = records.map(csvRecord)
          const store = new MemoryStore()
          const written = await writeObjects(store, cut(Buffer.from(sent.join('')), chunk), {
            archive: ARCHIVE,
            table: TABLE,
            encoding,
            partBytes,
            signal,
          })
          const contents = []
          for (const object of written.objects)
            contents.push(
              String(await buffer(await readObject(store, `${ARCHIVE}/${object.name}`, object, encoding, [identity]))),
            )
          expect(contents).toEqual(parts(sent, partBytes))
          expect(written).toMatchObject({ rows: records.length - 1, sha256: sha256(sent.join('')) })
          expect([...store.objects.keys()]).toEqual(written.objects.map(({ name }) => `${ARCHIVE}/${name}`))
        },
      ),
      { numRuns: encoding.encryption === null ? 60 : 15 },
    )
  })
})

/** Records of one width, a header first. */
function tables(): fc.Arbitrary<(string | null)[][]> {
  const value = fc.oneof(
    fc.constantFrom(null, '', '\\.', '"', '""', '\n', ',', '\r\n', 'a\n"b"\n', '# comment', ' ', 'ü€𝄞'),
    fc.string({ unit: fc.constantFrom('a', '"', '\n', ',', '\r', '\\', '.', 'ü'), maxLength: 8 }),
  )
  return fc
    .integer({ min: 1, max: 3 })
    .chain((width) =>
      fc.array(fc.array(value, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 12 }),
    )
}

/** As PostgreSQL writes it: NULL is nothing, an empty string is quoted, and so is what could be misread. */
function csvRecord(values: readonly (string | null)[]): string {
  const alone = values.length === 1
  return `${values.map((value) => (value === null ? '' : csvValue(value, alone))).join(',')}\n`
}

function csvValue(value: string, alone: boolean): string {
  const quoted = value === '' || /[",\r\n]/.test(value) || (alone && value === '\\.')
  return quoted ? `"${value.replaceAll('"', '""')}"` : value
}

/** What the parts should be: a header, then records until the size is reached. */
function parts([header = '', ...records]: readonly string[], partBytes: number): string[] {
  const all = [header]
  let full = false
  for (const record of records) {
    if (full) all.push(header)
    all.push(`${all.pop() ?? ''}${record}`)
    full = Buffer.byteLength(all.at(-1) ?? '') >= partBytes
  }
  return all
}

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
