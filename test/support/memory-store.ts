import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { notThere } from '../../src/archive/store-error.ts'
import type { PutOptions, Store, StoredObject, UnfinishedObject } from '../../src/archive/store.ts'

/** A store for tests of what lies above stores: objects are there to be looked at, and damaged. */
export class MemoryStore implements Store {
  readonly uri = 'memory:'
  readonly objects = new Map<string, Buffer>()

  uriOf(name: string): string {
    return `${this.uri}${name}`
  }

  async put(name: string, content: Readable, _options: PutOptions): Promise<void> {
    this.objects.set(name, await buffer(content))
  }

  async get(name: string): Promise<Readable> {
    const bytes = this.objects.get(name)
    if (bytes === undefined) throw notThere(`memory:${name}`)
    return Readable.from(pieces(bytes), { objectMode: false })
  }

  damage(name: string, change: (bytes: Buffer) => Buffer): void {
    this.objects.set(name, change(this.objects.get(name) ?? Buffer.alloc(0)))
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for (const [name, { length }] of [...this.objects].sort(([a], [b]) => (a < b ? -1 : 1)))
      if (name.startsWith(prefix)) yield { name, bytes: length }
  }

  async remove(name: string): Promise<void> {
    this.objects.delete(name)
  }

  async *unfinished(): AsyncIterable<UnfinishedObject> {}

  async discard(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Several, so that a reader meets the seams. */
function* pieces(bytes: Buffer): Generator<Buffer> {
  const size = Math.max(1, Math.ceil(bytes.length / 3))
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
