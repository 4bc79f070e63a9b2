import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { receiptDigest, receiptText } from '../../src/archive/receipt-text.ts'
import { DirectoryStore } from '../../src/archive/stores/directory.ts'
import { openStore } from '../../src/archive/stores/open.ts'
import { listArchives, verifyArchive } from '../../src/index.ts'
import { archiveCsv, cut, encoding } from '../support/archive-objects.ts'
import { ARCHIVE, archivedTable, receiptOf } from '../support/receipts.ts'
import { ebb, objects } from './support.ts'

const CSV = `id,payload\n1,a\n2,"b\n"\n3,c\n`
const LEFT_OVER = 'public.events/20261129T141507250Z-0badcafe'

const identity = await generateX25519Identity()
const signal = new AbortController().signal
let directory: string
let keyFile: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ebb-archives-'))
  keyFile = join(directory, 'key.txt')
  await writeFile(keyFile, `# created: 2026-11-29T13:15:07Z\n# public key: age1…\n${identity}\n\n`)
  const store = await openStore(pathToFileURL(directory).href)
  const encrypted = encoding('gzip', await identityToRecipient(identity))
  const written = await archiveCsv(store, cut(CSV, 5), encrypted, 17)
  const put = (name: string, text: string) => store.put(name, Readable.from([text]), { atMost: 1e6, signal })
  await put(`${ARCHIVE}/receipt.json`, await receiptText(receiptOf([archivedTable(written)], { encoding: encrypted })))
  await put(`${LEFT_OVER}/public.events-00001.csv`, 'id\n')
})

describe('ebb archive', () => {
  test('reaches a table that has the name of a subcommand', async () => {
    const { code, err } = await ebb(['archive', 'public.verify', '--json'])
    expect([code, err]).toEqual([2, expect.stringContaining('Pass --archive')])
    expect((await ebb(['archive', '--archive', directory, 'public.list'])).err).toContain('no database is named')
  })
})

afterAll(() => rm(directory, { recursive: true }))

function receipt(): string {
  return join(directory, ARCHIVE, 'receipt.json')
}

describe('ebb archive verify', () => {
  test('compares an archive with its receipt, with no database in sight', async () => {
    const { code, out } = await ebb(['archive', 'verify', receipt(), '--identity-file', keyFile])
    expect(code).toBe(0)
    expect(out).toContain('receipt.json: the archive is what its receipt says.')
    expect(out).toContain('3 rows in 2 objects')
    expect(out).toContain(`SHA-256 ${receiptDigest(await readFile(receipt()))}`)
  })

  test('takes an identity from the environment, and without one says what it has compared', async () => {
    const env = { AGE_IDENTITY: identity }
    const decrypted = await ebb(['archive', 'verify', '--json', pathToFileURL(receipt()).href], { env })
    expect(objects(decrypted.out)).toMatchObject([
      { type: 'verification', verification: { compared: 'content', rows: 3 } },
    ])
    const { code, out } = await ebb(['archive', 'verify', receipt()])
    expect([code, out]).toEqual([
      0,
      expect.stringContaining('Nothing was decrypted. To compare the rows too, add --ide'),
    ])
  })

  test('ends with 1 and names everything that differs', async () => {
    const first = join(directory, ARCHIVE, 'public.events-00001.csv.gz.age')
    const second = join(directory, ARCHIVE, 'public.events-00002.csv.gz.age')
    const [one, two] = [await readFile(first), await readFile(second)]
    try {
      await writeFile(first, one.subarray(0, 100))
      await rm(second)
      const { code, out } = await ebb(['archive', 'verify', receipt(), '--identity-file', keyFile])
      expect([code, out]).toEqual([1, expect.stringContaining('the archive is NOT what its receipt says')])
      expect(out).toContain(`public.events-00001.csv.gz.age differs in bytes stored: 100 instead of ${one.length}`)
      expect(out).toContain('public.events-00002.csv.gz.age differs in object: missing instead of there')
      const json = await ebb(['archive', 'verify', receipt(), '--json'])
      expect([json.code, objects(json.out)[0]]).toMatchObject([1, { verification: { differences: [{}, {}, {}] } }])
      const listed = await ebb(['archive', 'list', directory])
      expect(listed.code).toBe(1)
      expect(listed.out).toContain(`PROBLEM: public.events-00001.csv.gz.age has 100 bytes instead of ${one.length}`)
      expect(listed.out).toContain('PROBLEM: public.events-00002.csv.gz.age is missing')
    } finally {
      await writeFile(first, one)
      await writeFile(second, two)
    }
  })

  test.each([
    [
      'another identity',
      async () => ['--identity-file', await otherKeyFile()],
      /cannot be decrypted: no identity matched/,
    ],
    ['an identity on the command line', async () => ['--identity-file', identity], /seen by others/],
    ['a file that is not there', async () => ['--identity-file', '/nowhere/key.txt'], /cannot be read/],
    ['a mistyped identity', async () => ['--identity-file', await mistypedKeyFile()], /an identity of age is damaged/],
    ['a file of something else', async () => ['--identity-file', receipt()], /line 1 of .* is no identity of age/],
  ])('refuses %s, and never prints an identity', async (_, given, reason) => {
    const { code, err, out } = await ebb(['archive', 'verify', receipt(), ...(await given())])
    expect([code, err]).toEqual([2, expect.stringMatching(reason)])
    expect((err + out).toUpperCase()).not.toContain(identity.slice(0, 40))
  })

  test('refuses what is no receipt', async () => {
    expect(await ebb(['archive', 'verify', keyFile])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not a receipt, or is damaged') as string,
    })
    expect(await ebb(['archive', 'verify', join(directory, 'none.json')])).toMatchObject({
      code: 1,
      err: expect.stringContaining('there is no object') as string,
    })
    expect(await ebb(['archive', 'verify', directory])).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        / is a directory, and an object was expected, .*\n.*\n next: Name the object\. ebb archive list/,
      ) as string,
    })
    expect(await ebb(['archive', 'verify', 'ftp://host/receipt.json'])).toMatchObject({ code: 2 })
    expect(await ebb(['archive', 'verify'])).toMatchObject({ code: 2 })
  })
})

describe('ebb archive list', () => {
  test('shows archives, and names what is left of others', async () => {
    const { code, out } = await ebb(['archive', 'list', directory])
    expect(code).toBe(0)
    expect(out).toContain(
      `${pathToFileURL(receipt()).href}\n  public.events  3 rows  where at < '2026-10-01'\n  2 objects`,
    )
    expect(out).toMatch(
      /csv, gzip, encrypted; no removal recorded\n\nWithout a receipt, so no archives: .*\n {2}public\.events\/20261129T141507250Z-0badcafe {2}1 object, 3 B/,
    )
  })

  test('for programs', async () => {
    const { out } = await ebb(['archive', 'list', '--json', directory])
    expect(objects(out)).toMatchObject([
      {
        type: 'archives',
        archives: { archives: [{ removal: null, summary: { rows: 3 } }], leftovers: [{ folder: LEFT_OVER }] },
      },
    ])
  })

  test('which of the rows are still in the database', async () => {
    const removal = join(directory, ARCHIVE, 'removal.json')
    const sha256 = receiptDigest(await readFile(receipt()))
    const removing = async (kept: readonly (readonly string[])[], key: readonly string[], digest = sha256) => {
      const rows = { archived: 3, deleted: 3 - kept.length, kept: kept.length, key, keptKeys: kept }
      const times = { startedAt: '2026-11-29T13:15:07Z', endedAt: '2026-11-29T13:16:07Z' }
      await writeFile(
        removal,
        JSON.stringify({
          format: 2,
          receipt: { uri: receipt(), sha256: digest },
          run: { command: 'purge', id: '7', ...times },
          ...{ how: 'deleted', batches: 1, tables: [{ schema: 'public', name: 'events', ...rows }] },
        }),
      )
      return ebb(['archive', 'list', directory])
    }
    try {
      const all = await removing([], [])
      expect([all.code, all.out]).toEqual([0, expect.stringContaining('encrypted; removed from the database\n')])
      const some = await removing([['2'], ['3']], ['id'])
      expect([some.code, some.out]).toEqual([
        0,
        expect.stringContaining(
          'encrypted; 1 of 3 rows removed from the database\n  not removed: 2 rows of public.events, by key in removal.json (keptKeys)\n',
        ),
      ])
      const { out } = await ebb(['archive', 'list', directory, '--json'])
      expect(objects(out)).toMatchObject([
        { archives: { archives: [{ removal: { tables: [{ deleted: 1, kept: 2 }] } }] } },
      ])
      expect(out).not.toContain('keptKeys')
      const other = await removing([], [], '0'.repeat(64))
      expect([other.code, other.out]).toEqual([
        1,
        expect.stringContaining('PROBLEM: removal.json differs from the receipt in SHA-256 of the receipt'),
      ])
      await writeFile(removal, '{')
      const damaged = await ebb(['archive', 'list', directory])
      expect([damaged.code, damaged.out]).toEqual([1, expect.stringMatching(/PROBLEM: .*removal.json is damaged/)])
    } finally {
      await rm(removal)
    }
  })

  test('of a directory that is not there', async () => {
    expect((await ebb(['archive', 'list', join(directory, 'none')])).code).toBe(1)
  })
})

test('verify says how far it is, within an object too', async () => {
  let clock = 0
  const now = vi.spyOn(performance, 'now').mockImplementation(() => (clock += 600))
  try {
    const { out } = await ebb(['archive', 'verify', '--json', receipt(), '--identity-file', keyFile])
    const told = objects(out).filter(({ type }) => type === 'progress')
    expect(told.at(-1)).toMatchObject({
      progress: { what: 'compare with the receipt', done: 3, total: 3, unit: 'rows' },
    })
  } finally {
    now.mockRestore()
  }
  const rows: number[] = []
  const onProgress = (done: number) => void rows.push(done)
  await verifyArchive(receipt(), { identities: [await readFile(keyFile, 'utf8')], onProgress })
  // Of two objects: more than one call for each.
  expect(rows.length).toBeGreaterThan(2)
  expect(rows).toEqual(rows.toSorted((a, b) => a - b))
})

test('the list reads several receipts at once, and no more, and keeps their order', async () => {
  const place = await mkdtemp(join(tmpdir(), 'ebb-archives-'))
  const store = await openStore(pathToFileURL(place).href)
  const text = await readFile(receipt(), 'utf8')
  const ids = Array.from(
    { length: 20 },
    (_, i) => `public.events/20261129T1315072${String(i).padStart(2, '0')}Z-5f0c9a1e`,
  )
  for (const id of ids) await store.put(`${id}/receipt.json`, Readable.from([text]), { atMost: 1e6, signal })
  let [reading, most] = [0, 0]
  const get = vi.spyOn(DirectoryStore.prototype, 'get').mockImplementation(async () => {
    most = Math.max(most, ++reading)
    // Until as many are being read as ever will be, but for the last ones.
    for (let times = 0; times < 200 && most < 8; times++) await sleep(5)
    await sleep(5)
    reading -= 1
    return Readable.from([text])
  })
  try {
    const { archives } = await listArchives(place)
    expect(archives.map(({ folder }) => folder)).toEqual(ids)
    expect(most).toBe(8)
  } finally {
    get.mockRestore()
    await rm(place, { recursive: true })
  }
})

test('the same from a program', async () => {
  const { differences, compared } = await verifyArchive(receipt(), { identities: [await readFile(keyFile, 'utf8')] })
  expect([differences, compared]).toEqual([[], 'content'])
  expect(await listArchives(directory)).toMatchObject({ archives: [{ problems: [] }], leftovers: [{ objects: 1 }] })
  const absent = { advice: { state: 'Nothing has been changed.' } }
  await expect(listArchives(`${directory}/absent`)).rejects.toMatchObject(absent)
  await expect(verifyArchive(`${directory}/absent/receipt.json`)).rejects.toMatchObject(absent)
})

async function otherKeyFile(): Promise<string> {
  const path = join(directory, 'other.txt')
  await writeFile(path, `${await generateX25519Identity()}\n`)
  return path
}

async function mistypedKeyFile(): Promise<string> {
  const path = join(directory, 'mistyped.txt')
  await writeFile(path, `${identity.slice(0, -1)}${identity.endsWith('Q') ? 'P' : 'Q'}\n`)
  return path
}
