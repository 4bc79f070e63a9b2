import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PARQUET } from '../../src/archive/content/parquet/parquet.ts'
import { NotExactError } from '../../src/archive/content/not-exact.ts'
import { readObject } from '../../src/archive/content/read-object.ts'
import { writeObjects, type Written } from '../../src/archive/content/write-objects.ts'
import { fileColumns } from '../../src/plan/archive/parquet/statements.ts'
import type { Encoding } from '../../src/plan/archive/receipt.ts'
import { cut, sha256 } from '../support/archive-objects.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ARCHIVE } from '../support/receipts.ts'

// Objects of Parquet give the same CSV again, and leave nothing on this machine.

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const OWNER: Encoding['encryption'] = { kind: 'age', recipients: [recipient] }

let temporary: string
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'ebb-temporary-'))
  vi.stubEnv('TMPDIR', temporary)
})
afterEach(() => {
  vi.unstubAllEnvs()
  const left = readdirSync(temporary)
  rmSync(temporary, { recursive: true })
  expect(left).toEqual([])
})

function parquet(compression: Encoding['compression'], encryption: Encoding['encryption'] = null): Encoding {
  return { format: 'parquet', settings: { TimeZone: 'UTC' }, compression, encryption }
}

interface Writing {
  readonly columns: readonly (readonly [name: string, type: string])[]
  readonly encoding?: Encoding
  readonly partBytes?: number
  readonly asText?: readonly string[]
  readonly signal?: AbortSignal
  readonly store?: MemoryStore
}

function write(csv: AsyncIterable<Uint8Array>, { columns, ...given }: Writing): Promise<Written> {
  const { encoding = parquet('zstd'), partBytes = 1e9, signal = new AbortController().signal, asText = [] } = given
  return writeObjects(given.store ?? new MemoryStore(), csv, {
    archive: ARCHIVE,
    table: { schema: 'public', name: 'events' },
    columns: columns.map(([name, type]) => ({ name, type })),
    ...{ encoding, partBytes, asText, signal },
  })
}

async function readBack(store: MemoryStore, written: Written, encoding: Encoding): Promise<string[]> {
  const contents = []
  for (const object of written.objects) {
    const content = await readObject(store, `${ARCHIVE}/${object.name}`, object, encoding, [identity])
    contents.push(String(await buffer(content)))
  }
  return contents
}

test('files of rows that a killed process has left are removed a day later', async () => {
  const hours = (count: number) => Date.now() / 1000 - count * 3600
  for (const [name, age] of [
    ['ebb-parquet-old', 25],
    ['ebb-parquet-recent', 23],
    ['another', 25],
  ] as const) {
    mkdirSync(join(temporary, name))
    writeFileSync(join(temporary, name, 'rows.csv'), '1')
    utimesSync(join(temporary, name), hours(age), hours(age))
  }
  await PARQUET.load()
  expect(readdirSync(temporary).sort()).toEqual(['another', 'ebb-parquet-recent'])
  for (const name of readdirSync(temporary)) rmSync(join(temporary, name), { recursive: true })
})

test('arrays are lists, but text in a table of very many columns, where lists would take too much memory', () => {
  const arrays = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ name: `c${n}`, type: n === 0 ? 'integer' : 'text[]' }))
  const storedAs = (count: number) => fileColumns(arrays(count), {}, []).map(({ stored }) => stored.name)
  expect(new Set(storedAs(400))).toEqual(new Set(['INTEGER', 'VARCHAR[]']))
  expect(new Set(storedAs(401))).toEqual(new Set(['INTEGER', 'VARCHAR']))
})

describe('an object of Parquet', () => {
  test.each([parquet('zstd'), parquet('gzip', OWNER), parquet('none')])(
    'has the rows of its part, in their order ($compression, $encryption.kind)',
    async (encoding) => {
      const header = 'id,"a ""b"", c",A\n'
      const rows = Array.from({ length: 9000 }, (_, n) => `${n},"line ${n}\n""q""",${n % 3 === 0 ? '' : '""'}\n`)
      const columns = [
        ['id', 'bigint'],
        ['a "b", c', 'text'],
        ['A', 'text'],
      ] as const
      const store = new MemoryStore()
      const written = await write(cut(header + rows.join(''), 777), { columns, encoding, partBytes: 80_000, store })
      const contents = await readBack(store, written, encoding)
      expect(contents.length).toBeGreaterThan(1)
      expect(contents.map((one) => one.slice(header.length)).join('')).toBe(rows.join(''))
      expect(contents.every((one) => one.startsWith(header))).toBe(true)
      expect(written).toMatchObject({ rows: 9000, sha256: sha256(header + rows.join('')) })
      const magic = [...store.objects.values()].map((bytes) => bytes.subarray(0, 4).toString())
      expect(new Set(magic)).toEqual(new Set([encoding.encryption === null ? 'PAR1' : 'age-']))
    },
  )

  test.each([
    [
      'no rows',
      'id,t\n',
      [
        ['id', 'bigint'],
        ['t', 'text'],
      ],
    ],
    ['one column', 't\n\n""\n\\.x\n"\\."\n#\n\n', [['t', 'text']]],
    [
      'names that differ in case',
      'a,A\n1,x\n',
      [
        ['a', 'integer'],
        ['A', 'text'],
      ],
    ],
    [
      'as many columns as a table can have',
      `${Array.from({ length: 1600 }, (_, n) => `c${n}`).join(',')}\n${`${'7,'.repeat(1599)}7\n`.repeat(10)}`,
      Array.from({ length: 1600 }, (_, n) => [`c${n}`, 'integer'] as const),
    ],
    [
      'many files of rows, which two threads read',
      `t\n${Array.from({ length: 20_000 }, (_, n) => `${n}${'x'.repeat(999)}\n`).join('')}`,
      [['t', 'text']],
    ],
  ] as const)('may have %s', async (_, csv, columns) => {
    const store = new MemoryStore()
    const written = await write(cut(csv, 65_536), { columns, store })
    expect(await readBack(store, written, parquet('zstd'))).toEqual([csv])
  })

  test('that is damaged is not opened', async () => {
    const store = new MemoryStore()
    const written = await write(cut('id\n1\n', 9), { columns: [['id', 'bigint']], store })
    store.damage(`${ARCHIVE}/${written.objects[0]!.name}`, (bytes) => Buffer.from(bytes).fill(7, 20, 24))
    await expect(readBack(store, written, parquet('zstd'))).rejects.toThrow(
      /: SHA-256 of what is stored: \w+ instead of \w+$/,
    )
  })
})

describe('values that a type does not hold exactly', () => {
  test.each([
    ['bigint', '007'],
    ['numeric(10,2)', '1.234'],
    ['timestamp with time zone', '2026-01-01 00:00:00+01'],
    ['date', '0044-03-15 BC'],
    ['uuid', 'garbage'],
    ['bytea', '\\x0'],
    ['jsonb', '{'],
    ['integer[]', '"{1, 2}"'],
  ])('%s: %s stops the archive, and names the column', async (type, value) => {
    const columns = [
      ['fine', type],
      ['odd', type],
    ] as const
    const csv = `fine,odd\n,\n,${value}\n`
    await expect(write(cut(csv, 99), { columns })).rejects.toEqual(new NotExactError(['odd']))
    const store = new MemoryStore()
    const written = await write(cut(csv, 99), { columns, asText: ['odd'], store })
    expect(await readBack(store, written, parquet('zstd'))).toEqual([csv])
  })
})

test('what DuckDB does not give back as it was is not stored, encrypted or not', async () => {
  for (const encryption of [null, OWNER]) {
    const store = new MemoryStore()
    // PostgreSQL puts no number into quotes.
    const writing = write(cut('id\n"1"\n', 9), {
      columns: [['id', 'bigint']],
      encoding: parquet('zstd', encryption),
      store,
    })
    await expect(writing).rejects.toThrow('DuckDB does not give back the rows')
    expect(store.objects.size).toBe(0)
  }
})

describe('what stops it leaves no file', () => {
  const columns = [['t', 'text']] as const
  const rows = (bytes: number, width: number) => `t\n${`${'x'.repeat(width)}\n`.repeat(bytes / width)}`

  test('a row of more than 32 MiB', async () => {
    await expect(write(cut(rows(34e6, 34e6), 65_536), { columns })).rejects.toThrow(/a row has more than 33\.6 MB/)
  })

  test('a source that fails, or a signal', async () => {
    async function* failing() {
      yield* cut(rows(1e6, 99), 65_536)
      throw new Error('the server has gone')
    }
    await expect(write(failing(), { columns })).rejects.toThrow('the server has gone')
    const stop = new AbortController()
    const writing = write(cut(rows(40e6, 99), 65_536), { columns, signal: stop.signal })
    setTimeout(() => stop.abort(new Error('stopped')), 100)
    await expect(writing).rejects.toThrow()
  })

  test('temporary files that cannot be written, which is told with their place', async () => {
    async function* emptied(): AsyncGenerator<Buffer> {
      yield* cut(rows(1e6, 99), 65_536)
      for (const folder of readdirSync(temporary)) rmSync(join(temporary, folder), { recursive: true })
      yield* cut(rows(8e6, 99), 65_536)
    }
    await expect(write(emptied(), { columns })).rejects.toThrow(
      `temporary files cannot be made in ${temporary}: ENOENT`,
    )
  })

  test('a reader that leaves', async () => {
    const store = new MemoryStore()
    const { objects } = await write(cut(rows(5e6, 99), 65_536), { columns, store })
    const content = await readObject(store, `${ARCHIVE}/${objects[0]!.name}`, objects[0]!, parquet('zstd'), [])
    await content[Symbol.asyncIterator]().next()
    content.destroy()
    content.on('error', () => {})
    if (!content.closed) await new Promise((closed) => content.once('close', closed))
  })
})

test('a place for temporary files is looked for before rows are read', async () => {
  await PARQUET.load()
  vi.stubEnv('TMPDIR', join(temporary, 'none'))
  await expect(PARQUET.load()).rejects.toMatchObject({
    message: expect.stringMatching(/^temporary files cannot be made in .*none: /) as string,
    advice: { next: expect.stringContaining('Set TMPDIR') as string },
  })
})
