import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { defaultCompression } from '../../src/archive/content/compression.ts'
import { verifyReceipt } from '../../src/archive/verify-receipt.ts'
import { parseIdentities } from '../../src/plan/archive/identity.ts'
import { archiveCsv, cut, encoding, sha256 } from '../support/archive-objects.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ARCHIVE, archivedTable, receiptOf } from '../support/receipts.ts'

// What other programs make of objects, and Ebb of theirs.

const CSV = `id,payload\n${'1,"some text\n"\n'.repeat(20_000)}`
const [age, zstd] = ['age', 'zstd'].map((program) => spawnSync(program, ['--version']).error === undefined)
const signal = new AbortController().signal

describe('the program age', () => {
  test.skipIf(!age)('reads what was encrypted (skipped where age is not installed)', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ebb-age-'))
    try {
      const keys = execFileSync('age-keygen', { encoding: 'utf8', stdio: 'pipe' })
      await writeFile(join(directory, 'key.txt'), keys, { mode: 0o600 })
      const [identity = ''] = parseIdentities(keys, 'key.txt')
      const store = new MemoryStore()
      const { objects } = await archiveCsv(
        store,
        cut(CSV, 999),
        encoding('gzip', await identityToRecipient(identity)),
        1e9,
      )
      await writeFile(join(directory, 'object'), store.objects.get(`${ARCHIVE}/${objects[0]!.name}`)!)
      const read = execFileSync('sh', ['-c', 'age -d -i key.txt object | gzip -dc'], { cwd: directory, maxBuffer: 1e9 })
      expect(sha256(read)).toBe(objects[0]!.contentSha256)
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  test.skipIf(!age)('writes what is decrypted (skipped where age is not installed)', async () => {
    const identity = await generateX25519Identity()
    const recipient = await identityToRecipient(identity)
    const stored = execFileSync('age', ['-r', recipient], { input: CSV, maxBuffer: 1e9 })
    const store = new MemoryStore()
    const written = await archiveCsv(new MemoryStore(), cut(CSV, 9999), encoding('none', recipient), 1e9)
    const object = { ...written.objects[0]!, bytes: stored.length, sha256: sha256(stored) }
    store.objects.set(object.name, stored)
    const receipt = receiptOf([archivedTable({ ...written, objects: [object] })], {
      encoding: encoding('none', recipient),
    })
    expect((await verifyReceipt(store, '', receipt, { identities: [identity], signal })).differences).toEqual([])
  })
})

describe('key files', () => {
  const identity = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`

  test('are read as age-keygen writes them, with comments, and with line ends of any system', () => {
    expect(
      parseIdentities(`# created: today\r\n# public key: age1…\r\n${identity}\r\n\n  ${identity}  \n`, 'k'),
    ).toEqual([identity, identity])
  })

  test.each([
    ['', /there is no identity in k/],
    ['# only a comment\n', /there is no identity in k/],
    [`${identity}\nage1abc\n`, /line 2 of k is a recipient, which encrypts/],
    [`x${identity}`, /line 1 of k is no identity/],
    ['age-encryption.org/v1\n-> scrypt', /k is encrypted itself/],
    ['-----BEGIN AGE ENCRYPTED FILE-----\n', /k is encrypted itself/],
  ])('%j is refused, and not repeated', (text, reason) => {
    expect(() => parseIdentities(text, 'k')).toThrow(reason)
    expect(() => parseIdentities(text, 'k')).not.toThrow(new RegExp('Q{9}'))
  })
})

test.skipIf(defaultCompression() !== 'zstd' || !zstd)(
  'the program zstd reads and checks an object (skipped before Node.js 22.15, and where zstd is not installed)',
  async () => {
    const store = new MemoryStore()
    const { objects } = await archiveCsv(store, cut(CSV, 999), encoding('zstd', null), 1e9)
    const stored = store.objects.get(`${ARCHIVE}/${objects[0]!.name}`)!
    expect(sha256(execFileSync('zstd', ['-dc'], { input: stored, maxBuffer: 1e9 }))).toBe(objects[0]!.contentSha256)
    // A changed bit of the last four bytes, which are the checksum, is seen.
    const changed = Buffer.concat([stored.subarray(0, -1), Buffer.from([stored.at(-1)! ^ 1])])
    expect(spawnSync('zstd', ['-tq'], { input: changed }).status).not.toBe(0)
  },
)
