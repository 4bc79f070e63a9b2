import { Readable } from 'node:stream'

/**
 * A stream whose errors are translated, also those by which it is cut short. Destroyed, it destroys its source at once,
 * be it that the source waits. An error that nobody listens for yet is kept for whoever reads. `idleMs` is how long a
 * source may be waited for; the time in which nobody reads does not count.
 */
export class GuardedStream extends Readable {
  private readonly source: Readable
  private readonly idleMs: number | null
  private readonly late: () => void
  private waiting: NodeJS.Timeout | undefined

  constructor(source: Readable, translate: (error: unknown) => Error, idleMs: number | null = null) {
    super()
    this.source = source
    this.idleMs = idleMs
    const fail = (error: unknown) => this.destroy(translate(error))
    const closed = () => {
      if (!source.readableEnded && !this.destroyed) fail(source.errored ?? new Error('the transfer was cut short'))
    }
    this.late = () => void fail(new Error(`nothing has arrived for ${(idleMs ?? 0) / 1000} s`))
    this.on('error', () => undefined)
    source.on('error', fail)
    source.once('close', closed)
    if (source.destroyed) process.nextTick(closed)
    source.on('data', (chunk: Buffer) => {
      clearTimeout(this.waiting)
      if (!this.push(chunk)) source.pause()
      else this.wait()
    })
    source.once('end', () => this.push(null))
    source.pause()
  }

  override _read(): void {
    this.source.resume()
    this.wait()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.waiting)
    this.source.destroy()
    done(error)
  }

  private wait(): void {
    clearTimeout(this.waiting)
    if (this.idleMs !== null && !this.source.readableEnded) this.waiting = setTimeout(this.late, this.idleMs)
  }
}
