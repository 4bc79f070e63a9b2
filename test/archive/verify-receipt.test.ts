import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { verifyReceipt } from '../../src/archive/verify-receipt.ts'
import type { Encoding, Receipt } from '../../src/plan/archive/receipt.ts'
import { archiveCsv, cut, encodings } from '../support/archive-objects.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ARCHIVE, archivedTable, receiptOf } from '../support/receipts.ts'

const identity = await generateX25519Identity()
const ENCODINGS = encodings(await identityToRecipient(identity))

/** Four objects of two rows each. */
const CSV = `id,payload\n${[1, 2, 3, 4, 5, 6, 7, 8].map((id) => `${id},"line\nof ${id}"\n`).join('')}`

async function archived(encoding: Encoding): Promise<{ store: MemoryStore; receipt: Receipt; names: string[] }> {
  const store = new MemoryStore()
  const written = await archiveCsv(store, cut(CSV, 7), encoding, 30)
  const receipt = receiptOf([archivedTable(written)], { encoding })
  return { store, receipt, names: written.objects.map(({ name }) => name) }
}

function verify(store: MemoryStore, receipt: Receipt, identities: readonly string[] = [identity]) {
  return verifyReceipt(store, `${ARCHIVE}/`, receipt, { identities, signal: new AbortController().signal })
}

async function found(store: MemoryStore, receipt: Receipt, identities?: readonly string[]): Promise<string[]> {
  const { differences } = await verify(store, receipt, identities)
  return differences.map(({ object, what }) => `${object ?? 'all'}: ${what}`)
}

describe.each(ENCODINGS)('an archive ($compression, $encryption.kind)', (encoding) => {
  test('is what its receipt says', async () => {
    const { store, receipt } = await archived(encoding)
    expect(receipt.tables[0]?.objects).toHaveLength(4)
    expect(await verify(store, receipt)).toMatchObject({ compared: 'content', objects: 4, rows: 8, differences: [] })
  })

  test.each([
    ['changed in one bit', (bytes: Buffer) => flipped(bytes, bytes.length >> 1), ['SHA-256 of what is stored']],
    ['changed in its last bit', (bytes: Buffer) => flipped(bytes, bytes.length - 1), ['SHA-256 of what is stored']],
    ['cut by a byte', (bytes: Buffer) => bytes.subarray(0, -1), ['bytes stored', 'SHA-256 of what is stored']],
    [
      'cut in half',
      (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1),
      ['bytes stored', 'SHA-256 of what is stored'],
    ],
    ['emptied', () => Buffer.alloc(0), ['bytes stored', 'SHA-256 of what is stored']],
    [
      'followed by junk',
      (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('junk')]),
      ['bytes stored', 'SHA-256 of what is stored'],
    ],
    [
      'followed by zeros',
      (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(9)]),
      ['bytes stored', 'SHA-256 of what is stored'],
    ],
    [
      'followed by itself',
      (bytes: Buffer) => Buffer.concat([bytes, bytes]),
      ['bytes stored', 'SHA-256 of what is stored'],
    ],
  ])('of which two objects are %s: both are named', async (_, damage, expected) => {
    const { store, receipt, names } = await archived(encoding)
    for (const name of names.slice(1, 3)) store.damage(`${ARCHIVE}/${name}`, damage)
    for (const identities of encoding.encryption === null ? [[]] : [[identity], []])
      expect(await found(store, receipt, identities)).toEqual(
        expect.arrayContaining(names.slice(1, 3).flatMap((name) => expected.map((what) => `${name}: ${what}`))),
      )
    for (const name of [names[0], names[3]])
      expect((await verify(store, receipt)).differences.map(({ object }) => object)).not.toContain(name)
  })

  test('of which one object is missing and two are exchanged: each is named', async () => {
    const { store, receipt, names } = await archived(encoding)
    const [first, second, third] = names.map((name) => `${ARCHIVE}/${name}`) as [string, string, string]
    const [one, two] = [store.objects.get(first), store.objects.get(second)] as [Buffer, Buffer]
    store.objects.set(first, two).set(second, one).delete(third)
    expect(await found(store, receipt)).toEqual(
      expect.arrayContaining([
        `${names[0]}: SHA-256 of what is stored`,
        `${names[1]}: SHA-256 of what is stored`,
        `${names[2]}: object`,
      ]),
    )
  })

  test('is not that of another receipt', async () => {
    const { store, receipt, names } = await archived(encoding)
    const other = await archived(encoding)
    const changed = await archiveCsv(other.store, cut(CSV.replace('of 3', 'of 9'), 7), encoding, 30)
    expect(await found(store, receiptOf([archivedTable(changed)], { encoding }))).toContain(
      `${names[1]}: SHA-256 of what is stored`,
    )
    expect((await verify(store, receipt)).differences).toEqual([])
  })

  test('does not fit a receipt with other counts, or with its objects in another order', async () => {
    const { store, receipt } = await archived(encoding)
    const [table] = receipt.tables
    const [first, ...others] = table!.objects
    const wrong = (given: object) => found(store, { ...receipt, tables: [{ ...table!, ...given }] })
    expect(await wrong({ rows: 9 })).toEqual(['all: rows'])
    expect(await wrong({ objects: [{ ...first!, rows: 3 }, ...others] })).toEqual([`${first!.name}: rows`, 'all: rows'])
    expect(await wrong({ objects: [...others, first] })).toEqual(['all: SHA-256 of the rows'])
    expect(await wrong({ objects: [first, ...others.slice(0, 2)] })).toEqual(['all: rows'])
    expect(await wrong({ sha256: 'f'.repeat(64) })).toEqual(['all: SHA-256 of the rows'])
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  changed[at]! ^= 1
  return changed
}

describe('an encrypted archive', () => {
  const encrypted = ENCODINGS.find(({ encryption }) => encryption !== null)!

  test('is compared as it is stored where there is no identity, and says so', async () => {
    const { store, receipt } = await archived(encrypted)
    expect(await verify(store, receipt, [])).toMatchObject({ compared: 'stored bytes', objects: 4, differences: [] })
  })

  test('is not called damaged because the identity is another one', async () => {
    const { store, receipt, names } = await archived(encrypted)
    const other = [await generateX25519Identity()]
    await expect(verify(store, receipt, other)).rejects.toThrow(/cannot be decrypted: no identity matched/)
    store.damage(`${ARCHIVE}/${names[0]}`, (bytes) => flipped(bytes, 100))
    await expect(verify(store, receipt, other)).rejects.toThrow(/cannot be decrypted/)
  })
})
