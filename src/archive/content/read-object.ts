import { pipeline, type Readable, type TransformCallback } from 'node:stream'
import { EbbError } from '../../errors.ts'
import type { ArchivedObject, Encoding } from '../../plan/archive/receipt.ts'
import type { Store } from '../store.ts'
import { decompressor } from './compression.ts'
import { CsvRecords } from './csv-records.ts'
import { decrypter } from './encryption.ts'
import { Measured } from './measured.ts'

/**
 * The content of an object as it is read back from where it is stored. The stream ends with an error unless the stored
 * bytes, the content and its records are exactly those of the receipt: nothing that came of it is final before its end.
 */
export async function readObject(
  store: Store,
  name: string,
  object: ArchivedObject,
  { compression, encryption }: Encoding,
  identities: readonly string[],
): Promise<Readable> {
  const steps = [...decrypter(encryption, identities), ...decompressor(compression)]
  const stored = new Measured()
  const content = new Content(object, stored)
  pipeline([await store.get(name), stored, ...steps, content] as never, () => {})
  return content
}

/** The same without decrypting: whether the stored bytes are those of the receipt. */
export async function readStored(store: Store, name: string, object: ArchivedObject): Promise<Readable> {
  const stored = new Stored(object)
  pipeline(await store.get(name), stored, () => {})
  return stored
}

class Stored extends Measured {
  private readonly object: ArchivedObject

  constructor(object: ArchivedObject) {
    super()
    this.object = object
  }

  override _flush(done: TransformCallback): void {
    super._flush(() => done(asError(this.object, storedDifferences(this.object, this))))
  }
}

/** Compares at the end. */
class Content extends Measured {
  private readonly records = new CsvRecords()
  private readonly object: ArchivedObject
  private readonly stored: Measured

  constructor(object: ArchivedObject, stored: Measured) {
    super()
    this.object = object
    this.stored = stored
  }

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    this.records.through(chunk, Infinity)
    super._transform(chunk, encoding, done)
  }

  override _flush(done: TransformCallback): void {
    super._flush(() => done(asError(this.object, this.differences())))
  }

  private differences(): string[] {
    const { object, records } = this
    return [
      ...storedDifferences(object, this.stored),
      ...difference('bytes of content', object.contentBytes, this.bytes),
      ...difference('SHA-256 of the content', object.contentSha256, this.sha256),
      ...difference('rows', object.rows, records.count - 1),
      ...(records.whole ? [] : ['it ends within a record']),
    ]
  }
}

function storedDifferences(object: ArchivedObject, stored: Measured): string[] {
  return [
    ...difference('bytes stored', object.bytes, stored.bytes),
    ...difference('SHA-256 of what is stored', object.sha256, stored.sha256),
  ]
}

function difference(what: string, expected: number | string, found: number | string): string[] {
  return expected === found ? [] : [`${what}: ${found} instead of ${expected}`]
}

/** An object that is not what its receipt says. */
export class DifferenceError extends EbbError {
  override readonly name = 'DifferenceError'
  readonly differences: readonly string[]

  constructor(object: string, differences: readonly string[]) {
    super(`the object ${object} is not what was archived: ${differences.join('; ')}`, {
      state: 'Nothing that was read of it can be relied on.',
      next: 'Look at what became of it where it is stored; another copy of it would be read as well.',
    })
    this.differences = differences
  }
}

function asError({ name }: ArchivedObject, differences: readonly string[]): DifferenceError | null {
  return differences.length === 0 ? null : new DifferenceError(name, differences)
}
