import { randomBytes } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { probe } from '../../src/archive/probe.ts'
import type { Store, StoredObject, UnfinishedObject } from '../../src/archive/store.ts'
import { until } from '../support/until.ts'

// What holds of every store.

const SIGNAL = new AbortController().signal
const MEGABYTE = 2 ** 20

/** Stores an object; `atMost` is what the writer says of its length. */
export async function put(
  store: Store,
  name: string,
  content: Buffer | string,
  atMost = 64 * MEGABYTE,
  signal = SIGNAL,
): Promise<void> {
  await store.put(name, Readable.from([Buffer.from(content)]), { atMost, signal })
}

export async function textOf(store: Store, name: string): Promise<string> {
  return (await buffer(await store.get(name))).toString()
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** What a store holds, finished or not. */
export async function contentsOf(store: Store): Promise<[StoredObject[], UnfinishedObject[]]> {
  return [await all(store.list('')), await all(store.unfinished(''))]
}

/** Content that begins and then waits. */
export function stalled(bytes = 100): PassThrough {
  const content = new PassThrough({ highWaterMark: bytes + 1 })
  content.write(Buffer.alloc(bytes, 'x'))
  return content
}

/** `fresh` opens an empty store of its kind; `skipped` is what it cannot do, and says so in docs/archives.md. */
export function storeContract(
  fresh: () => Promise<Store>,
  skipped: readonly ('conditional' | 'uploads' | 'order')[] = [],
): void {
  const warnings: Error[] = []
  const listen = (warning: Error) => void warnings.push(warning)
  beforeAll(() => void process.on('warning', listen))
  afterEach(async () => {
    await sleep(1)
    expect(getEventListeners(SIGNAL, 'abort')).toEqual([])
    // Node.js warns of the eleventh listener at a signal, be it of a part, a repeated request or another object.
    expect(warnings).toEqual([])
  })
  afterAll(() => void process.off('warning', listen))

  test('what is put is read back, whatever its size', async () => {
    const store = await fresh()
    for (const [i, size] of [0, 1, 65_536, 20 * MEGABYTE + 1].entries()) {
      const content = randomBytes(size)
      const name = `public.events/20260101T000000Z-${i}/events-00001.csv.gz`
      const pieces = Array.from({ length: Math.ceil(size / 70_000) }, (_, n) =>
        content.subarray(n * 70_000, (n + 1) * 70_000),
      )
      await store.put(name, Readable.from(pieces, { objectMode: false }), { atMost: 25 * MEGABYTE, signal: SIGNAL })
      expect((await buffer(await store.get(name))).equals(content)).toBe(true)
    }
    expect((await all(store.list(''))).map(({ bytes }) => bytes)).toEqual([0, 1, 65_536, 20 * MEGABYTE + 1])
    expect(await all(store.unfinished(''))).toEqual([])
    await store.close()
  })

  test('an object is never replaced, not even by one of two that are written at once', async () => {
    const store = await fresh()
    await put(store, 'a/receipt.json', 'first')
    const second = put(store, 'a/receipt.json', 'second')
    await expect(second).rejects.toMatchObject({
      problem: 'exists',
      message: expect.stringContaining('a/receipt.json') as string,
    })
    expect(await textOf(store, 'a/receipt.json')).toBe('first')
    if (skipped.includes('conditional')) return
    const writers = Array.from({ length: 6 }, (_, i) =>
      put(store, 'a/contended', `writer ${i}`, 100, new AbortController().signal),
    )
    const outcomes = await Promise.allSettled(writers)
    const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [`writer ${i}`] : []))
    expect(winners).toEqual([await textOf(store, 'a/contended')])
    expect((await contentsOf(store))[1]).toEqual([])
    await store.close()
  })

  test('lists are in the order of whole names, and of a prefix', async () => {
    const store = await fresh()
    const names = ['a-b/2', 'a.b', 'a/1', 'a/10', 'a/2/x y', 'a%2Fb', 'ä', 'a/2/%']
    for (const name of names) await put(store, name, name)
    const listed = (await all(store.list(''))).map(({ name }) => name)
    expect(skipped.includes('order') ? listed.sort() : listed).toEqual([
      'a%2Fb',
      'a-b/2',
      'a.b',
      'a/1',
      'a/10',
      'a/2/%',
      'a/2/x y',
      'ä',
    ])
    expect((await all(store.list('a/'))).map(({ name }) => name)).toEqual(['a/1', 'a/10', 'a/2/%', 'a/2/x y'])
    expect((await all(store.list('a/1'))).map(({ name }) => name)).toEqual(['a/1', 'a/10'])
    expect(await all(store.list('b'))).toEqual([])
    expect(await textOf(store, 'a/2/x y')).toBe('a/2/x y')
    await store.close()
  })

  test('what is removed is gone, and what is missing is said to be', async () => {
    const store = await fresh()
    await put(store, 'a/b', 'content')
    await store.remove('a/b')
    await store.remove('a/b')
    await store.remove('c/d')
    expect(await contentsOf(store)).toEqual([[], []])
    for (const name of ['a/b', 'c/d'])
      await expect(store.get(name)).rejects.toMatchObject({
        problem: 'missing',
        message: expect.stringContaining(name) as string,
      })
    await put(store, 'a/b', 'another')
    expect(await textOf(store, 'a/b')).toBe('another')
    await store.close()
  })

  test('content that fails leaves nothing, and its error is the one that is told', async () => {
    const store = await fresh()
    const failure = new Error('the connection to the database was lost')
    for (const bytes of [100, 9 * MEGABYTE]) {
      const content = stalled(bytes)
      const putting = store.put('a/b', content, { atMost: 10 * MEGABYTE, signal: SIGNAL })
      await Promise.all([sleep(100).then(() => content.destroy(failure)), expect(putting).rejects.toBe(failure)])
      expect(await contentsOf(store)).toEqual([[], []])
    }
    const broken = stalled().destroy(failure)
    await once(broken, 'error')
    await expect(store.put('a/b', broken, { atMost: 100, signal: SIGNAL })).rejects.toBe(failure)
    const cut = stalled().destroy()
    await expect(store.put('a/b', cut, { atMost: 100, signal: SIGNAL })).rejects.toThrow('cut short')
    expect(await contentsOf(store)).toEqual([[], []])
    await store.close()
  })

  test('a put is stopped while its content waits, and leaves nothing', async () => {
    const store = await fresh()
    const reason = new Error('stopped on request')
    for (const bytes of [100, 9 * MEGABYTE]) {
      const [stop, content] = [new AbortController(), stalled(bytes)]
      const putting = store.put('a/b', content, { atMost: 10 * MEGABYTE, signal: stop.signal })
      await Promise.all([sleep(100).then(() => stop.abort(reason)), expect(putting).rejects.toBe(reason)])
      expect(content.destroyed).toBe(true)
      expect(await contentsOf(store)).toEqual([[], []])
    }
    const late = put(store, 'a/b', 'content')
    await late
    const content = stalled()
    await expect(store.put('a/c', content, { atMost: 100, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(content.destroyed).toBe(true)
    await store.close()
  })

  test.skipIf(skipped.includes('uploads'))('what is being written is no object yet, and can be discarded', async () => {
    const store = await fresh()
    const content = stalled(17 * MEGABYTE)
    const putting = store.put('x/y/z', content, { atMost: 25 * MEGABYTE, signal: SIGNAL })
    putting.catch(() => undefined)
    await until(async () => (await all(store.unfinished('x/y/'))).length > 0)
    const [begun] = (await all(store.unfinished('x/y/'))) as [UnfinishedObject]
    expect(Math.abs(begun.begunAt.getTime() - Date.now())).toBeLessThan(60_000)
    expect(begun.name.startsWith('x/y/')).toBe(true)
    expect(await all(store.unfinished('x/a/'))).toEqual([])
    expect(await all(store.list(''))).toEqual([])
    await expect(store.get('x/y/z')).rejects.toMatchObject({ problem: 'missing' })
    await store.discard(begun)
    expect(await all(store.unfinished(''))).toEqual([])
    content.end()
    await expect(putting).rejects.toMatchObject({ name: 'StoreError', problem: 'refused' })
    expect(await contentsOf(store)).toEqual([[], []])
    await store.close()
  })

  test('a name cannot leave its store', async () => {
    const store = await fresh()
    const names = [
      '',
      '/a',
      'a/',
      'a//b',
      '.',
      '../a',
      'a/../../b',
      'a/./b',
      'a\\b',
      'a\0b',
      '.ebb-unfinished-1',
      'ä'.repeat(128),
    ]
    for (const name of names) {
      await sleep(1)
      await expect(put(store, name, 'x')).rejects.toMatchObject({ problem: 'refused' })
      await expect(store.get(name)).rejects.toMatchObject({ problem: 'refused' })
      await expect(store.remove(name)).rejects.toMatchObject({ problem: 'refused' })
    }
    expect(await contentsOf(store)).toEqual([[], []])
    await store.close()
  })

  test('reading can end early', async () => {
    const store = await fresh()
    await put(store, 'a', Buffer.alloc(5 * MEGABYTE))
    const stream = await store.get('a')
    for await (const chunk of stream) {
      expect((chunk as Buffer).length).toBeGreaterThan(0)
      break
    }
    expect(stream.destroyed).toBe(true)
    await store.close()
  })

  test('a probe leaves nothing', async () => {
    const store = await fresh()
    await probe(store, SIGNAL)
    expect(await contentsOf(store)).toEqual([[], []])
    await store.close()
  })

  test('what a probe has left that was killed goes a day later, and that of one that may be at work stays', async () => {
    const store = await fresh()
    const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString().replace(/[-:.]/g, '')
    const [old, recent] = [`ebb-probe-${hoursAgo(25)}-1`, `ebb-probe-${hoursAgo(23)}-2`]
    for (const name of [old, recent, 'a/b']) await put(store, name, 'x')
    await probe(store, SIGNAL)
    expect((await all(store.list(''))).map(({ name }) => name).sort()).toEqual(['a/b', recent])
    await store.close()
  })
}
