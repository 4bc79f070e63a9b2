import { Readable } from 'node:stream'
import type { Connection, Submittable } from 'pg'

/** The type byte of a message with a row, `CopyData`. */
const ROW = 'd'.charCodeAt(0)
/** A message starts with its type byte and length. */
const HEAD_BYTES = 5
const BUFFERED_BYTES = 64 * 1024

/**
 * The output of `copy … to stdout`, as a stream of bytes with back-pressure; run it with `session.query(new
 * CopyOut('copy …'))`.
 *
 * The server sends one message per row. Their headers are cut out in place, in the buffer from the socket, without
 * allocations per row; all other messages are left to node-postgres. pg-copy-streams does the same with some objects
 * per row: docs/decisions.md has the figures.
 */
export class CopyOut extends Readable implements Submittable {
  private readonly text: string
  private connection: Connection | null = null
  private listener: (bytes: Buffer) => void = () => {}
  /** Of the current message: the bytes still to come, and whether it is a row. */
  private left = 0
  private isRow = false
  /** An incomplete header. */
  private head: Buffer | null = null
  private tell: () => void = () => {}
  /** Rows that the server says it has sent; null before the end. */
  rowCount: number | null = null
  /** Resolves when the server has ended the statement, also after the reader has stopped or the session was lost. */
  readonly over = new Promise<void>((resolve) => (this.tell = resolve))

  constructor(text: string) {
    super({ highWaterMark: BUFFERED_BYTES })
    this.text = text
  }

  /** Called by node-postgres when this query is next. */
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

  /** The reader may stop before the end: the rest is then discarded, and the session can be used again. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.connection?.stream.resume()
    done(error)
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.rowCount = Number(/^COPY (\d+)$/.exec(text)?.[1] ?? NaN)
  }

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
    this.tell()
  }

  private readonly sort = (bytes: Buffer): void => {
    const chunk = this.head === null ? bytes : Buffer.concat([this.head, bytes])
    this.head = null
    /** Rows are moved together, up to `to`; those before `from` have been pushed. */
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
        // The end, or an error; what follows, even part of a header, is for node-postgres.
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
