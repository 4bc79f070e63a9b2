import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { readObject } from '../../src/archive/content/read-object.ts'
import { writeObjects } from '../../src/archive/content/write-objects.ts'
import type { Store } from '../../src/archive/store.ts'
import { archiveCsv, cut, encodings } from '../support/archive-objects.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ARCHIVE } from '../support/receipts.ts'

const identity = await generateX25519Identity()
const ENCODINGS = encodings(await identityToRecipient(identity))
const TABLE = { schema: 'public', name: 'events' }

/** Rows for ever, of which each chunk is counted, and whether its reader has let go of it. */
function endless(failAfter = Infinity) {
  const seen = { chunks: 0, closed: false }
  async function* rows(): AsyncGenerator<Buffer> {
    try {
      yield Buffer.from('id,payload\n')
      for (; seen.chunks < failAfter; seen.chunks += 1) yield Buffer.from(`${seen.chunks},"${'x'.repeat(50_000)}"\n`)
      throw new Error('the connection is lost')
    } finally {
      seen.closed = true
    }
  }
  return { rows: rows(), seen }
}

describe.each(ENCODINGS)('writing ($compression, $encryption.kind)', (encoding) => {
  const write = (put: Store['put'], rows: AsyncIterable<Uint8Array>, signal = new AbortController().signal) =>
    writeObjects(Object.assign(new MemoryStore(), { put }), rows, {
      columns: [],
      ...{ archive: ARCHIVE, table: TABLE, encoding, partBytes: 1e9, signal },
    })

  test('fails with the reason of the store, and lets go of the rows', async () => {
    for (const put of [() => Promise.reject(new Error('the disk is full')), failingAfterABit, leaving]) {
      const { rows, seen } = endless()
      await expect(write(put, rows)).rejects.toThrow('the disk is full')
      expect(seen.closed).toBe(true)
    }
  })

  test('fails with the reason of the source, and tells the store that the object is not whole', async () => {
    const { rows } = endless(3)
    const told = await new Promise<unknown>((resolve) => {
      const put: Store['put'] = (_, content) =>
        buffer(content).then(
          () => resolve('whole'),
          (error: unknown) => (resolve(error), Promise.reject(error as Error)),
        )
      write(put, rows).catch((error: unknown) => expect(error).toMatchObject({ message: 'the connection is lost' }))
    })
    expect(told).toMatchObject({ message: 'the connection is lost' })
  })

  test('stops when it is asked to, even while no row comes', async () => {
    const stop = new AbortController()
    async function* stuck(): AsyncGenerator<Buffer> {
      yield Buffer.from('id\n1\n')
      stop.abort()
      await sleep(60_000, undefined, { signal: stop.signal, ref: false })
    }
    await expect(write((_, content) => buffer(content).then(() => {}), stuck(), stop.signal)).rejects.toThrow(/abort/i)
  })

  test('waits for a slow store: hardly more is read than is taken', async () => {
    const { rows, seen } = endless()
    const stop = new AbortController()
    const never: Store['put'] = (_, content) => new Promise((_resolve, reject) => content.once('error', reject))
    const writing = write(never, rows, stop.signal).catch((error: unknown) => error)
    await sleep(200)
    const chunks = seen.chunks
    await sleep(100)
    // Of what compresses a thousandfold, much is read before the first bytes of it have to wait.
    if (encoding.compression === 'none') expect([seen.chunks, chunks < 30]).toEqual([chunks, true])
    stop.abort()
    expect(await writing).toMatchObject({ name: 'AbortError' })
  })

  test('an object is read to its end or fails, whatever becomes of the connection', async () => {
    const store = new MemoryStore()
    const { objects } = await archiveCsv(store, cut(`id\n${'1\n'.repeat(9999)}`, 999), encoding, 1e6)
    const [object] = objects as [(typeof objects)[0]]
    const stored = store.objects.get(`${ARCHIVE}/${object.name}`)!
    const broken = Object.assign(store, { get: async () => Readable.from(broke(stored)) })
    const reading = readObject(broken, object.name, object, encoding, [identity])
    await expect(reading.then(buffer)).rejects.toThrow('the connection is lost')
  })
})

async function failingAfterABit(_: string, content: Readable): Promise<void> {
  await content.pipe(new PassThrough())[Symbol.asyncIterator]().next()
  throw new Error('the disk is full')
}

/** As writing to a file does: it leaves what it reads, which destroys that, and closes the file before it says why. */
async function leaving(_: string, content: Readable): Promise<void> {
  await content[Symbol.asyncIterator]().next()
  content.destroy()
  await sleep(20)
  throw new Error('the disk is full')
}

async function* broke(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes.subarray(0, bytes.length >> 1)
  throw new Error('the connection is lost')
}
