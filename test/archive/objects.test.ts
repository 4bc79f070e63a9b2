import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readObject } from '../../src/archive/content/read-object.ts'
import { archiveCsv, cut, encoding, encodings, sha256 } from '../support/archive-objects.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ARCHIVE } from '../support/receipts.ts'

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)

describe('objects contain exactly what was sent', () => {
  test.each([encoding('none', null), ...encodings(recipient)])('$compression, $encryption.kind', async (encoding) => {
    const runs = encoding.compression === 'none' && encoding.encryption === null ? 60 : 4
    await fc.assert(
      fc.asyncProperty(tables(), sizes(60), sizes(9), async (records, partBytes, chunk) => {
        const sent = records.map(csvRecord)
        const store = new MemoryStore()
        const written = await archiveCsv(store, cut(sent.join(''), chunk), encoding, partBytes)
        const contents = []
        for (const object of written.objects) {
          const content = await readObject(store, `${ARCHIVE}/${object.name}`, object, encoding, [identity])
          contents.push(String(await buffer(content)))
        }
        expect(contents).toEqual(parts(sent, partBytes))
        expect(written).toMatchObject({ rows: records.length - 1, sha256: sha256(sent.join('')) })
        expect([...store.objects.keys()]).toEqual(written.objects.map(({ name }) => `${ARCHIVE}/${name}`))
      }),
      { numRuns: runs },
    )
  })

  test('a table without rows has one object with the header', async () => {
    const store = new MemoryStore()
    const written = await archiveCsv(store, cut('id,payload\n', 3), encoding('none', null), 1)
    expect(written.objects).toMatchObject([{ rows: 0, contentBytes: 11, bytes: 11 }])
  })

  test.each([
    [['id\n', '', '1\n2\n', '', '', '3\n', ''], 99, [2, 1]],
    [['id\n', '', ''], 99, [0]],
    [['id\n1\n', '', '2\n3\n', '', '4\n'], 5, [1, 1, 1, 1]],
  ])('an empty chunk ends an object, unless that would be empty: %j', async (chunks, partBytes, rows) => {
    const source = Readable.from(chunks.map((chunk) => Buffer.from(chunk)))
    const written = await archiveCsv(new MemoryStore(), source, encoding('none', null), partBytes)
    expect(written.objects.map((object) => object.rows)).toEqual(rows)
    expect(written.sha256).toBe(sha256(chunks.join('')))
  })

  test.each(['', 'id,pay', 'id\n1', 'id\n"1\n', 'id\n1\n2'])(
    '%j ends within a record, and is no archive',
    async (csv) => {
      const writing = archiveCsv(new MemoryStore(), cut(csv, 2), encoding('gzip', recipient), 1)
      await expect(writing).rejects.toThrow('ended within a record')
    },
  )
})

function sizes(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 1, max })
}

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
