import { Readable } from 'node:stream'
import type { Connection, Submittable } from 'pg'

/** The code of a message that holds a row, `CopyData`. */
const ROW = 'd'.charCodeAt(0)
/** A message begins with its code, and the length of what follows. */
const HEAD_BYTES = 5
const BUFFERED_BYTES = 64 * 1024

/**
 * What `copy … to stdout` sends, as a stream of bytes with back-pressure; run it by
 * `session.query(new CopyOut('copy …'))`.
 *
 * The server sends a message for each row. Their heads are cut out in place, in
 * the buffer that came from the socket, and nothing is made for a row; every
 * other message is left to node-postgres. pg-copy-streams, which does the same,
 * makes some objects for each row: docs/decisions.md has the figures.
 */
export class CopyOut extends Readable implements Submittable {
  private readonly text: string
  private connection: Connection | null = null
  private listener: (bytes: Buffer) => void = () => {}
  /** Of the message that is being read: what is still to come of it, and whether it is a row. */
  private left = 0
  private isRow = false
  /** A head of which the end has not come yet. */
  private head: Buffer | null = null

  constructor(text: string) {
    super({ highWaterMark: BUFFERED_BYTES })
    this.text = text
  }

  /** Called by node-postgres when it is this query's turn. */
  submit(connection: Connection): void {
    this.connection = connection
    const { stream } = connection
    this.listener = stream.listeners('data')[0] as (bytes: Buffer) => void
    stream.off('data', this.listener)
    stream.on('data', this.sort)
    connection.query(this.text)
  }

  override _read(): void {
    this.connection?.stream.resume()
  }

  /** Whoever reads may leave before the end: what still comes is dropped then, and the session can be used again. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.connection?.stream.resume()
    done(error)
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.giveBack()
    this.push(null)
  }

  handleError(error: Error): void {
    this.giveBack()
    this.destroy(error)
  }

  private giveBack(): void {
    const stream = this.connection?.stream
    this.connection = null
    stream?.off('data', this.sort)
    stream?.on('data', this.listener)
    stream?.resume()
  }

  private readonly sort = (bytes: Buffer): void => {
    const chunk = this.head === null ? bytes : Buffer.concat([this.head, bytes])
    this.head = null
    /** Rows are moved together, up to `to`; those before `from` have been given out. */
    let [at, from, to] = [0, 0, 0]
    while (at < chunk.length) {
      if (this.left === 0) {
        if (chunk.length - at < HEAD_BYTES) {
          this.head = Buffer.from(chunk.subarray(at))
          break
        }
        this.isRow = chunk[at] === ROW
        this.left = chunk.readUInt32BE(at + 1) + 1
        if (this.isRow) {
          this.left -= HEAD_BYTES
          at += HEAD_BYTES
        }
      }
      const end = Math.min(at + this.left, chunk.length)
      this.left -= end - at
      if (this.isRow) {
        chunk.copyWithin(to, at, end)
        to += end - at
      } else {
        this.give(chunk.subarray(from, to))
        this.listener(chunk.subarray(at, end))
        // It was the end, or an error; what follows, be it half a head, is node-postgres's.
        if (this.connection === null) return this.listener(chunk.subarray(end))
        from = to = end
      }
      at = end
    }
    this.give(chunk.subarray(from, to))
  }

  private give(rows: Buffer): void {
    if (rows.length === 0 || this.destroyed) return
    if (!this.push(rows)) this.connection?.stream.pause()
  }
}
