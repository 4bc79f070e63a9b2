import type { Readable } from 'node:stream'
import { GuardedStream } from './guarded-stream.ts'

/** The content of an object failed, or storing it was stopped: not an error of the store. */
class ContentFailure extends Error {
  readonly reason: unknown

  constructor(reason: unknown) {
    super('the content ended too early', { cause: reason })
    this.reason = reason
  }
}

/** The content of an object, until it fails or the signal stops it. */
export function contentOf(content: Readable, signal: AbortSignal): Readable {
  const stream = new GuardedStream(content, (error) => new ContentFailure(error))
  const stop = () => stream.destroy(new ContentFailure(signal.reason))
  signal.addEventListener('abort', stop, { once: true })
  stream.once('close', () => signal.removeEventListener('abort', stop))
  if (signal.aborted) stop()
  return stream
}

/** Why an object could not be stored: the reason of the signal or the error of its content, else what the store says. */
export function reasonOfPut(error: unknown, signal: AbortSignal, told: (error: unknown) => Error): unknown {
  if (signal.aborted) return signal.reason
  return error instanceof ContentFailure ? error.reason : told(error)
}
