import { Readable } from 'node:stream'

/**
 * A stream whose errors are translated, also those by which it is cut short. Destroyed, it destroys its source at once,
 * be it that the source waits. An error that nobody listens for yet is kept for whoever reads.
 */
export class GuardedStream extends Readable {
  private readonly source: Readable

  constructor(source: Readable, translate: (error: unknown) => Error) {
    super()
    this.source = source
    const fail = (error: unknown) => this.destroy(translate(error))
    const closed = () => {
      if (!source.readableEnded && !this.destroyed) fail(source.errored ?? new Error('the transfer was cut short'))
    }
    this.on('error', () => undefined)
    source.on('error', fail)
    source.once('close', closed)
    if (source.destroyed) process.nextTick(closed)
    source.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) source.pause()
    })
    source.once('end', () => this.push(null))
    source.pause()
  }

  override _read(): void {
    this.source.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.source.destroy()
    done(error)
  }
}
