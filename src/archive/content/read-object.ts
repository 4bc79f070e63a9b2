import { pipeline, type Readable, type TransformCallback } from 'node:stream'
import type { ArchivedObject, Encoding } from '../../plan/archive/receipt.ts'
import type { Store } from '../store.ts'
import { CsvRecords } from './csv-records.ts'
import { difference, DifferenceError, type Difference } from './difference.ts'
import { decrypter } from './encryption.ts'
import type { Conversion } from './format.ts'
import { FORMATS } from './formats.ts'
import { Measured } from './measured.ts'

/**
 * The content of an object as it is read back from where it is stored. The stream ends with an error unless the stored
 * bytes, the content and its records are exactly those of the receipt: nothing that came of it is final before its end.
 *
 * @throws if it is encrypted and there is no identity; {@link readStored} needs none
 */
export async function readObject(
  store: Store,
  name: string,
  object: ArchivedObject,
  encoding: Encoding,
  identities: readonly string[],
): Promise<Readable> {
  const stored = new Measured()
  const converting = FORMATS[encoding.format].read(encoding, () => throwIfDifferent(object, stored))
  const steps = [...decrypter(encoding.encryption, identities), ...converting.steps]
  const content = new Content(object, stored, converting)
  pipeline([await store.get(name), stored, ...steps, content] as never, () => {})
  return content
}

/** What is stored of an object, as it is. The stream ends with an error unless these are the bytes of the receipt. */
export async function readStored(store: Store, name: string, object: ArchivedObject): Promise<Readable> {
  const stored = new Stored(object)
  pipeline(await store.get(name), stored, () => {})
  return stored
}

/** Bytes that are compared with the receipt at their end. */
abstract class Compared extends Measured {
  protected readonly object: ArchivedObject

  constructor(object: ArchivedObject) {
    super()
    this.object = object
  }

  protected abstract differences(): Difference[]

  override _flush(done: TransformCallback): void {
    super._flush(() => {
      const differences = this.differences()
      done(differences.length === 0 ? null : new DifferenceError(this.object.name, differences))
    })
  }
}

class Stored extends Compared {
  protected override differences(): Difference[] {
    return storedDifferences(this.object, this)
  }
}

class Content extends Compared {
  private readonly records = new CsvRecords()
  private readonly stored: Measured
  private readonly converting: Conversion

  constructor(object: ArchivedObject, stored: Measured, converting: Conversion) {
    super(object)
    this.stored = stored
    this.converting = converting
  }

  /** Nothing is left on this machine when the last byte has been read. */
  override _flush(done: TransformCallback): void {
    super._flush((difference) => {
      void this.converting.close().then(() => done(difference), done)
    })
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    void this.converting.close().then(
      () => done(error),
      (failure: Error) => done(error ?? failure),
    )
  }

  override _transform(chunk: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    this.records.through(chunk, Infinity)
    super._transform(chunk, encoding, done)
  }

  protected override differences(): Difference[] {
    const { object, records } = this
    return [
      ...storedDifferences(object, this.stored),
      ...difference('bytes of content', object.contentBytes, this.bytes),
      ...difference('SHA-256 of the content', object.contentSha256, this.sha256),
      ...difference('rows', object.rows, records.count - 1),
      ...difference('last record', 'whole', records.whole ? 'whole' : 'cut'),
    ]
  }
}

function throwIfDifferent(object: ArchivedObject, stored: Measured): void {
  const differences = storedDifferences(object, stored)
  if (differences.length > 0) throw new DifferenceError(object.name, differences)
}

function storedDifferences(object: ArchivedObject, stored: Measured): Difference[] {
  return [
    ...difference('bytes stored', object.bytes, stored.bytes),
    ...difference('SHA-256 of what is stored', object.sha256, stored.sha256),
  ]
}
