import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import zlib from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { archiveOptions, archiveRequest, checkArchiveOrNot } from '../../src/requests/archive-options.ts'
import { Faults } from '../../src/requests/faults.ts'
import { propertiesOf } from '../../src/requests/properties.ts'
import { readValues, spec } from '../../src/requests/spec.ts'

const ALICE = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
const ROOT = mkdtempSync(join(tmpdir(), 'ebb-recipients-'))
const HAS_ZSTD = 'createZstdCompress' in zlib

afterAll(() => rmSync(ROOT, { recursive: true }))

const SPEC = spec({
  options: archiveOptions('the rows'),
  check: checkArchiveOrNot,
  request: (values) => archiveRequest(values),
})

function request(given: object): unknown {
  const faults = new Faults()
  const values = readValues(SPEC, propertiesOf(SPEC.options, given, faults), faults)
  faults.throwIfAny()
  return SPEC.request(values)
}

function file(content: string): string {
  const path = join(ROOT, 'recipients')
  writeFileSync(path, content)
  return path
}

test('archives are asked for by a URI, which is made absolute', () => {
  expect(request({})).toBeNull()
  expect(request({ noArchive: true })).toBeNull()
  expect(request({ archive: '/var/archive' })).toEqual({
    uri: 'file:///var/archive',
    format: 'csv',
    compression: HAS_ZSTD ? 'zstd' : 'gzip',
    partBytes: 256_000_000,
    encryptTo: [],
  })
  const all = { archive: 's3://bucket/p', compression: 'none', partSize: '1MB', encryptTo: [ALICE, ALICE] }
  expect(request(all)).toMatchObject({
    uri: 's3://bucket/p',
    compression: 'none',
    partBytes: 1e6,
    encryptTo: [ALICE],
  })
  // Parquet compresses by itself, whatever this Node.js can do.
  expect(request({ archive: '/a', archiveFormat: 'parquet' })).toMatchObject({ format: 'parquet', compression: 'zstd' })
  expect(request({ archive: 'here' })).toMatchObject({ uri: new URL('here', `file://${process.cwd()}/`).href })
})

test('options that contradict each other or say nothing are refused', () => {
  expect(() => request({ archive: '/a', noArchive: true })).toThrow('noArchive: it contradicts archive')
  for (const [key, value] of Object.entries({ partSize: '1MB', compression: 'gzip', archiveFormat: 'parquet' }))
    expect(() => request({ [key]: value })).toThrow(`${key}: it requires archive`)
  expect(() => request({ archive: '' })).toThrow('archive: no destination is named')
  expect(() => request({ archive: '/a', partSize: '1kB' })).toThrow('objects can have from 1.0 MB to 50.0 GB')
  if (!HAS_ZSTD) expect(() => request({ archive: '/a', compression: 'zstd' })).toThrow('has no zstd')
})

test('recipients are listed or in a file, of which nothing is repeated', () => {
  const encryptTo = (...recipients: string[]) => request({ archive: '/a', encryptTo: recipients })
  expect(encryptTo(file(`# the archivists\n\n  ${ALICE}\r\n`))).toMatchObject({ encryptTo: [ALICE] })
  expect(() => encryptTo(file('# nobody\n'))).toThrow('names no recipients')
  expect(() => encryptTo(join(ROOT, 'absent'))).toThrow('is neither a recipient of age nor a file that can be read')
  expect(() => encryptTo(`${ALICE.slice(0, -1)}q`)).toThrow('is not a recipient of age')
  const secret = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`
  for (const given of [secret, file(`${ALICE}\n${secret}\n`), file('hunter2')]) {
    expect(() => encryptTo(given)).toThrow(/identity|line \d of .* is not a recipient of age/)
    expect(() => encryptTo(given)).not.toThrow(/QQQ|hunter2/)
  }
})
