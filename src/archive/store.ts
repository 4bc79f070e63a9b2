import type { Readable } from 'node:stream'

/** Where objects are kept: a directory, or a bucket with a prefix. Names are relative to it, with `/` between folders. */
export interface Store {
  /** Without credentials: `file:///var/archive`, `s3://bucket/prefix?region=eu-central-1`. */
  readonly uri: string
  /** By which an object is found again, without its store. */
  uriOf(name: string): string
  /**
   * Stores an object as a whole or not at all; when this resolves, it is durable. Objects are never replaced. The
   * length need not be known: it is at most `atMost` bytes, by which a multipart upload chooses the size of its parts.
   * When it rejects, `content` has been destroyed, and nothing of the object remains, as far as the store can be reached.
   *
   * @throws {StoreError} with the problem `exists` if there is an object of this name; and if it cannot be stored.
   * The reason of the signal, or the error of `content`, where it was one of these.
   */
  put(name: string, content: Readable, options: PutOptions): Promise<void>
  /**
   * The content of an object. Errors during the transfer destroy the stream with a StoreError; destroying the stream
   * ends the transfer.
   *
   * @throws {StoreError} with the problem `missing` if there is none of this name
   */
  get(name: string): Promise<Readable>
  /** All objects whose names begin with this, in the order of their names, in pages. */
  list(prefix: string): AsyncIterable<StoredObject>
  /** Removes an object that no receipt names. Missing ones are no error. */
  remove(name: string): Promise<void>
  /**
   * What `put` has begun below a folder (`…/`, or nothing for all) and neither ended nor removed: of a process that was
   * killed or is still at work. It is no object, but takes space.
   */
  unfinished(folder: string): AsyncIterable<UnfinishedObject>
  /** Removes it. The process that is at work on it, if there is one, fails. */
  discard(unfinished: UnfinishedObject): Promise<void>
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

export interface UnfinishedObject {
  /** In a bucket the name of the object, in a directory that of a temporary file. */
  readonly name: string
  /** By which a bucket knows the upload; null in a directory. */
  readonly upload: string | null
  /** In a directory, when it was last written to: not every file system knows more. */
  readonly begunAt: Date
}
