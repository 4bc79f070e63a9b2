import { UsageError } from '../../errors.ts'

/** What age-keygen prints: of a key pair of X25519, or of a hybrid one. */
const IDENTITY = /^AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]+$/

/**
 * The identities of age in a key file, as age-keygen writes it: one in each line, with empty lines and comments. Nothing
 * of what is read is ever repeated.
 *
 * @param where the name of the file, or of what holds its text
 * @throws {UsageError}
 */
export function parseIdentities(text: string, where: string): readonly string[] {
  const lines = text.split('\n').map((line, i) => ({ line: line.trim(), number: i + 1 }))
  const named = lines.filter(({ line }) => line !== '' && !line.startsWith('#'))
  if (/^(?:age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE)/.test(text.trimStart())) throw encryptedItself(where)
  if (named.length === 0) throw new UsageError(`there is no identity in ${where}`, NEXT)
  for (const { line, number } of named) if (!IDENTITY.test(line)) throw notAnIdentity(where, number, line)
  return named.map(({ line }) => line)
}

const NEXT = 'Pass a file that age-keygen has written, with a line AGE-SECRET-KEY-1….'

function encryptedItself(where: string): UsageError {
  return new UsageError(
    `${where} is encrypted itself`,
    'Decrypt it first, without storing it: AGE_IDENTITY="$(age -d key.age)" ebb archive verify …',
  )
}

function notAnIdentity(where: string, number: number, line: string): UsageError {
  const what = /^age1/.test(line) ? 'a recipient, which encrypts' : 'no identity of age'
  return new UsageError(`line ${number} of ${where} is ${what}`, NEXT)
}
