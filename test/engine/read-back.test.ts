import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { whileReadingBack, type ReadBack } from '../../src/engine/archive/read-back.ts'
import { archiveCsv, cut, encoding } from '../support/archive-objects.ts'
import { until } from '../support/until.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ARCHIVE } from '../support/receipts.ts'

const PLAIN = encoding('none', null)

/** Objects of one row each. */
const write = (store: MemoryStore, rows: AsyncIterable<Uint8Array>, readBack: ReadBack) =>
  archiveCsv(store, rows, PLAIN, 4, readBack)

function readingBack<T>(store: MemoryStore, work: (readBack: ReadBack) => Promise<T>, stop = new AbortController()) {
  const context = { observer: () => {}, signal: stop.signal }
  return whileReadingBack(context, { store, id: ARCHIVE }, work)
}

async function* endless(): AsyncGenerator<Buffer> {
  yield Buffer.from('id\n')
  for (;;) {
    yield Buffer.from('1\n')
    await new Promise(setImmediate)
  }
}

/** Whose objects are never read to their end. */
class StuckStore extends MemoryStore {
  readonly reading: Readable[] = []

  override async get(): Promise<Readable> {
    const stuck = new Readable({ read: () => {} })
    this.reading.push(stuck)
    return stuck
  }
}

test('objects are read back one at a time, while further ones are written, and waited for', async () => {
  const store = new MemoryStore()
  const done: string[] = []
  let [reading, most] = [0, 0]
  const real = { put: store.put.bind(store), get: store.get.bind(store) }
  store.put = (name, ...rest) => (done.push(`put ${name.slice(-7, -4)}`), real.put(name, ...rest))
  store.get = async (name) => {
    most = Math.max(most, ++reading)
    done.push(`get ${name.slice(-7, -4)}`)
    return (await real.get(name)).once('close', () => (reading -= 1))
  }
  const { objects } = await readingBack(store, (readBack) => write(store, cut(`id\n${'1\n'.repeat(9)}`, 3), readBack))
  expect(objects).toHaveLength(9)
  expect(done.filter((what) => what.startsWith('get'))).toEqual(objects.map((_, i) => `get 00${i + 1}`))
  expect(done.indexOf('get 001')).toBeLessThan(done.indexOf('put 009'))
  await until(() => reading === 0)
  expect(most).toBe(1)
})

test('one that is not what was sent stops the writing', async () => {
  const store = new MemoryStore()
  store.get = async () => Readable.from([Buffer.from('id\n2\n')])
  await expect(readingBack(store, (readBack) => write(store, endless(), readBack))).rejects.toThrow(
    /00001\.csv is not what was archived/,
  )
})

test('the last one is compared, too', async () => {
  const store = new MemoryStore()
  store.get = async () => Readable.from([Buffer.from('id\n2\n')])
  const writing = readingBack(store, (readBack) => write(store, cut('id\n1\n', 9), readBack))
  await expect(writing).rejects.toThrow(/is not what was archived/)
})

test('a failure to write ends what is read back, however long that takes', async () => {
  const store = new StuckStore()
  const writing = readingBack(store, async (readBack) => {
    await write(store, cut('id\n1\n2\n', 9), readBack)
    throw new Error('the store is down')
  })
  await expect(writing).rejects.toThrow('the store is down')
  expect(store.reading.map(({ destroyed }) => destroyed)).toEqual([true])
})

test('a stop ends both', async () => {
  const store = new StuckStore()
  const stop = new AbortController()
  const writing = readingBack(store, (readBack) => write(store, endless(), readBack), stop)
  while (store.reading.length === 0) await new Promise(setImmediate)
  stop.abort()
  await expect(writing).rejects.toMatchObject({ name: 'AbortError' })
  expect(store.reading.map(({ destroyed }) => destroyed)).toEqual([true])
})
