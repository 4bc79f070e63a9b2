import { PassThrough, Transform, Writable, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EbbError } from '../../errors.ts'
import type { Conversion } from './format.ts'
import { Measured } from './measured.ts'
import type { PartMeasures } from './parts.ts'

/** Passes on what has been made of content, and fails at its end unless it becomes that content again. */
export class Proven extends Transform {
  private readonly copy = new PassThrough()
  private readonly content = new Measured()
  private readonly made: Promise<void>
  private readonly sent: () => PartMeasures

  /** @param back the steps of the way back; `sent` is asked at the end */
  constructor(back: Conversion['steps'], sent: () => PartMeasures) {
    super()
    this.sent = sent
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    this.made = pipeline([this.copy, ...back, this.content, nowhere] as never)
    this.made.catch((error: Error) => this.destroy(error))
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.copy.write(chunk)) done(null, chunk)
    else this.copy.once('drain', () => done(null, chunk))
  }

  override _flush(done: TransformCallback): void {
    this.copy.end()
    this.made.then(() => done(this.content.sha256 === this.sent().sha256 ? null : notGivenBack()), done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.copy.destroy()
    done(error)
  }
}

function notGivenBack(): EbbError {
  return new EbbError('what the rows were compressed to does not become these rows again', {
    state: 'The archive has no receipt, and nothing has been removed.',
    next: 'Run the same command again. If it happens again, check the memory of this machine.',
  })
}
