import { ReadableStream } from 'node:stream/web'
import type { Decrypter } from 'age-encryption'
import { EbbError, NOTHING_CHANGED, UsageError } from '../../errors.ts'
import type { Encoding } from '../../plan/archive/receipt.ts'

/** A step of a pipeline. */
export type Step = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>

/** What encrypts to the recipients, if anything does, in the format of age. */
export function encrypter(encryption: Encoding['encryption']): Step[] {
  if (encryption === null) return []
  return [
    async function* encrypt(source) {
      const { Encrypter } = await import('age-encryption')
      const age = new Encrypter()
      for (const recipient of encryption.recipients) age.addRecipient(recipient)
      yield* await age.encrypt(ReadableStream.from(source))
    },
  ]
}

/**
 * What decrypts with one of the identities. A cut file is refused at its end, after what came before has been passed on.
 */
export function decrypter(encryption: Encoding['encryption'], identities: readonly string[]): Step[] {
  if (encryption === null) return []
  if (identities.length === 0) throw noIdentity()
  return [
    async function* decrypt(source) {
      const { Decrypter } = await import('age-encryption')
      const age = new Decrypter()
      for (const identity of identities) addIdentity(age, identity)
      yield* await age.decrypt(ReadableStream.from(source)).catch(asUndecipherable)
    },
  ]
}

// The error of a mistyped identity repeats it.
function addIdentity(age: Decrypter, identity: string): void {
  try {
    age.addIdentity(identity)
  } catch {
    throw new UsageError('an identity of age is damaged: its letters do not match', 'Copy the key file again.')
  }
}

/** The header of an encrypted object is damaged, or no identity is that of a recipient. */
export class UndecipherableError extends EbbError {
  override readonly name = 'UndecipherableError'

  constructor(cause: Error) {
    super(
      `the archive cannot be decrypted: ${cause.message}`,
      { state: NOTHING_CHANGED, next: 'Pass the identity of one of the recipients that the receipt names.' },
      'usage',
      cause,
    )
  }
}

// An error of the store comes through here as well.
function asUndecipherable(error: Error): never {
  throw error instanceof EbbError ? error : new UndecipherableError(error)
}

function noIdentity(): UsageError {
  return new UsageError(
    'the archive is encrypted, and there is no identity',
    'Pass --identity-file, or set AGE_IDENTITY_FILE or AGE_IDENTITY.',
  )
}
