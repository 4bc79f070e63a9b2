import { Transform, type TransformCallback } from 'node:stream'

/** Makes large pieces of small ones. */
export class Gathered extends Transform {
  private readonly pieceBytes: number
  private chunks: Buffer[] = []
  private bytes = 0

  /** @param pieceBytes a piece has at least so many bytes, but for the last */
  constructor(pieceBytes: number) {
    super({ readableHighWaterMark: pieceBytes })
    this.pieceBytes = pieceBytes
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.chunks.push(chunk)
    this.bytes += chunk.length
    if (this.bytes >= this.pieceBytes) this.pass()
    done()
  }

  override _flush(done: TransformCallback): void {
    this.pass()
    done()
  }

  private pass(): void {
    const [first] = this.chunks
    if (first !== undefined) this.push(this.chunks.length === 1 ? first : Buffer.concat(this.chunks, this.bytes))
    this.chunks = []
    this.bytes = 0
  }
}
