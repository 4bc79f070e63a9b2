import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { archiveCsv, cut, encoding } from '../support/archive-objects.ts'
import { MemoryStore } from '../support/memory-store.ts'

// While an object is converted and stored, the rows of the next one are read: two are under way, never three.

/** Objects of one row each. */
const ROWS = `id\n${'1\n'.repeat(4)}`
const write = (store: MemoryStore, rows = cut(ROWS, 3)) => archiveCsv(store, rows, encoding('none', null), 4)

/** A store whose first object waits, once its content has come, for `first`. */
function storeThatWaits(first: Promise<void>) {
  const begun: string[] = []
  const ended: string[] = []
  const store = new MemoryStore()
  store.put = async (name: string, content: Readable) => {
    begun.push(name)
    try {
      store.objects.set(name, await buffer(content))
      if (begun[0] === name) await first
    } finally {
      ended.push(name)
    }
  }
  return { store, begun, ended }
}

test('the next object is begun while one is stored, and ends after it', async () => {
  let go = () => {}
  const { store, begun, ended } = storeThatWaits(new Promise((resolve) => (go = resolve)))
  const writing = write(store)
  await sleep(50)
  expect([begun.length, ended.length]).toEqual([2, 0])
  go()
  const { rows, objects } = await writing
  expect([rows, objects.map((object) => object.rows)]).toEqual([4, [1, 1, 1, 1]])
  expect(ended).toEqual(begun)
})

test('one that cannot be stored stops the next, be it that this waits for rows, and nothing is under way then', async () => {
  let fail = () => {}
  const { store, begun, ended } = storeThatWaits(
    new Promise((_, reject) => (fail = () => reject(new Error('the disk is full')))),
  )
  async function* stuck(): AsyncGenerator<Buffer> {
    yield Buffer.from('id\n1\n2')
    fail()
    await sleep(500)
    yield Buffer.from('\n')
    throw new Error('it was read on')
  }
  await expect(write(store, stuck())).rejects.toThrow('the disk is full')
  expect([begun.length, ended.length]).toEqual([2, 2])
})
