import type { Readable } from 'node:stream'

/** Where objects are kept: a directory, or a bucket with a prefix. Names are relative to it, with `/` between folders. */
export interface Store {
  /** As a user would write it, without credentials: `file:///var/archive`, `s3://bucket/prefix`. */
  readonly uri: string
  /**
   * Stores an object as a whole or not at all; when this resolves, it is durable. Objects are never replaced. The
   * length need not be known: it is at most `atMost` bytes, by which a multipart upload chooses the size of its parts.
   *
   * @throws {StoreError} kind `exists` if there is an object of this name; and if it cannot be stored
   */
  put(name: string, content: Readable, options: PutOptions): Promise<void>
  /**
   * The content of an object. Errors during the transfer destroy the stream with a StoreError.
   *
   * @throws {StoreError} kind `missing` if there is none of this name
   */
  get(name: string): Promise<Readable>
  /** All objects whose names begin with this, in the order of their names, in pages. */
  list(prefix: string): AsyncIterable<StoredObject>
  /** Removes an object that no receipt names. Missing ones are no error. */
  remove(name: string): Promise<void>
  /** Ends connections. */
  close(): Promise<void>
}

export interface PutOptions {
  readonly atMost: number
  /** Stops the transfer; nothing of the object remains. */
  readonly signal: AbortSignal
}

export interface StoredObject {
  readonly name: string
  readonly bytes: number
}
