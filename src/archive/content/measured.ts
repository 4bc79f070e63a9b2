import { createHash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'

/** Passes bytes on, and has their number and digest once they have ended. */
export class Measured extends Transform {
  bytes = 0
  /** Of all bytes, in hexadecimal. */
  sha256 = ''
  private readonly hash = createHash('sha256')

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length
    this.hash.update(chunk)
    done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    this.sha256 = this.hash.digest('hex')
    done()
  }
}
